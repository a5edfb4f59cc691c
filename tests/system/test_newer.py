"""The management API 2023-03-30, as its newest SDK reads and writes it."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import quote

from support import Response, Server, wait_until, zipped

API = "/2023-03-30"
ECHO = "def handler(event, context):\n    return event\n"
FUNCTION = {
    "functionName": "f", "runtime": "python3.10", "handler": "index.handler",
    "code": {"zipFile": zipped({"index.py": ECHO})},
}  # fmt: skip


def make(server: Server, name: str, **properties: Any) -> Any:
    answer = server.manage("POST", f"{API}/functions", {**FUNCTION, "functionName": name, **properties})
    assert answer.status == 200, answer.body
    return answer.json


def listed(server: Server, query: str) -> list[str]:
    answer = server.manage("GET", f"{API}/functions?{query}")
    assert answer.status == 200, answer.body
    return [each["functionName"] for each in answer.json["functions"]]


def test_a_function_tells_what_it_has_and_leaves_out_what_is_empty(shared: Server) -> None:
    made = make(shared, "plain")

    assert set(made) == {
        "functionName", "functionArn", "functionId", "runtime", "handler", "description", "timeout", "memorySize",
        "environmentVariables", "internetAccess", "role", "codeSize", "codeChecksum",
        "createdTime", "lastModifiedTime", "state", "lastUpdateStatus", "resourceGroupId",
    }  # fmt: skip
    assert int(made["codeChecksum"]) > 0
    full = make(
        shared, "full", tags=[{"Key": "team", "Value": "a"}], disableInjectCredentials="Env", enableLongLiving=True,
        instanceLifecycleConfig={"initializer": {"handler": "index.start", "timeout": 9}},
        logConfig={"project": "p", "logstore": "l", "enableLlmMetrics": True},
    )  # fmt: skip
    assert full["tags"] == [{"Key": "team", "Value": "a"}]
    assert full["instanceLifecycleConfig"] == {"initializer": {"handler": "index.start", "timeout": 9}}
    assert (full["disableInjectCredentials"], full["enableLongLiving"]) == ("Env", True)
    assert full["logConfig"]["enableLlmMetrics"] is True


def test_what_a_template_declares_is_told_as_it_was_declared(shared: Server) -> None:
    """FC's tools compare both, and see a change in whatever is told besides."""
    made = make(shared, "declared", runtime="custom.debian10")
    assert made["instanceConcurrency"] == 1
    sized = make(shared, "sized", cpu=0.35, diskSize=512)
    assert (sized["cpu"], sized["diskSize"]) == (0.35, 512)
    assert make(shared, "large", diskSize=10240)["diskSize"] == 10240
    for name, config in (("http", {"authType": "anonymous", "methods": ["GET"]}), ("timer", {
        "cronExpression": "@every 60m", "enable": False, "payload": "hi",
    })):  # fmt: skip
        declared = {"triggerName": name, "triggerType": name, "description": "", "qualifier": "LATEST"}
        place, sent = f"{API}/functions/declared/triggers", {**declared, "triggerConfig": json.dumps(config)}
        assert shared.manage("POST", place, sent).status == 200
        told = shared.manage("GET", f"{place}/{name}").json
        of_its_own = {"createdTime", "lastModifiedTime", "triggerId", "httpTrigger"}
        assert {key: value for key, value in told.items() if key not in of_its_own} == sent


def test_a_domain_tells_that_it_has_no_firewall(shared: Server) -> None:
    """As FC's tools compare it with what a template says."""
    made = shared.manage("POST", f"{API}/custom-domains", {"domainName": "firewall.example.com", "protocol": "HTTP"})
    assert made.json["wafConfig"] == {"enableWAF": False}
    changed = shared.manage("PUT", f"{API}/custom-domains/firewall.example.com", {"wafConfig": {"enableWAF": True}})
    assert changed.json["wafConfig"] == {"enableWAF": True}


def test_a_reserve_of_nothing_has_no_name(shared: Server) -> None:
    make(shared, "unreserved")
    place = f"{API}/functions/unreserved/provision-config?qualifier=LATEST"

    told = shared.manage("GET", place)
    assert (told.status, told.json["functionArn"], told.json["target"], told.json["current"]) == (200, "", 0, 0)
    assert shared.manage("PUT", place, {"defaultTarget": 1}).json["functionArn"].endswith("functions/unreserved/LATEST")
    assert shared.manage("DELETE", place).status == 204
    assert shared.manage("GET", place).json["functionArn"] == ""


def test_functions_are_found_by_what_they_are_before_the_list_is_cut(shared: Server) -> None:
    for number in range(4):
        make(shared, f"find-{number}", runtime="python3.9" if number % 2 else "python3.10", description=f"No. {number}")
    make(shared, "find-tagged", tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    make(shared, "find-gpu", gpuConfig={"gpuType": "fc.gpu.ada.1", "gpuMemorySize": 1024}, resourceGroupId="rg-1")

    first = shared.manage("GET", f"{API}/functions?runtime=python3.9&prefix=find-&limit=1").json
    assert [each["functionName"] for each in first["functions"]] == ["find-1"]
    assert listed(shared, f"runtime=python3.9&prefix=find-&limit=1&nextToken={first['nextToken']}") == ["find-3"]
    assert listed(shared, "description=No.+2") == ["find-2"]
    assert listed(shared, "functionName=nd-ta") == ["find-tagged"]
    assert listed(shared, "gpuType=fc.gpu.ada.1") == listed(shared, "resourceGroupId=rg-1") == ["find-gpu"]
    assert "find-1" in listed(shared, "fcVersion=v3&resourceGroupId=default&limit=100")
    assert listed(shared, "fcVersion=v2") == []
    for tags, names in (([{"Key": "a", "Value": "1"}], ["find-tagged"]), ([{"Key": "a", "Value": "2"}], [])):
        assert listed(shared, f"tags={quote(json.dumps(tags))}") == names
    assert shared.manage("GET", f"{API}/functions?tags=[1]").json["Code"] == "InvalidArgument"


def test_a_disabled_function_says_why_and_its_running_calls_may_be_ended(shared: Server) -> None:
    source = "import time\ndef handler(event, context):\n    time.sleep(60)\n"
    make(shared, "slow", timeout=60, code={"zipFile": zipped({"index.py": source})})
    place = f"{API}/functions/slow"
    answers: list[Response] = []
    caller = threading.Thread(target=lambda: answers.append(shared.request("POST", f"{place}/invocations", b"")))
    caller.start()

    def its() -> Any:
        return next(each for each in shared.functions() if each["function"] == "slow")

    wait_until(lambda: its()["instances"].get("ready"), "an instance, which has the call then")

    off = shared.manage("POST", f"{place}/invoke/disable", {"reason": "broken", "abortOngoingRequest": True})

    assert (off.status, off.json) == (200, {"success": True})
    caller.join(20)
    assert answers[0].headers["X-Fc-Error-Type"] or answers[0].status >= 400
    refused = shared.request("POST", f"{place}/invocations", b"")
    assert (refused.status, refused.json["Message"].endswith(": broken")) == (403, True)
    told = shared.manage("GET", place).json["invocationRestriction"]
    assert (told["disable"], told["reason"]) == (True, "broken")
    assert shared.manage("POST", f"{place}/invoke/enable").json == {"success": True}
    assert "invocationRestriction" not in shared.manage("GET", place).json


def test_instances_are_told_with_their_times_also_when_they_are_gone(shared: Server) -> None:
    make(shared, "lives")
    place = f"{API}/functions/lives"
    assert shared.request("POST", f"{place}/invocations", b"x").body == b"x"
    [one] = shared.manage("GET", f"{place}/instances").json["instances"]

    assert set(one) == {
        "instanceId", "versionId", "qualifier", "status", "resourceType", "createdTimeMs", "destroyedTimeMs",
    }  # fmt: skip
    assert (one["versionId"], one["qualifier"], one["status"], one["destroyedTimeMs"]) == ("0", "LATEST", "Running", 0)
    born = one["createdTimeMs"]
    for query, found in (
        (f"endTimeMs={born}", 1), (f"endTimeMs={born - 1}", 0), (f"startTimeMs={born + 10**9}", 1),
        ("instanceStatus=[%22Destroyed%22]", 0), ("instanceIds=c-none", 0), (f"startKey={one['instanceId']}", 1),
    ):  # fmt: skip
        assert len(shared.manage("GET", f"{place}/instances?{query}").json["instances"]) == found, query
    assert shared.manage("GET", f"{place}/instances?startTimeMs=soon").json["Code"] == "InvalidArgument"
    shared.manage("PUT", f"{place}/invoke/disable", {})
    leaves = "import os\ndef handler(event, context):\n    os._exit(1)\n"
    make(shared, "leaves", code={"zipFile": zipped({"index.py": leaves})})
    shared.request("POST", f"{API}/functions/leaves/invocations", b"")
    gone = f"{API}/functions/leaves/instances?instanceStatus=Destroyed"
    [dead] = wait_until(lambda: shared.manage("GET", gone).json["instances"], "the dead instance")
    assert dead["destroyedTimeMs"] >= dead["createdTimeMs"]


def test_tags_come_in_pages_and_by_what_they_are(shared: Server) -> None:
    arns = [make(shared, f"tag-{number}")["functionArn"] for number in range(3)]
    for number, arn in enumerate(arns):
        tags = [{"Key": "tag", "Value": str(number)}, {"Key": "of", "Value": "tests"}]
        sent = {"ResourceType": "function", "ResourceId": [arn], "Tag": tags}
        assert set(shared.manage("POST", f"{API}/tags-v2", sent).json) == {"RequestId"}

    def told(query: str) -> Any:
        return shared.manage("GET", f"{API}/tags-v2?ResourceType=function&{query}").json

    wanted = quote(json.dumps([{"Key": "of", "Value": "tests"}]))
    first = told(f"Limit=2&Tag={wanted}")
    assert [each["ResourceId"] for each in first["TagResources"]] == [arns[0]] * 2 + [arns[1]] * 2
    rest = told(f"Limit=2&Tag={wanted}&NextToken={first['NextToken']}")
    assert ([each["ResourceId"] for each in rest["TagResources"]], rest["NextToken"]) == ([arns[2]] * 2, "")
    assert len(told(f"ResourceId={quote(json.dumps(arns[:1]))}")["TagResources"]) == 2
    gone = f"{API}/tags-v2?ResourceType=function&ResourceId.1={quote(arns[0])}&TagKey.1=of"
    assert shared.manage("DELETE", gone).status == 200
    assert shared.manage("GET", f"{API}/functions/tag-0").json["tags"] == [{"Key": "tag", "Value": "0"}]


def test_the_region_is_told_as_the_sdk_reads_it(shared: Server) -> None:
    region = "cn-hangzhou"

    told = shared.manage("GET", f"{API}/regions").json

    assert told == {"Regions": {"Region": [{"RegionId": region, "LocalName": region}]}}


SHOWN = """import os, json
def handler(event, context):
    return json.dumps([os.environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID", ""), context.credentials.access_key_id])
"""


def test_credentials_are_kept_from_where_they_are_not_wanted(shared: Server) -> None:
    make(shared, "withheld", code={"zipFile": zipped({"index.py": SHOWN})})
    place = f"{API}/functions/withheld"

    def seen() -> list[bool]:
        return [bool(each) for each in shared.request("POST", f"{place}/invocations", b"").json]

    for where, expected in (("None", [True, True]), ("Env", [False, True]), ("Request", [True, False])):
        assert shared.manage("PUT", place, {"disableInjectCredentials": where}).status == 200
        assert seen() == expected, where
    shared.manage("PUT", place, {"disableInjectCredentials": "All"})
    assert seen() == [False, False]


CORS = {
    "allowOrigins": ["https://a.example", "https://b.example"], "allowMethods": ["GET"], "allowHeaders": ["x-a"],
    "exposeHeaders": ["x-own"], "allowCredentials": True, "maxAge": 60,
}  # fmt: skip


def allowed(answer: Response) -> dict[str, list[str]]:
    names = {name.lower() for name in answer.headers if name.lower().startswith("access-control-")}
    return {name.removeprefix("access-control-"): answer.headers.get_all(name) for name in names}


def test_pages_of_other_sites_may_do_what_the_trigger_says_or_else_the_domain(shared: Server) -> None:
    make(shared, "cross")
    place, path = f"{API}/functions/cross/triggers", "/2016-08-15/proxy/default/cross/"
    config = {"authType": "anonymous", "methods": ["GET", "OPTIONS"], "corsConfig": CORS}
    made = {"triggerName": "http", "triggerType": "http", "triggerConfig": json.dumps(config)}
    trigger = shared.manage("POST", place, made)
    assert json.loads(trigger.json["triggerConfig"])["corsConfig"] == CORS
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-a, x-b"}

    told = shared.request("OPTIONS", path, None, {**asks, "Origin": "https://a.example"})

    assert told.status == 204
    assert allowed(told) == {
        "allow-origin": ["https://a.example"], "allow-credentials": ["true"], "allow-methods": ["GET"],
        "allow-headers": ["x-a"], "expose-headers": ["x-own"], "max-age": ["60"],
    }  # fmt: skip
    answered = allowed(shared.request("GET", path, None, {"Origin": "https://b.example"}))
    assert (answered["allow-origin"], "x-own" in answered["expose-headers"]) == (["https://b.example"], True)
    for method in ("OPTIONS", "GET"):
        foreign = shared.request(method, path, None, {**asks, "Origin": "https://c.example"})
        assert "allow-origin" not in allowed(foreign)

    without = shared.manage("PUT", f"{place}/http", {"triggerConfig": json.dumps({**config, "corsConfig": None})})
    assert "corsConfig" not in json.loads(without.json["triggerConfig"])
    domain = {
        "domainName": "cross.example.com", "protocol": "HTTP", "corsConfig": {**CORS, "allowHeaders": ["*"]},
        "routeConfig": {"routes": [{"path": "/*", "functionName": "cross"}]},
    }  # fmt: skip
    shared.manage("POST", f"{API}/custom-domains", domain)
    sent = {**asks, "Origin": "https://a.example", "Host": "cross.example.com"}
    assert shared.request("GET", "/", None, sent).headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert "allow-origin" not in allowed(shared.request("GET", "/", None, {**sent, "Origin": "https://c.example"}))


def test_a_header_that_would_be_two_is_no_part_of_what_pages_may_do(shared: Server) -> None:
    config = {"authType": "anonymous", "methods": ["GET"], "corsConfig": {"exposeHeaders": ["a\r\nb: c"]}}
    make(shared, "two")
    made = {"triggerName": "http", "triggerType": "http", "triggerConfig": json.dumps(config)}

    answer = shared.manage("POST", f"{API}/functions/two/triggers", made)

    assert (answer.status, "exposeHeaders" in answer.json["Message"]) == (400, True)


def test_who_may_call_is_not_everybody_unless_the_trigger_says_so(shared: Server) -> None:
    make(shared, "closed")
    made = {"triggerName": "http", "triggerType": "http", "triggerConfig": json.dumps({"methods": ["GET"]})}

    told = shared.manage("POST", f"{API}/functions/closed/triggers", made).json

    assert json.loads(told["triggerConfig"])["authType"] == "function"
    assert shared.request("GET", "/2016-08-15/proxy/default/closed/").status in {400, 403}
