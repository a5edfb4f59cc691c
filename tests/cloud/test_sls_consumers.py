"""Consumer groups and WebTracking over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cloud.sls_client import LOGSTORE, Client
from pyfc.cloud.sls.groups import Log, read_group, read_log
from pyfc.cloud.sls.heartbeats import Heartbeats
from support import Server

GROUPS = f"/logstores/{LOGSTORE}/consumergroups"
GROUP = f"{GROUPS}/readers"


@pytest.fixture(scope="module")
def server(shared: Server) -> Server:
    ask = Client(shared)
    ask("POST", "/", body={"projectName": ask.project})
    return shared


@pytest.fixture
def ask(server: Server) -> Iterator[Client]:
    found = Client(server)
    found("POST", "/logstores", body={"logstoreName": LOGSTORE})
    yield found
    found("DELETE", f"/logstores/{LOGSTORE}")


def _make(ask: Client, timeout: int = 20) -> int:
    return ask("POST", GROUPS, body={"consumerGroup": "readers", "timeout": timeout, "order": True}).status


def _beat(ask: Client, consumer: str) -> list[int]:
    found: list[int] = ask("POST", GROUP, {"type": "heartbeat", "consumer": consumer}, []).json
    return found


def test_groups_are_made_changed_and_forgotten(ask: Client) -> None:
    made, again = _make(ask), ask("POST", GROUPS, body={"consumerGroup": "readers", "timeout": 20, "order": True})
    changed = ask("PUT", GROUP, body={"timeout": 30})
    found = ask("GET", GROUPS).json
    gone = ask("DELETE", GROUP)

    assert (made, again.code, changed.status, gone.status) == (200, "ConsumerGroupAlreadyExist", 200, 200)
    assert found == [{"name": "readers", "timeout": 30, "order": True}]
    assert (ask("GET", GROUPS).json, ask("DELETE", GROUP).code) == ([], "ConsumerGroupNotExist")


def test_groups_go_with_their_logstore(ask: Client) -> None:
    _make(ask)
    ask("DELETE", f"/logstores/{LOGSTORE}")
    ask("POST", "/logstores", body={"logstoreName": LOGSTORE})

    assert ask("GET", GROUPS).json == []


def test_one_consumer_has_the_shard(ask: Client) -> None:
    _make(ask)

    assert [_beat(ask, "a"), _beat(ask, "b"), _beat(ask, "a")] == [[0], [], [0]]


def test_a_consumer_that_is_silent_loses_the_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, beats = time.monotonic, Heartbeats()
    group = (1, "readers")

    assert beats.beat(group, "a", 20) == [0]
    assert beats.beat(group, "b", 20) == []
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 21)
    assert beats.owner(group) == ""
    assert beats.beat(group, "b", 20) == [0]
    assert beats.beat(group, "a", 20) == []
    assert beats.owner(group) == "b"


def test_a_checkpoint_is_kept(ask: Client) -> None:
    _make(ask)
    ask.put(Log(1, 0, []))
    cursor = ask.cursor("end")
    before = ask("GET", GROUP, {"shard": 0}).json
    _beat(ask, "a")
    ours = {"type": "checkpoint", "consumer": "a", "forceSuccess": "False"}
    kept = ask("POST", GROUP, ours, {"shard": 0, "checkpoint": cursor})
    other = ask("POST", GROUP, {**ours, "consumer": "b"}, {"shard": 0, "checkpoint": cursor})
    forced = ask("POST", GROUP, {**ours, "consumer": "b", "forceSuccess": "True"}, {"shard": 0, "checkpoint": cursor})
    (found,) = ask("GET", GROUP).json

    assert before == [{"shard": 0, "checkpoint": "", "updateTime": 0, "consumer": ""}]
    assert (kept.status, other.code, forced.status) == (200, "ConsumerNotMatch", 200)
    assert (found["shard"], found["checkpoint"], found["consumer"]) == (0, cursor, "b")
    assert abs(found["updateTime"] / 1e6 - time.time()) < 60


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "code"),
    [
        ("POST", GROUPS, {}, {"consumerGroup": "X/"}, "ParameterInvalid"),
        ("POST", GROUPS, {}, {"consumerGroup": "ab", "timeout": 0}, "ParameterInvalid"),
        ("POST", GROUPS, {}, {"consumerGroup": "ab", "order": 1}, "ParameterInvalid"),
        ("POST", GROUP, {}, [], "ParameterInvalid"),
        ("POST", GROUP, {"type": "heartbeat"}, [], "ParameterInvalid"),
        ("POST", GROUP, {"type": "heartbeat", "consumer": "a"}, {}, "ParameterInvalid"),
        ("POST", f"{GROUPS}/nope", {"type": "heartbeat", "consumer": "a"}, [], "ConsumerGroupNotExist"),
        ("POST", GROUP, {"type": "checkpoint"}, {"shard": 0, "checkpoint": "x"}, "InvalidCursor"),
        ("POST", GROUP, {"type": "checkpoint"}, {"shard": 0}, "ParameterInvalid"),
        ("POST", GROUP, {"type": "checkpoint"}, {"shard": 1, "checkpoint": "MQ=="}, "ShardNotExist"),
        ("GET", GROUP, {"shard": 1}, None, "ShardNotExist"),
    ],
    ids=str,
)
def test_what_a_consumer_does_wrong_is_told(
    ask: Client, method: str, path: str, query: dict[str, object], body: object, code: str
) -> None:
    _make(ask)

    assert ask(method, path, query, body).code == code


TRACK = f"/logstores/{LOGSTORE}/track"


def test_a_page_without_a_key_puts_logs_where_that_is_allowed(ask: Client) -> None:
    ask("PUT", f"/logstores/{LOGSTORE}", body={"logstoreName": LOGSTORE, "enable_tracking": True})
    key, ask.key = ask.key, None
    got = ask("GET", TRACK, {"APIVersion": "0.6.0", "__topic__": "page", "event": "click"})
    body = {"__topic__": "app", "__source__": "x", "__tags__": {"a": "b"}, "__logs__": [{"n": "1"}, {"n": 2}]}
    posted = ask("POST", TRACK, body=body, origin="https://example.com")
    asked_before = ask("OPTIONS", TRACK)
    ask.key = key
    found = ask.pull(ask.cursor("begin"))

    assert (got.status, posted.status, asked_before.status) == (200, 200, 200)
    assert posted.headers["access-control-allow-origin"] == "*"
    first, second = _groups(found.body)
    assert first == ("page", [[("event", "click")]])
    assert second == ("app", [[("n", "1")], [("n", "2")]])


def _groups(data: bytes) -> list[tuple[str, list[object]]]:
    """Topic and contents of the groups of a pull, all of them small."""
    found = []
    while data:
        size = data[1]
        body, data = data[2 : 2 + size], data[2 + size :]
        group = read_group(body)
        found.append((group.labels.topic, [read_log(body, *place).contents for place in group.places]))
    return found


def test_a_page_without_a_key_puts_no_logs_elsewhere(ask: Client) -> None:
    ask.key = None

    assert ask("GET", TRACK, {"event": "click"}).code == "Unauthorized"
    assert ask("GET", GROUPS).code == "Unauthorized"


@pytest.mark.parametrize(
    "body",
    [{}, {"__logs__": []}, {"__logs__": [1]}, {"__logs__": [{"a": {}}]}, {"__logs__": [{}], "__tags__": 1}, b"["],
)
def test_what_a_page_does_wrong_is_told(ask: Client, body: object) -> None:
    ask("PUT", f"/logstores/{LOGSTORE}", body={"logstoreName": LOGSTORE, "enable_tracking": True})

    assert ask("POST", TRACK, body=body).code == "PostBodyInvalid"
