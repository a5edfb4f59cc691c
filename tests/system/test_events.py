"""Events come in by the door, and functions get them, in a real server."""

from __future__ import annotations

import base64
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud.mns_client import Client as MnsClient
from objects import Client
from support import SHARES_FILES, Server, wait_until

CODE = """
def handler(event, context):
    print("fired", context.request_id, event.decode())
"""
EVENT = {"specversion": "1.0", "id": "1", "source": "my.app", "type": "order:made", "data": {"n": 1}}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def _project(**configs: dict[str, Any]) -> dict[str, str]:
    triggers = [
        {"triggerName": name, "triggerType": "eventbridge", "triggerConfig": config}
        for name, config in configs.items()
    ]  # fmt: skip
    props = {
        "functionName": "hello", "runtime": "python3", "handler": "index.handler", "code": "./", "triggers": triggers,
    }  # fmt: skip
    resource = {"component": "fc3", "props": props}
    return {"index.py": CODE, "s.yaml": json.dumps({"edition": "3.0.0", "resources": {"hello": resource}})}


MINE = {"eventRuleFilterPattern": '{"source": ["my.app"]}'}
QUEUE = {"eventSourceConfig": {"eventSourceType": "MNS"}}


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(_project(mine=MINE, queue=QUEUE, off={"triggerEnable": False}))


def _send(server: Server, event: Any, headers: dict[str, str] = STRUCTURED, path: str = "/pyfc/events") -> Any:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return server.request("POST", path, body, headers)


def _signed(server: Server, path: str, event: Any) -> Any:
    body = json.dumps(event).encode()
    return server.request("POST", path, body, server.signed_headers("POST", path, STRUCTURED))


def _got(server: Server, number: str) -> Any:
    """What the function got in a call."""

    def found() -> re.Match[str] | None:
        log = "".join(json.loads(line).get("log", "") for line in server.log(service, "hello").splitlines())
        return re.search(rf"fired {number} (.*)", log)

    service = server.functions()[0]["service"]
    return json.loads(wait_until(found, f"the call {number}")[1])


def test_an_event_fires_who_has_a_rule_for_it(server: Server) -> None:
    answer = _send(server, EVENT)

    assert answer.status == 202, answer.body
    [call] = answer.json["calls"]
    assert call["trigger"].endswith("/hello/mine")
    got = _got(server, call["requestId"])
    assert {name: got[name] for name in EVENT} == EVENT
    assert (got["aliyuneventbusname"], "time" in got) == ("default", False)
    assert _send(server, {**EVENT, "source": "else"}).json["calls"] == []


def test_a_binary_event_and_a_batch_fire_too(server: Server) -> None:
    headers = {f"ce-{name}": str(EVENT[name]) for name in ("specversion", "id", "source", "type")}
    [call] = _send(server, b'{"n":2}', {**headers, "Content-Type": "application/json"}).json["calls"]
    assert _got(server, call["requestId"])["data"] == {"n": 2}

    batch = [{**EVENT, "id": str(number)} for number in range(3)]
    calls = _send(server, batch, {"Content-Type": "application/cloudevents-batch+json"}).json["calls"]
    assert [_got(server, each["requestId"])["id"] for each in calls] == ["0", "1", "2"]


def test_without_a_key_nobody_speaks_for_a_service_of_the_cloud_or_for_one_trigger(server: Server) -> None:
    for source in ("acs.oss", "acs:oss", "ACS.oss"):
        refused = _send(server, {**EVENT, "source": source})
        assert (refused.status, refused.json["ErrorCode"]) == (403, "AccessDenied")
    service = server.functions()[0]["service"]
    path = f"/pyfc/events/{service}/hello/queue"
    assert _send(server, EVENT, path=path).status in {400, 403}
    message = {**EVENT, "type": "mns:Queue:SendMessage"}
    assert [each["trigger"] for each in _send(server, message).json["calls"]] == [f"{service}/hello/mine"]

    assert _signed(server, "/pyfc/events", {**EVENT, "source": "acs.oss"}).status == 202
    fired = [each["trigger"] for each in _signed(server, "/pyfc/events", message).json["calls"]]
    assert fired == [f"{service}/hello/mine", f"{service}/hello/queue"]
    [call] = _signed(server, path, EVENT).json["calls"]
    assert [each["id"] for each in _got(server, call["requestId"])] == ["1"]
    assert _signed(server, f"/pyfc/events/{service}/hello/none", EVENT).status == 404


def test_pages_of_other_sites_are_refused(server: Server) -> None:
    assert _send(server, EVENT, {**STRUCTURED, "Origin": "https://example.com"}).status == 403
    assert _send(server, EVENT, {**STRUCTURED, "Sec-Fetch-Site": "cross-site"}).status == 403
    assert _send(server, EVENT, {**STRUCTURED, "Host": "example.com"}).status == 403


def test_other_methods_than_post_are_told_what_to_do(server: Server) -> None:
    for method in ("GET", "PUT", "DELETE"):
        refused = server.request(method, "/pyfc/events", headers={})
        assert (refused.status, refused.json["ErrorCode"]) == (405, "MethodNotAllowed")
        assert "events are sent by POST" in refused.json["ErrorMessage"]
    assert server.manage("GET", "/pyfc/events").json["depth"]["waiting"] == 0


def test_a_host_that_can_be_none_is_refused_and_a_whole_name_is_taken(server: Server) -> None:
    for host in ("127.0.0.1:notaport", "user@localhost", "local host", "[::1", "localhost:123456", "a/b"):
        refused = server.request("GET", "/healthz", headers={"Host": host})
        assert (refused.status, "the header Host" in refused.json["ErrorMessage"]) == (400, True), host
    for host in ("localhost.", "LOCALHOST.:80", "[::1]:8000", "127.0.0.1:", "hello.default.localhost."):
        assert server.request("GET", "/healthz", headers={"Host": host}).status in {200, 404}, host
    assert server.request("GET", "/healthz", headers={"Host": "localhost."}).json == {"status": "ok"}


def test_what_is_no_event_or_too_large_is_refused(server: Server) -> None:
    missing = _send(server, {name: value for name, value in EVENT.items() if name != "id"})
    assert "the event has no id; it is required" in missing.json["ErrorMessage"]
    refused = _send(server, {**EVENT, "specversion": "0.3"})
    assert (refused.status, refused.json["ErrorCode"]) == (400, "InvalidArgument")
    large = _send(server, {**EVENT, "data": "x" * (1024 * 1024)})
    assert (large.status, large.json["ErrorCode"]) == (400, "EntityTooLarge")


def test_a_trigger_by_the_api_with_a_wrong_pattern_is_refused(server: Server) -> None:
    path = "/2023-03-30/functions/hello/triggers"
    document = {"triggerName": "t", "triggerType": "eventbridge", "triggerConfig": json.dumps(
        {"eventRuleFilterPattern": '{"source": [{"wildcard": "a"}]}'}
    )}  # fmt: skip
    refused = server.manage("POST", path, document)

    assert (refused.status, "the operator 'wildcard'" in refused.json["Message"]) == (400, True)
    misspelt = {"eventSourceConfig": {"eventSourceParameters": {"sourceMNSParameters": {"QueueNam": "q"}}}}
    for config, right in (({"eventRuleFilterPatern": "{}"}, "eventRuleFilterPattern"), (misspelt, "QueueName")):
        refused = server.manage("POST", path, {**document, "triggerConfig": json.dumps(config)})
        assert (refused.status, f"use {right}" in refused.json["Message"]) == (400, True)
    newer = {
        **document,
        "triggerName": "new",
        "triggerConfig": json.dumps({"triggerEnable": False, "filterPolicy": {}}),
    }
    assert server.manage("POST", path, newer).status == 200
    document["triggerConfig"] = json.dumps({"runOptions": {"batchWindow": {"CountBasedWindow": 0}}})
    assert "CountBasedWindow" in server.manage("POST", path, document).json["Message"]


def test_on_a_server_that_others_reach_events_take_a_key(serve: Callable[..., Server]) -> None:
    server = serve(_project(mine=MINE), "--host", "0.0.0.0")

    assert _send(server, EVENT).status in {400, 403}
    assert _signed(server, "/pyfc/events", EVENT).status == 202


def test_what_pushes_its_events_sends_them_by_the_door_in_their_exact_form(serve: Callable[..., Server]) -> None:
    project = _project()
    document = json.loads(project["s.yaml"])
    document["resources"]["hello"]["props"]["triggers"] = [
        {"triggerName": kind, "triggerType": kind, "triggerConfig": {}} for kind in ("cdn_events", "tablestore", "rds")
    ]
    document["resources"]["hello"]["props"]["triggers"] += [
        {"triggerName": "tick", "triggerType": "timer", "triggerConfig": {"cronExpression": "@every 1h"}}
    ]
    code = CODE.replace("event.decode()", "__import__('json').dumps(event.hex())")
    server = serve({**project, "index.py": code, "s.yaml": json.dumps(document)})
    path = f"/pyfc/events/{server.functions()[0]['service']}/hello"

    def sent(name: str, body: bytes, kind: str = "application/json") -> bytes:
        headers = server.signed_headers("POST", f"{path}/{name}", {"Content-Type": kind})
        answer = server.request("POST", f"{path}/{name}", body, headers)
        assert answer.status == 202, answer.body
        return bytes.fromhex(_got(server, answer.json["calls"][0]["requestId"]))

    assert sent("cdn_events", b'{"events": []}') == b'{"events": []}'
    assert sent("tablestore", b'{"Version":"Sync-v1"}') == b"\xa1\x67Version\x67Sync-v1"
    assert sent("tablestore", b"\xa0", "application/cbor") == b"\xa0"
    assert sent("rds", b"\x08\x01") == b"\x08\x01"
    for name in ("datahub", "iot", "cloudmonitor"):
        assert sent(name, b'{"a":1}') == b'{"a":1}'
    rows = {row["trigger"]: row["state"] for row in server.manage("GET", "/pyfc/triggers").json["triggers"]}
    assert rows == {"cdn_events": "ready", "tablestore": "ready", "rds": "ready", "tick": "ready"}

    for name, body, status in (("tick", {}, 400), ("none", {}, 404), ("cdn_events", "x", 202)):
        assert server.manage("POST", f"{path}/{name}", body).status == status
    headers = server.signed_headers("POST", f"{path}/cdn_events", {})
    assert server.request("POST", f"{path}/cdn_events", b"{", headers).status == 400
    assert server.request("POST", f"{path}/cdn_events", b"{}", {}).status in {400, 403}


def _log(server: Server, function: str = "hello") -> str:
    service = server.functions()[0]["service"]
    return "".join(json.loads(line).get("log", "") for line in server.log(service, function).splitlines())


def _batches(server: Server) -> list[list[str]]:
    """Ids of the events of each call."""
    return [[each["id"] for each in json.loads(text)] for text in re.findall(r"fired \S+ (\[.*\])", _log(server))]


def test_events_of_a_window_come_together_once_also_if_the_server_is_killed(tmp_path: Path) -> None:
    window = {"CountBasedWindow": 3, "TimeBasedWindow": 1}
    config = {**MINE, "runOptions": {"mode": "event-streaming", "batchWindow": window}}
    for name, text in _project(mine=config).items():
        (tmp_path / name).write_text(text)
    server = Server(tmp_path, tmp_path / "data")
    for number in range(4):
        assert len(_send(server, {**EVENT, "id": str(number)}).json["calls"]) == 1
    wait_until(lambda: len(_batches(server)) == 2, "two calls")
    assert _batches(server) == [["0", "1", "2"], ["3"]]

    assert _send(server, {**EVENT, "id": "4"}).status == 202
    server.stop(signal.SIGKILL)
    server = Server(tmp_path, tmp_path / "data")
    wait_until(lambda: ["4"] in _batches(server), "the call of what was held")
    wait_until(lambda: server.manage("GET", "/pyfc/events?all=true").json["depth"]["waiting"] == 0, "its end")
    server.stop()
    assert sorted(each for batch in _batches_of(tmp_path) for each in batch) == ["0", "1", "2", "3", "4"]


def _batches_of(folder: Path) -> list[list[str]]:
    [file] = (folder / "data" / "logs").rglob("hello.jsonl")
    log = "".join(json.loads(line).get("log", "") for line in file.read_text().splitlines())
    return [[each["id"] for each in json.loads(text)] for text in re.findall(r"fired \S+ (\[.*\])", log)]


def test_what_a_function_fails_with_is_pushed_again_and_then_goes_to_the_dead_letters(
    serve: Callable[..., Server],
) -> None:
    strategy = {"PushRetryStrategy": "EXPONENTIAL_DECAY_RETRY", "MaximumRetryAttempts": 1}
    dead = {"Arn": "acs:fc:cn-hangzhou:1234567890123456:functions/letters"}
    project = _project(mine={**MINE, "runOptions": {"retryStrategy": strategy, "deadLetterQueue": dead}})
    document = json.loads(project["s.yaml"])
    props = {**document["resources"]["hello"]["props"], "functionName": "letters", "triggers": []}
    document["resources"]["letters"] = {"component": "fc3", "props": props}
    document["resources"]["hello"]["props"]["handler"] = "index.fails"
    code = f"{CODE}\ndef fails(event, context):\n    handler(event, context)\n    raise ValueError('wanted')\n"
    server = serve({**project, "index.py": code, "s.yaml": json.dumps(document)})

    assert len(_send(server, EVENT).json["calls"]) == 1
    wait_until(lambda: "fired" in _log(server, "letters"), "the dead letter")
    assert len(re.findall("fired", _log(server))) == 2
    letter = json.loads(re.search(r"fired \S+ (.*)", _log(server, "letters"))[1])  # type: ignore[index]
    assert {name: letter[name] for name in EVENT} == EVENT


def test_a_stream_that_tolerates_nothing_stops_at_what_is_given_up_until_somebody_lets_it_go_on(tmp_path: Path) -> None:
    options = {
        "mode": "event-streaming", "errorsTolerance": "NONE",
        "retryStrategy": {"PushRetryStrategy": "EXPONENTIAL_DECAY_RETRY", "MaximumRetryAttempts": 1},
    }  # fmt: skip
    project = _project(mine={**MINE, "runOptions": options})
    code = f"{CODE}\n    if b'bad' in event:\n        raise ValueError('wanted')\n"
    for name, text in {**project, "index.py": code}.items():
        (tmp_path / name).write_text(text)

    def state() -> tuple[str, str]:
        [row] = server.manage("GET", "/pyfc/triggers").json["triggers"]
        return row["state"], row["error"]

    server = Server(tmp_path, tmp_path / "data")
    for number, data in enumerate(("good", "bad", "later")):
        assert _send(server, {**EVENT, "id": str(number), "data": data}).status == 202
    wait_until(lambda: state()[0] == "stopped", "the end of the stream")
    [given_up] = server.manage("GET", "/pyfc/events").json["events"]
    assert f"`pyfc events retry {given_up['requestId']}`" in state()[1]
    server.stop(signal.SIGKILL)

    server = Server(tmp_path, tmp_path / "data")
    wait_until(lambda: state()[0] == "stopped", "the same after a restart")
    assert [each for each in _batches_of(tmp_path) if each == ["2"]] == []
    assert server.manage("DELETE", f"/pyfc/events/{given_up['requestId']}").status == 200
    wait_until(lambda: ["2"] in _batches(server), "what came later")
    assert state()[0] == "ready"
    server.stop()
    assert _batches_of(tmp_path) == [["0"], ["1"], ["1"], ["2"]]


def test_outcomes_of_asynchronous_calls_come_by_the_bus_of_this_server(serve: Callable[..., Server]) -> None:
    pattern = {"source": ["acs.fc"], "type": ["fc:AsyncInvoke:Failed"]}
    project = _project(mine={"eventRuleFilterPattern": json.dumps(pattern)})
    document = json.loads(project["s.yaml"])
    bus = "acs:eventbridge:cn-hangzhou:1234567890123456:eventbus/default"
    document["resources"]["fails"] = {"component": "fc3", "props": {
        **document["resources"]["hello"]["props"], "functionName": "fails", "handler": "index.fails", "triggers": [],
        "asyncInvokeConfig": {
            "maxAsyncRetryAttempts": 0,
            "destinationConfig": {"onFailure": {"destination": bus}, "onSuccess": {"destination": bus}},
        },
    }}  # fmt: skip
    code = f"{CODE}\ndef fails(event, context):\n    if event != b'well':\n        raise ValueError('wanted')\n"
    server = serve({**project, "index.py": code, "s.yaml": json.dumps(document)})

    for payload in (b"well", b"badly"):
        path = "/2023-03-30/functions/fails/invocations"
        assert server.request("POST", path, payload, {"X-Fc-Invocation-Type": "Async"}).status == 202
    wait_until(lambda: "fired" in _log(server), "the outcome")

    [text] = re.findall(r"fired \S+ (.*)", _log(server))
    event = json.loads(text)
    assert (event["data"]["requestPayload"], event["aliyuneventbusname"]) == ("badly", "default")
    wait_until(lambda: server.manage("GET", "/pyfc/events?all=true").json["depth"]["waiting"] == 0, "both messages")
    assert server.manage("GET", "/pyfc/events").json["events"][0]["status"] == "Failed"


def test_changes_by_the_apis_of_fc_and_mns_fire_rules_of_the_bus(serve: Callable[..., Server]) -> None:
    pattern = {"source": ["acs.fc", "acs.mns"]}
    server = serve(_project(mine={"eventRuleFilterPattern": json.dumps(pattern)}, queue=QUEUE))
    path = "/2023-03-30/functions/hello/triggers"
    document = {"triggerName": "t", "triggerType": "timer", "triggerConfig": json.dumps(
        {"cronExpression": "@every 1h", "enable": False}
    )}  # fmt: skip

    assert server.manage("POST", path, document).status == 200
    assert server.manage("POST", path, document).status == 409
    assert server.manage("GET", path).status == 200
    assert server.manage("DELETE", f"{path}/t").status == 204
    ask = MnsClient(server)
    ask("PUT", "/queues/orders")
    ask("DELETE", "/queues/orders")

    def told() -> list[str]:
        return re.findall(r"fired \S+ (.*)", _log(server))

    wait_until(lambda: len(told()) == 5, "five events")
    events = [json.loads(text) for text in told()]
    assert sorted((each["type"], each["data"]["eventName"], each["data"].get("errorCode")) for each in events) == [
        ("fc:Trigger:CreateFailed", "CreateTrigger", "TriggerAlreadyExists"),
        ("fc:Trigger:CreateSuccess", "CreateTrigger", None),
        ("fc:Trigger:DeleteSuccess", "DeleteTrigger", None),
        ("mns:ActionTrail:ApiCall", "CreateQueue", None),
        ("mns:ActionTrail:ApiCall", "DeleteQueue", None),
    ]
    assert {each["aliyuneventbusname"] for each in events} == {"default"}


def test_what_happens_in_buckets_fires_rules_of_the_bus_once_over_a_kill(tmp_path: Path) -> None:
    pattern = {"source": ["acs.oss"], "type": [{"prefix": "oss:ObjectCreated:"}], "subject": [{"suffix": ".png"}]}
    told = tmp_path / "told"
    code = f"""
import json, os

def handler(event, context):
    file = os.open({str(told)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (json.loads(event)["subject"] + "\\n").encode())
"""
    folder = tmp_path / "project"
    folder.mkdir()
    files = {**_project(mine={"eventRuleFilterPattern": json.dumps(pattern)}), "index.py": code}
    for name, text in files.items():
        (folder / name).write_text(text)

    def subjects(count: int) -> list[str]:
        """What the function has been told, as soon as it is so much."""

        def found() -> list[str]:
            lines = told.read_text().splitlines() if told.exists() else []
            return lines if len(lines) >= count else []

        return wait_until(found, f"{count} events")  # type: ignore[no-any-return]

    server = Server(folder, tmp_path / "data", *SHARES_FILES)
    ask = Client(server)
    assert ask("PUT").status == 200
    for key in ("a.png", "a.txt"):
        assert ask("PUT", key, body=b"hello").status == 200
    assert ask("DELETE", "a.png").status == 204
    assert subjects(1) == ["acs:oss:cn-hangzhou:1234567890123456:photos/a.png"]

    assert ask("PUT", "b.png", body=b"hello").status == 200
    server.stop(signal.SIGKILL)
    server = Server(folder, tmp_path / "data", *SHARES_FILES)
    assert Client(server)("PUT", "c.png", body=b"hello").status == 200
    keys = [each.rpartition("/")[2] for each in subjects(3)]
    assert set(keys) == {"a.png", "b.png", "c.png"}
    assert server.stop()[0] == 0


def test_a_trigger_of_a_queue_pulls_its_messages_and_deletes_them(serve: Callable[..., Server]) -> None:
    parameters = {"sourceMNSParameters": {"QueueName": "orders", "RegionId": "cn-hangzhou"}}
    source = {"eventSourceType": "MNS", "eventSourceParameters": parameters}
    pattern = {"data": {"messageBody": [{"anything-but": "no"}]}}
    server = serve(_project(orders={"eventSourceConfig": source, "eventRuleFilterPattern": json.dumps(pattern)}))
    ask = MnsClient(server)
    wait_until(lambda: ask("GET", "/queues/orders").status == 200, "the queue that the trigger names")

    sent = [ask.send("orders", base64.b64encode(text.encode()).decode()) for text in ("no", "caf\u00e9")]
    assert [each.status for each in sent] == [201, 201]
    sent.append(ask.send("orders", "plain!"))
    told = _told_of_queue(server, 2)

    assert sorted(each["data"]["messageBody"] for each in told) == ["caf\u00e9", "plain!"]
    first = next(each for each in told if each["data"]["messageBody"] == "caf\u00e9")
    assert first["data"]["messageId"] == sent[1].fields["MessageId"]
    assert {name: first[name] for name in ("source", "type", "subject", "aliyuneventbusname")} == {
        "source": "MNS-Function-orders", "type": "mns:Queue:SendMessage", "aliyuneventbusname": "MNS-Function-orders",
        "subject": "acs:mns:cn-hangzhou:1234567890123456:queues/orders",
    }  # fmt: skip
    wait_until(lambda: _is_empty(ask), "that all messages are deleted")


def _is_empty(ask: MnsClient) -> bool:
    found = ask("GET", "/queues/orders").fields
    return (found["ActiveMessages"], found["InactiveMessages"]) == ("0", "0")


def _told_of_queue(server: Server, count: int) -> list[dict[str, Any]]:
    """The events of all calls, as soon as there are so many."""

    def found() -> list[dict[str, Any]]:
        told = [each for text in re.findall(r"fired \S+ (\[.*\])", _log(server)) for each in json.loads(text)]
        return told if len(told) >= count else []

    return wait_until(found, f"{count} events of the queue")  # type: ignore[no-any-return]
