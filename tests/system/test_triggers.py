"""Triggers that a source of events fires, in a real server."""

from __future__ import annotations

import json
import re
import signal
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud.mns_client import Client as MnsClient
from cloud.sls_client import Client as SlsClient
from objects import Client as OssClient
from support import Server, pyfc, wait_until

CODE = """
def handler(event, context):
    print("fired", context.request_id, event.decode())
"""
API = "/2016-08-15/services/demo/functions/tick/triggers"


def project(**events: dict[str, Any]) -> dict[str, str]:
    function = {
        "Type": "Aliyun::Serverless::Function",
        "Properties": {"Handler": "index.handler", "Runtime": "python3", "CodeUri": "./"},
        "Events": events,
    }
    service = {"Type": "Aliyun::Serverless::Service", "tick": function}
    template = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": service}}
    return {"index.py": CODE, "template.yml": json.dumps(template)}


def timer(expression: str = "* * * * * *", **more: object) -> dict[str, Any]:
    return {"Type": "Timer", "Properties": {"CronExpression": expression, **more}}


def fired(server: Server) -> dict[str, set[str]]:
    """Request ids by the time that was planned."""
    found = defaultdict(set)
    for request_id, event in re.findall(
        r"fired (\S+) (\{[^\n]*?\})(?=\\n|\n|$)", server.log("demo", "tick").replace('\\"', '"')
    ):
        found[json.loads(event)["triggerTime"]].add(request_id)
    return dict(found)


def triggers(server: Server) -> dict[str, dict[str, Any]]:
    rows = server.manage("GET", "/pyfc/triggers?next=2").json["triggers"]
    return {row["trigger"]: row for row in rows}


def test_timers_of_a_template_fire_and_are_told(serve: Callable[..., Server]) -> None:
    server = serve(
        project(every=timer(Payload="hello"), off=timer("@every 5m", Enable=False), later=timer("0 0 8 1 1 ?"))
    )

    wait_until(lambda: len(fired(server)) >= 2, "two times")
    assert '"payload":"hello"' in server.log("demo", "tick").replace('\\"', '"')
    told = triggers(server)
    assert {name: row["state"] for name, row in told.items()} == {
        "every": "ready", "off": "disabled", "later": "ready",
    }  # fmt: skip
    assert told["every"]["fired"] >= 2
    assert told["later"]["upcoming"] == [told["later"]["next"], told["later"]["next"] + 365 * 86400]
    status, table, _ = pyfc("triggers", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))
    assert status == 0
    assert re.search(r"demo/tick:every +timer +ready +20", table)
    status, times, _ = pyfc(
        "triggers", "demo/tick", "--next", "2", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir)
    )
    assert len(re.findall(r"-01-01 08:00:00Z {2}demo/tick:later", times)) == 2


def test_who_asks_for_next_times_hears_why_there_are_none(serve: Callable[..., Server]) -> None:
    bucket = {"BucketName": "photos", "Events": ["oss:ObjectCreated:*"]}
    web = {"Type": "HTTP", "Properties": {"AuthType": "ANONYMOUS", "Methods": ["GET"]}}
    server = serve(project(off=timer("@every 5m", Enable=False), made={"Type": "OSS", "Properties": bucket}, web=web))

    status, said, _ = pyfc("triggers", "--next", "3", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))

    assert (status, sorted(said.splitlines())) == (0, [
        f"{'-':20}  demo/tick:made (oss: not by the clock)", f"{'-':20}  demo/tick:off (switched off)",
        f"{'-':20}  demo/tick:web (http: not by the clock)",
    ])  # fmt: skip


def test_a_timer_made_by_the_api_fires_until_it_is_deleted_or_switched_off(serve: Callable[..., Server]) -> None:
    server = serve(project())
    document = {"triggerName": "t", "triggerType": "timer", "triggerConfig": {"cronExpression": "* * * * * *"}}

    wrong = {**document, "triggerConfig": {"cronExpression": "0 8 * * *"}}
    answer = server.manage("POST", API, wrong)
    assert (answer.status, "triggerConfig.cronExpression" in answer.json["ErrorMessage"]) == (400, True)
    assert server.manage("POST", API, document).status == 200
    wait_until(lambda: fired(server), "the first time")
    off = {"triggerConfig": {"cronExpression": "* * * * * *", "enable": False}}
    assert server.manage("PUT", f"{API}/t", off).status == 200
    wait_until(lambda: triggers(server)["t"]["state"] == "disabled", "that it is off")
    assert server.manage("DELETE", f"{API}/t").status == 204
    wait_until(lambda: triggers(server) == {}, "that it is gone")


def test_an_update_says_what_changes_and_what_a_timer_can_not_have_is_refused(serve: Callable[..., Server]) -> None:
    server = serve(project())
    config = {"cronExpression": "0 0 8 1 1 ?", "payload": "hello"}
    assert (
        server.manage("POST", API, {"triggerName": "t", "triggerType": "timer", "triggerConfig": config}).status == 200
    )

    changed = server.manage("PUT", f"{API}/t", {"triggerConfig": {"payload": "bye"}})
    assert changed.json["triggerConfig"] == {**config, "payload": "bye"}
    for name, value in (("enable", "yes"), ("payload", "x" * 131072), ("cronExpression", "0 8 * * *")):
        refused = server.manage("PUT", f"{API}/t", {"triggerConfig": {name: value}})
        assert (refused.status, f"triggerConfig.{name}" in refused.json["ErrorMessage"]) == (400, True)


def test_what_a_timer_has_done_outlives_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    files = project(every=timer(), hourly=timer("@every 1h"))
    for name, text in files.items():
        (folder / name).write_text(text)
    server = Server(folder, tmp_path / "data")
    wait_until(lambda: triggers(server)["every"]["last"], "the first time")
    before = triggers(server)
    server.stop(signal.SIGKILL)

    (folder / "template.yml").write_text(project(every=timer("0 0 8 1 1 ?"), hourly=timer("@every 1h"))["template.yml"])
    server = Server(folder, tmp_path / "data")
    after = triggers(server)
    server.stop()

    assert after["every"]["fired"] >= before["every"]["fired"]
    assert after["every"]["last"] >= before["every"]["last"]
    assert after["hourly"]["next"] == before["hourly"]["next"]


def test_the_command_names_what_there_is_not_and_tells_what_comes_again(serve: Callable[..., Server]) -> None:
    server = serve(project(later=timer("0 0 8 1 1 ?")))

    def command(*words: str) -> tuple[int, str, str]:
        return pyfc("triggers", *words, "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))

    status, _, told = command("nope/x")
    assert (status, "nope" in told) == (2, True)
    status, _, told = command("demo/x")
    assert (status, "'x'" in told) == (2, True)
    for number in ("-1", "0", "101", "9" * 30):
        status, _, told = command(f"--next={number}")
        assert (status, "1 to 100" in told) == (2, True)
    status, said, told = command("demo/tick", "--delete", "later")
    assert (status, said, "the template" in told) == (0, "later is gone\n", True)
    assert command("demo/tick")[:2] == (0, "no triggers\n")


def test_a_trigger_of_a_qualifier_calls_that_version(serve: Callable[..., Server]) -> None:
    files = project()
    server = serve({**files, "index.py": CODE.replace("event.decode()", "context.service.version_id, event.decode()")})
    assert server.manage("POST", "/2016-08-15/services/demo/versions", {}).json["versionId"] == "1"
    alias = {"aliasName": "prod", "versionId": "1"}
    assert server.manage("POST", "/2016-08-15/services/demo/aliases", alias).status == 200

    for name, qualifier in (("version", "1"), ("alias", "prod"), ("newest", "")):
        config = {"cronExpression": "* * * * * *", "payload": name}
        document = {"triggerName": name, "triggerType": "timer", "triggerConfig": config, "qualifier": qualifier}
        assert server.manage("POST", API, document).status == 200

    def called() -> dict[str, str]:
        text = server.log("demo", "tick").replace('\\"', '"')
        return {name: version for version, name in re.findall(r'fired \S+ (\S*) \{.*?"triggerName":"(\w+)"', text)}

    wait_until(lambda: called().keys() == {"version", "alias", "newest"}, "all three")
    assert (called()["version"], called()["alias"]) == ("1", "1")
    assert called()["newest"] != "1"


def test_a_trigger_that_can_not_fire_shows_why(serve: Callable[..., Server]) -> None:
    bucket = {"BucketName": "photos", "Events": ["oss:ObjectCreated:*"]}
    server = serve(project(a={"Type": "OSS", "Properties": bucket}, b={"Type": "OSS", "Properties": bucket}))

    status, said, _ = pyfc("triggers", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))

    assert status == 0
    assert re.search(r"demo/tick:a +oss +ready ", said)
    assert re.search(r"demo/tick:b +oss +failing ", said)
    assert re.search(r"^demo/tick:b: event source 'oss' returned error: .*demo/tick:a$", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("kind", "arn", "config", "told"),
    [
        ("oss", "", {"bucketName": "Photos"}, "triggerConfig.bucketName names the bucket: 'Photos' cannot be"),
        ("oss", "acs:oss:cn-hangzhou:1:pyfc", {}, "sourceArn names the bucket: the server itself uses the name 'pyfc'"),
        ("log", "acs:log:cn-hangzhou:1:project/Web Logs", {}, "sourceArn names 'Web Logs': A project's name has"),
        ("log", "", {"sourceConfig": {"logstore": "a/b"}}, "triggerConfig.sourceConfig.logstore names 'a/b': A log"),
        ("log", "", {"logConfig": {"project": "Xyz"}}, "triggerConfig.logConfig.project names 'Xyz': A project's name"),
        ("mns_topic", "", {"topicName": "n ews"}, "triggerConfig.topicName is 'n ews': a topic's name has"),
        ("mns_topic", "acs:mns:cn-hangzhou:1:/topics/-", {}, "sourceArn is '-': a topic's name has"),
        ("eventbridge", "", {"eventSourceConfig": {"eventSourceType": "MNS", "eventSourceParameters": {
            "sourceMNSParameters": {"QueueName": "or/ders"}}}}, "sourceMNSParameters.QueueName is 'or/ders'"),
    ],
)  # fmt: skip
def test_the_api_refuses_a_trigger_whose_source_can_be_none(
    serve: Callable[..., Server], kind: str, arn: str, config: dict[str, Any], told: str
) -> None:
    server = serve(project())
    document = {"triggerName": "t", "triggerType": kind, "sourceArn": arn, "triggerConfig": config}

    answer = server.manage("POST", API, document)

    assert (answer.status, answer.json["ErrorCode"]) == (400, "InvalidArgument")
    assert told in answer.json["ErrorMessage"]
    if not arn and kind != "mns_topic":
        assert server.manage("POST", API, {**document, "triggerConfig": {}}).status == 200
        answer = server.manage("PUT", f"{API}/t", {"triggerConfig": config})
        assert (answer.status, told in answer.json["ErrorMessage"]) == (400, True)


def test_what_a_trigger_has_made_is_already_there_for_clients(serve: Callable[..., Server]) -> None:
    source = {"eventSourceType": "MNS", "eventSourceParameters": {"sourceMNSParameters": {"QueueName": "orders"}}}
    triggers = {
        "log": {"sourceConfig": {"logstore": "access"}, "logConfig": {"project": "web-logs", "logstore": "fc"}},
        "mns_topic": {"topicName": "news"},
        "eventbridge": {"eventSourceConfig": source},
        "oss": {"bucketName": "photos", "events": ["oss:ObjectCreated:*"]},
    }
    server = serve(project())
    for kind, config in triggers.items():
        document = {"triggerName": kind, "triggerType": kind, "triggerConfig": config}
        assert server.manage("POST", API, document).status == 200, kind
    logs, messages = SlsClient(server, "web-logs"), MnsClient(server)

    def made() -> bool:
        topics = messages("GET", "/topics/news").status, messages("GET", "/queues/orders").status
        return topics == (200, 200) and logs("GET", "/logstores/access").status == 200

    wait_until(made, "what they are for")
    assert OssClient(server)("PUT", bucket="photos").code == "BucketAlreadyExists"
    own = {"projectName": "web-logs", "description": ""}
    assert logs("POST", "/", body=own).code == "ProjectAlreadyExist"
    store = {"logstoreName": "access", "ttl": 1, "shardCount": 1}
    assert logs("POST", "/logstores", body=store).code == "LogStoreAlreadyExist"
    assert [messages.create(name).status for name in ("topics/news", "queues/orders")] == [204, 204]


def test_a_wrong_expression_in_a_template_is_told_and_everything_else_is_served(serve: Callable[..., Server]) -> None:
    server = serve(project(bad=timer("0 0 0 L * *"), good=timer()))

    wait_until(lambda: fired(server), "the other timer")
    assert "bad" not in triggers(server)
    assert "the last day" in json.dumps(server.ready)


@pytest.mark.long
def test_no_time_is_called_for_twice_although_the_server_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in project(every=timer()).items():
        (folder / name).write_text(text)
    server = Server(folder, tmp_path / "data")
    for _ in range(3):
        known = len(fired(server))
        wait_until(lambda: len(fired(server)) > known + 1, "two more times")  # noqa: B023
        server.stop(signal.SIGKILL)
        server = Server(folder, tmp_path / "data")
    wait_until(lambda: len(fired(server)) > known + 3, "times after the last start")
    found = fired(server)
    server.stop()

    assert {len(ids) for ids in found.values()} == {1}
    assert len({next(iter(ids)) for ids in found.values()}) == len(found)


FIRED = """
def handler(event, context):
    return event

def web(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("201 Created", [])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']} ".encode() + body]
"""


def fired_project() -> dict[str, str]:
    def function(handler: str, **events: dict[str, Any]) -> dict[str, Any]:
        properties = {"Handler": f"index.{handler}", "Runtime": "python3", "CodeUri": "./"}
        return {"Type": "Aliyun::Serverless::Function", "Properties": properties, "Events": events}

    oss = {
        "BucketName": "photos",
        "Events": ["oss:ObjectCreated:*"],
        "Filter": {"Key": {"Prefix": "in/", "Suffix": ""}},
    }
    anyone = {"Type": "HTTP", "Properties": {"AuthType": "ANONYMOUS", "Methods": ["POST"]}}
    service = {
        "Type": "Aliyun::Serverless::Service",
        "tick": function("handler", nightly=timer("0 0 8 1 1 ?", Payload="hello")),
        "two": function("handler", put={"Type": "OSS", "Properties": oss}, nightly=timer("0 0 8 1 1 ?")),
        "web": function("web", http={"Type": "HTTP", "Properties": {"AuthType": "FUNCTION", "Methods": ["POST"]}}),
        "both": function("handler", http=anyone, nightly=timer("0 0 8 1 1 ?", Payload="hello")),
        "bare": function("handler"),
    }
    template = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": service}}
    return {"index.py": FIRED, "template.yml": json.dumps(template)}


def test_a_trigger_is_fired_as_its_source_would(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(fired_project())

    def command(*words: str) -> tuple[int, str, str]:
        return pyfc(*words, "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))

    status, said, _ = command("trigger", "fire", "demo/tick", "--wait", "--set", "payload=bye")
    assert (status, json.loads(said)["payload"], json.loads(said)["triggerName"]) == (0, "bye", "nightly")
    status, said, _ = command("trigger", "fire", "demo/tick")
    assert status == 0
    wait_until(lambda: server.manage("GET", f"/pyfc/calls/{said.strip()}").status == 200, "that it was called")
    status, said, _ = command("trigger", "fire", "demo/two:put", "--wait", "--set", "oss.object.key=in/b.png")
    [element] = json.loads(said)["events"]
    assert (element["oss"]["bucket"]["name"], element["oss"]["object"]["key"]) == ("photos", "in/b.png")
    same = ("demo/two:put", "--set", "eventTime=now")
    assert command("trigger", "fire", *same, "--print")[1] == command("event", *same)[1] != ""
    status, said, _ = command("trigger", "fire", "demo/bare", "--type", "log")
    assert (status, json.loads(said)["jobName"][:4]) == (0, "1f70")  # it waits, as the log service does
    (tmp_path / "event").write_text('{"events": [{"a": 1}]}')
    status, said, _ = command("trigger", "fire", "demo/tick", "--wait", "-f", str(tmp_path / "event"), "--set", "a=[2]")
    assert json.loads(said) == {"events": [{"a": [2]}]}
    status, said, _ = command("trigger", "fire", "demo/both:nightly", "--wait")  # beside an HTTP trigger
    assert (status, json.loads(said)["payload"]) == (0, "hello")
    status, _, told = command("trigger", "fire", "demo/web", "--type", "timer")
    assert (status, "has an HTTP trigger: call it at /2016-08-15/proxy/demo/web/" in told) == (2, True), told


def test_an_http_trigger_is_fired_by_a_request(serve: Callable[..., Server]) -> None:
    server = serve(fired_project())

    def command(*words: str) -> tuple[int, str, str]:
        return pyfc("trigger", "fire", "demo/web", *words, "--endpoint", server.endpoint,
                    PYFC_DATA_DIR=str(server.data_dir))  # fmt: skip

    assert command("-e", "body", "--set", "rawPath=/x y", "--set", "queryParameters.a=b c") == (
        0, "POST /x y?a=b+c body", "HTTP 201\n",
    )  # fmt: skip
    assert command("--set", "requestContext.http.method=GET")[0] == 1
    status, _, told = command("-e", "x", "--set", "requestContext=1")
    assert (status, "tells of no HTTP request" in told) == (2, True)


def test_a_trigger_that_is_not_clear_is_told(serve: Callable[..., Server]) -> None:
    server = serve(fired_project())

    for name, parts in (
        ("demo/two", ("2 triggers", "nightly, put")), ("demo/two:no", ("'no'", "nightly, put")),
        ("demo/bare", ("no triggers", "--type")), ("demo/nope", ("'nope'",)), ("nope/x:y", ("'nope'",)),
    ):  # fmt: skip
        status, _, told = pyfc("trigger", "fire", name, "--endpoint", server.endpoint,
                               PYFC_DATA_DIR=str(server.data_dir))  # fmt: skip
        assert (status, [part for part in parts if part not in told]) == (2, []), told
