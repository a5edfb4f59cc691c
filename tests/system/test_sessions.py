"""Sessions: calls that are led to the same instance, and the operations on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support import Response, Server, wait_until, zipped

API = "/2023-03-30"
SOURCE = """
import os

count = 0

def handler(event, context):
    global count
    count += 1
    return f"{os.getpid()} {count}"
"""
FUNCTION = {"runtime": "python3.10", "handler": "index.handler", "code": {"zipFile": zipped({"index.py": SOURCE})}}
HEADER = {"affinityHeaderFieldName": "My-Session", "sessionIdleTimeoutInSeconds": 600}


def make(server: Server, name: str, kind: str = "HEADER_FIELD", **config: Any) -> str:
    """A function with affinity; the path of it."""
    text = json.dumps({**HEADER, **config} if kind == "HEADER_FIELD" else config)
    affinity = {"sessionAffinity": kind, "sessionAffinityConfig": text}
    answer = server.manage("POST", f"{API}/functions", {**FUNCTION, "functionName": name, **affinity})
    assert answer.status == 200, answer.body
    assert answer.json["sessionAffinityConfig"] == text
    return f"{API}/functions/{name}"


def call(server: Server, path: str, **headers: str) -> Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request("POST", f"{path}/invocations", b"", sent)


def said(answer: Response) -> tuple[str, int]:
    """The instance that has answered, and how many calls it has had."""
    assert answer.status == 200, answer.body
    return answer.headers["X-Fc-Instance-Id"], int(answer.body.split()[1])


def test_calls_of_a_session_have_an_instance_of_their_own(shared: Server) -> None:
    path = make(shared, "apart")

    one, other = said(call(shared, path, My_Session="one")), said(call(shared, path, my_session="other"))

    assert one[0] != other[0]
    assert said(call(shared, path, My_Session="one")) == (one[0], 2)
    assert said(call(shared, path, My_Session="other")) == (other[0], 2)
    told = shared.manage("GET", f"{path}/sessions").json["sessions"]
    assert [(each["sessionId"], each["containerId"]) for each in told] == [("one", one[0]), ("other", other[0])]
    instances = shared.manage("GET", f"{path}/instances").json["instances"]
    assert {each["instanceId"] for each in instances} == {one[0], other[0]}
    refused = call(shared, path, My_Session="no id")
    assert (refused.status, refused.json["Code"]) == (400, "InvalidArgument")


def test_sessions_share_an_instance_as_far_as_they_may(shared: Server) -> None:
    path = make(shared, "share", sessionConcurrencyPerInstance=2)
    shared.manage("PUT", path, {"instanceConcurrency": 10})

    homes = [said(call(shared, path, My_Session=name))[0] for name in ("a", "b", "c", "d")]

    assert (len(set(homes[:2])), len(set(homes[2:])), len(set(homes))) == (1, 1, 2)
    shared.manage("PUT", path, {"instanceIsolationMode": "SESSION_EXCLUSIVE"})
    assert len({said(call(shared, path, My_Session=name))[0] for name in ("a", "b", "c")}) == 3


def test_who_has_no_session_is_told_one(shared: Server) -> None:
    path = make(shared, "told")
    first = call(shared, path)
    again = call(shared, path, My_Session=first.headers["My-Session"])

    assert said(again) == (said(first)[0], 2)
    assert again.headers["My-Session"] is None
    baked = make(shared, "baked", "GENERATED_COOKIE", sessionIdleTimeoutInSeconds=600)
    first = call(shared, baked)
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    assert said(call(shared, baked, Cookie=f"a=b; {cookie}; c=d")) == (said(first)[0], 2)
    assert said(call(shared, baked))[0] != said(first)[0]


def test_a_session_that_is_asked_for_has_its_instance_before_it_is_called(shared: Server) -> None:
    path = make(shared, "asked")
    wishes = {"sessionTTLInSeconds": 3600, "sessionIdleTimeoutInSeconds": 60, "nasConfig": {"userId": 5}}

    made = shared.manage("POST", f"{path}/sessions?qualifier=LATEST", wishes)

    assert made.status == 200, made.body
    expected = {
        "functionName": "asked", "qualifier": "LATEST", "sessionAffinityType": "HEADER_FIELD",
        "sessionStatus": "Active", "sessionTTLInSeconds": 3600, "sessionIdleTimeoutInSeconds": 60,
        "disableSessionIdReuse": False, "nasConfig": {"userId": 5},
    }  # fmt: skip
    assert {name: made.json[name] for name in expected} == expected
    name = made.json["sessionId"]
    assert said(call(shared, path, My_Session=name)) == (made.json["containerId"], 1)
    one = f"{path}/sessions/{name}"
    changed = shared.manage("PUT", f"{one}?qualifier=LATEST", {"sessionTTLInSeconds": 7200})
    assert (changed.json["sessionTTLInSeconds"], changed.json["sessionIdleTimeoutInSeconds"]) == (7200, 60)
    assert shared.manage("GET", one).json == changed.json
    assert shared.manage("POST", f"{path}/sessions", {"sessionId": name}).json["Code"] == "SessionAlreadyExists"
    assert shared.manage("DELETE", one).status == 204
    assert shared.manage("GET", one).json["Code"] == "SessionNotFound"
    wait_until(lambda: not shared.manage("GET", f"{path}/instances").json["instances"], "the end of its instance")


def test_a_session_ends_when_it_is_idle_or_old(shared: Server) -> None:
    path = make(shared, "ends", sessionIdleTimeoutInSeconds=1)
    first = said(call(shared, path, My_Session="s"))

    def status() -> Any:
        return shared.manage("GET", f"{path}/sessions/s").json["sessionStatus"]

    assert status() == "Active"
    wait_until(lambda: status() == "Expired", "its end")
    assert said(call(shared, path, My_Session="s"))[1] == 1
    told = shared.manage("GET", f"{path}/sessions?sessionStatus=Active").json["sessions"]
    assert [each["containerId"] != first[0] for each in told] == [True]
    once = shared.manage("POST", f"{path}/sessions", {"disableSessionIdReuse": True, "sessionTTLInSeconds": 1}).json
    name = once["sessionId"]
    expired = f"{path}/sessions?sessionStatus=Expired&sessionId={name}"
    wait_until(lambda: shared.manage("GET", expired).json["sessions"], "its end")
    again = call(shared, path, My_Session=name)
    assert (again.status, again.json["Code"]) == (400, "SessionExpired")
    assert shared.manage("PUT", f"{path}/sessions/{name}", {}).json["Code"] == "SessionExpired"


def test_a_session_whose_call_runs_is_not_idle(shared: Server) -> None:
    source = "import time\ndef handler(event, context):\n    time.sleep(float(event))\n    return 'slept'\n"
    path = make(shared, "busy", sessionIdleTimeoutInSeconds=1)
    shared.manage("PUT", path, {"code": {"zipFile": zipped({"index.py": source})}, "timeout": 20})

    answer = shared.request("POST", f"{path}/invocations", b"2.2", {"My-Session": "long"})

    assert answer.body == b"slept"
    assert shared.manage("GET", f"{path}/sessions/long").json["sessionStatus"] == "Active"


def test_more_sessions_than_there_may_be_instances_are_refused(shared: Server) -> None:
    path = make(shared, "few")
    shared.manage("PUT", f"{path}/concurrency", {"reservedConcurrency": 2})
    for name in ("one", "other"):
        said(call(shared, path, My_Session=name))

    third = call(shared, path, My_Session="third")

    assert (third.status, third.json["Code"]) == (429, "ResourceExhausted")
    assert shared.manage("POST", f"{path}/sessions", {}).status == 429
    shared.manage("DELETE", f"{path}/sessions/one")
    wait_until(lambda: call(shared, path, My_Session="third").status == 200, "room for the third")


def test_a_new_version_of_the_code_is_served_to_all_and_asynchronous_calls_have_no_session(shared: Server) -> None:
    path = make(shared, "changed")
    first = said(call(shared, path, My_Session="s"))

    shared.manage("PUT", path, {"environmentVariables": {"A": "b"}})

    again = said(call(shared, path, My_Session="s"))
    assert (again[0] != first[0], again[1]) == (True, 1)
    later = call(shared, path, My_Session="other", X_Fc_Invocation_Type="Async")
    assert later.status == 202
    shared.record(later.headers["X-Fc-Request-Id"])
    assert [each["sessionId"] for each in shared.manage("GET", f"{path}/sessions").json["sessions"]] == ["s"]


def test_a_session_goes_on_when_its_instance_has_died(shared: Server) -> None:
    path = make(shared, "dies")
    text = SOURCE.replace("    count += 1", "    count += 1\n    if event == b'die': os._exit(1)")
    shared.manage("PUT", path, {"code": {"zipFile": zipped({"index.py": text})}})
    first = said(call(shared, path, My_Session="s"))
    assert shared.request("POST", f"{path}/invocations", b"die", {"My-Session": "s"}).headers["X-Fc-Error-Type"]

    again = said(call(shared, path, My_Session="s"))

    assert (again[0] != first[0], again[1]) == (True, 1)
    assert said(call(shared, path, My_Session="s")) == (again[0], 2)


def test_instances_of_sessions_go_last_when_others_need_their_room(serve: Callable[..., Server]) -> None:
    server = serve({}, PYFC_MAXIMUM_SERVER_INSTANCES="1")
    path = make(server, "held")
    server.manage("POST", f"{API}/functions", {**FUNCTION, "functionName": "other"})
    first = said(call(server, path, My_Session="s"))

    assert said(call(server, f"{API}/functions/other"))[1] == 1

    again = said(call(server, path, My_Session="s"))
    assert (again[0] != first[0], again[1]) == (True, 1)
    told = server.manage("GET", f"{path}/sessions/s").json
    assert (told["sessionStatus"], told["containerId"]) == ("Active", again[0])


def test_sessions_of_http_triggers_are_those_of_their_pages(shared: Server) -> None:
    path = make(shared, "pages", "GENERATED_COOKIE")
    config = json.dumps({"authType": "anonymous", "methods": ["GET", "POST"]})
    made = {"triggerName": "http", "triggerType": "http", "triggerConfig": config}
    assert shared.manage("POST", f"{path}/triggers", made).status == 200
    url = "/2016-08-15/proxy/default/pages/x?y=z"

    first = shared.request("GET", url)
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    again = shared.request("POST", url, b"x" * 3_000_000, {"Cookie": cookie})

    assert (first.status, again.status, again.headers["Set-Cookie"]) == (200, 200, None)
    assert said(again) == (said(first)[0], 2)


def test_reserved_instances_are_those_of_sessions_to_come(shared: Server) -> None:
    path = make(shared, "reserved")
    shared.manage("PUT", f"{path}/concurrency", {"reservedConcurrency": 2})
    assert shared.manage("PUT", f"{path}/provision-config", {"defaultTarget": 2}).status == 200

    def current() -> Any:
        return shared.manage("GET", f"{path}/provision-config").json["current"]

    wait_until(lambda: current() == 2, "the reserve")
    kept = {each["instanceId"] for each in shared.manage("GET", f"{path}/instances").json["instances"]}

    assert {said(call(shared, path, My_Session=name))[0] for name in ("a", "b")} == kept
    shared.manage("DELETE", f"{path}/sessions/a")
    fresh = wait_until(
        lambda: {each["instanceId"] for each in shared.manage("GET", f"{path}/instances").json["instances"]} - kept,
        "another for the reserve",
    )
    assert said(call(shared, path, My_Session="c")) == (*fresh, 1)
    shared.manage("DELETE", f"{path}/sessions/b")
    wait_until(lambda: current() == 2, "the reserve again")
    shared.manage("PUT", f"{path}/provision-config", {"defaultTarget": 0})
    wait_until(lambda: len(shared.manage("GET", f"{path}/instances").json["instances"]) == 1, "the end of the reserve")
    assert said(call(shared, path, My_Session="c")) == (*fresh, 2)


def test_a_reserve_of_sessions_that_can_not_be_started_says_why_and_serves_what_comes_later(shared: Server) -> None:
    path = make(shared, "fails", sessionConcurrencyPerInstance=1)
    shared.manage("PUT", path, {"code": {"zipFile": zipped({"index.py": "import nothing_like_this"})}})
    shared.manage("PUT", f"{path}/provision-config", {"defaultTarget": 2})

    def told() -> Any:
        return shared.manage("GET", f"{path}/provision-config").json

    assert "nothing_like_this" in wait_until(lambda: told()["currentError"], "its error")
    shared.manage("PUT", path, {"code": {"zipFile": zipped({"index.py": SOURCE})}})
    wait_until(lambda: told()["current"] == 2, "the reserve")
    assert told()["currentError"] == ""


def test_an_alias_leads_all_calls_of_a_session_to_one_version(shared: Server) -> None:
    path = make(shared, "split")
    for number in (1, 2):
        shared.manage("PUT", path, {"environmentVariables": {"A": str(number)}})
        assert shared.manage("POST", f"{path}/versions", {}).status == 200
    alias = {"aliasName": "both", "versionId": "1", "additionalVersionWeight": {"2": 0.5}}
    assert shared.manage("POST", f"{path}/aliases", alias).status == 200
    names = [f"s{number}" for number in range(8)]

    def versions(name: str) -> set[str]:
        headers = {"My-Session": name}
        answers = [shared.request("POST", f"{path}/invocations?qualifier=both", b"", headers) for _ in range(4)]
        return {answer.headers["X-Fc-Invocation-Service-Version"] for answer in answers}

    found = [versions(name) for name in names]

    assert {len(each) for each in found} == {1}
    assert set.union(*found) == {"1", "2"}


def test_sessions_come_in_pages(shared: Server) -> None:
    path = make(shared, "paged")
    shared.manage("POST", f"{path}/versions", {})
    names = ["s3", "s1"]
    for name in names:
        assert shared.manage("POST", f"{path}/sessions", {"sessionId": name}).status == 200
    of_version = shared.manage("POST", f"{path}/sessions?qualifier=1", {"sessionId": "v"}).json

    first = shared.manage("GET", f"{path}/sessions?limit=1&qualifier=LATEST").json

    assert [each["sessionId"] for each in first["sessions"]] == names[:1]
    rest = shared.manage("GET", f"{path}/sessions?qualifier=LATEST&nextToken={first['nextToken']}").json
    assert ([each["sessionId"] for each in rest["sessions"]], "nextToken" in rest) == (names[1:], False)
    assert shared.manage("GET", f"{path}/sessions?qualifier=1").json["sessions"] == [of_version]
    told, token = [], ""
    while token or not told:
        part = shared.manage("GET", f"{path}/sessions?limit=1&nextToken={token}").json
        told += [each["sessionId"] for each in part["sessions"]]
        token = part.get("nextToken", "")
    assert told == [*names, "v"]


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"affinityHeaderFieldName": "x-fc-mine"}, "affinityHeaderFieldName"), ({}, "affinityHeaderFieldName"),
        ({"affinityHeaderFieldName": "My-Session", "sessionTTLInSeconds": 0}, "sessionTTLInSeconds"), ([], "mapping"),
    ],
)  # fmt: skip
def test_a_configuration_that_means_nothing_is_refused_by_its_property(shared: Server, config: Any, what: str) -> None:
    affinity = {"sessionAffinity": "HEADER_FIELD", "sessionAffinityConfig": json.dumps(config)}

    answer = shared.manage("POST", f"{API}/functions", {**FUNCTION, "functionName": "wrong", **affinity})

    assert (answer.status, answer.json["Code"]) == (400, "InvalidArgument")
    assert what in answer.json["Message"]


def test_what_one_machine_can_not_do_is_refused_and_what_is_not_there_is_missing(shared: Server) -> None:
    path = make(shared, "refuses")
    assert shared.manage("POST", f"{API}/functions", {**FUNCTION, "functionName": "plain"}).status == 200
    call(shared, path, My_Session="s")
    for method, place, document, status, code in (
        ("PUT", f"{path}/sessions/s/pause", {}, 400, "InvalidArgument"),
        ("PUT", f"{path}/sessions/s/resume", {}, 400, "InvalidArgument"),
        ("PUT", f"{path}/sessions/none/pause", {}, 404, "SessionNotFound"),
        ("POST", f"{path}/snapshots", {"sessionId": "s"}, 400, "InvalidArgument"),
        ("POST", f"{path}/snapshots", {"sessionId": "none"}, 404, "SessionNotFound"),
        ("POST", f"{path}/sessions", {"snapshotId": "none"}, 404, "SnapshotNotFound"),
        ("GET", f"{path}/snapshots/none", None, 404, "SnapshotNotFound"),
        ("DELETE", f"{path}/snapshots/none", None, 404, "SnapshotNotFound"),
        ("GET", f"{path}/sessions/none", None, 404, "SessionNotFound"),
        ("POST", f"{API}/functions/plain/sessions", {}, 400, "InvalidArgument"),
        ("POST", f"{API}/functions/none/sessions", {}, 404, "FunctionNotFound"),
        ("GET", f"{API}/snapshots?functionName=none", None, 404, "FunctionNotFound"),
    ):
        answer = shared.manage(method, place, document)
        assert (answer.status, answer.json["Code"]) == (status, code), (method, place, answer.body)
    assert shared.manage("GET", f"{API}/snapshots").json == {"snapshots": []}
    baked = make(shared, "chosen", "GENERATED_COOKIE")
    assert shared.manage("POST", f"{baked}/sessions", {"sessionId": "mine"}).status == 400


def test_a_function_moves_to_another_resource_group(shared: Server) -> None:
    plain = shared.manage("POST", f"{API}/functions", {**FUNCTION, "functionName": "moves"}).json["functionArn"]

    told = shared.manage("PUT", f"{API}/resource-groups", {"ResourceId": plain, "NewResourceGroupId": "rg-2"}).json

    assert told == {"ResourceId": plain, "OldResourceGroupId": "default", "NewResourceGroupId": "rg-2"}
    assert shared.manage("GET", f"{API}/functions/moves").json["resourceGroupId"] == "rg-2"
