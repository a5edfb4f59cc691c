"""Triggers of EventBridge fire for what their rules are for, in the form that they want."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from pyfc.errors import TriggerNotFound, Unavailable
from pyfc.model.asynchronous import Event, Policy, Pushes
from pyfc.model.bucket import Happened
from pyfc.model.trigger import Trigger
from pyfc.triggers.eventbridge import EventBridge, Rule, policy_of
from pyfc.triggers.interface import Firing, Key
from pyfc.triggers.pulling import MnsQueue, MnsSession, Pulled, Pullers
from support import DEADLINE

NOW = 1_790_000_000.0
EVENT: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "my.app", "type": "order:made", "data": {"n": 1}}
ADDED = {
    "aliyunaccountid": "42", "aliyunpublishtime": "2026-09-21T14:13:20.000Z", "aliyunoriginalaccountid": "42",
    "aliyuneventbusname": "default", "aliyunregionid": "cn-shanghai", "aliyunpublishaddr": "127.0.0.1",
}  # fmt: skip


class Held:
    """Holds nothing."""

    async def take(self, key: Key, limit: int) -> list[Event]:
        return []

    async def release(self, events: Sequence[Event], firing: Firing | None) -> None:
        raise AssertionError("nothing is held")


class Quiet:
    """Buckets in which nothing happens."""

    last = 7

    def __init__(self) -> None:
        self.passed = asyncio.Event()
        self.followed: int | None = None

    def follow(self, cursor: int | None) -> None:
        self.followed = cursor

    async def rows(self, after: int, limit: int) -> list[tuple[int, Happened]]:
        return []


class NoQueues:
    """A message service whose queues have nothing."""

    async def have(self, queue: str) -> None:
        pass

    def is_deleted(self, queue: str) -> bool:
        return False

    async def receive(self, queue: str, count: int) -> list[Pulled]:
        raise Unavailable(message=f"there is no queue {queue}")

    async def delete(self, queue: str, handles: Sequence[str]) -> None:
        raise AssertionError("nothing was received")


class Bus:
    """The triggers that a test declares, and what they were fired with."""

    def __init__(self, **configs: dict[str, Any]) -> None:
        self.told: list[Firing] = []
        self.full = False
        self.source = EventBridge(self.emit, Held(), Quiet(), NoQueues(), "42", "cn-shanghai", now=lambda: NOW)
        self.declare(**configs)

    def declare(self, **configs: dict[str, Any]) -> None:
        triggers = [
            Trigger(service="demo", function="hello", name=name, type="eventbridge", config=config)
            for name, config in configs.items()
        ]
        self.source.use({Key.of(each): each for each in triggers}, {})

    async def emit(self, *firings: Firing) -> None:
        if self.full:
            raise Unavailable(message="the disk is gone")
        self.told += firings

    def publish(self, *events: dict[str, Any], is_trusted: bool = False, depth: int = 0) -> list[tuple[str, Any]]:
        """What was fired: names of triggers and what their functions get."""
        self.told.clear()
        asyncio.run(self.source.publish(events, depth, is_trusted=is_trusted))
        return [(each.trigger.name, each.payload) for each in self.told]


def _pattern(**pattern: Any) -> dict[str, Any]:
    return {"eventRuleFilterPattern": json.dumps(pattern)}


def _streaming(**more: Any) -> dict[str, Any]:
    return {"runOptions": {"mode": "event-streaming"}, **more}


def test_the_triggers_whose_rules_are_for_an_event_fire_with_what_eventbridge_adds() -> None:
    bus = Bus(mine=_pattern(source=["my.app"]), other=_pattern(source=["else"]), every={})
    fired = dict(bus.publish(EVENT))

    assert sorted(fired) == ["every", "mine"]
    assert json.loads(fired["mine"]) == {**EVENT, **ADDED}
    assert list(json.loads(fired["mine"]))[-1] == "data"


def test_each_event_of_a_batch_is_a_call_and_of_a_stream_they_are_one() -> None:
    other = {**EVENT, "id": "2", "type": "order:paid"}
    bus = Bus(driven={}, stream=_streaming(), paid=_streaming(**_pattern(type=["order:paid"])))
    fired = bus.publish(EVENT, other)

    assert [name for name, _ in fired] == ["driven", "driven", "stream", "paid"]
    assert [each["id"] for each in json.loads(fired[2][1])] == ["1", "2"]
    assert [each["id"] for each in json.loads(fired[3][1])] == ["2"]


@pytest.mark.parametrize(
    ("data", "alone", "streamed"),
    [
        ({"data": {"n": 1}}, b'{"n":1}', [{"n": 1}]),
        ({"data": "text"}, b"text", ["text"]),
        ({"data_base64": "YWI="}, b"ab", ["YWI="]),
        ({"data": None}, b"null", [None]),
        ({}, b"", [""]),
    ],
)
def test_raw_data_is_the_data_alone(data: dict[str, Any], alone: bytes, streamed: list[Any]) -> None:
    raw = {"eventSinkConfig": {"deliveryOption": {"eventSchema": "RawData"}}}
    event = {**{name: value for name, value in EVENT.items() if name != "data"}, **data}
    fired = dict(Bus(driven=raw, stream=_streaming(**raw)).publish(event))

    assert fired["driven"] == alone
    assert json.loads(fired["stream"]) == streamed


def test_a_trigger_of_a_queue_hears_its_own_events_and_of_who_is_trusted_only() -> None:
    bus = Bus(queue={"eventSourceConfig": {"eventSourceType": "MNS"}})
    message = {**EVENT, "type": "mns:Queue:SendMessage"}

    assert bus.publish(EVENT, is_trusted=True) == []
    assert bus.publish(message) == []
    [(_, payload)] = bus.publish(message, is_trusted=True)
    assert [each["id"] for each in json.loads(payload)] == ["1"]


def test_who_is_trusted_may_say_what_eventbridge_would() -> None:
    said = {**EVENT, "aliyuneventbusname": "mine"}
    bus = Bus(every={})

    assert json.loads(bus.publish(said)[0][1])["aliyuneventbusname"] == "default"
    assert json.loads(bus.publish(said, is_trusted=True)[0][1])["aliyuneventbusname"] == "mine"


def test_a_trigger_that_is_off_does_not_fire_and_a_wrong_one_says_why() -> None:
    bus = Bus(off={"triggerEnable": False}, wrong=_pattern(source=[{"wildcard": "a"}]))

    assert bus.publish(EVENT) == []
    assert not bus.source.state(Key("demo", "hello", "off")).is_enabled
    assert "source: the operator 'wildcard' is not supported" in bus.source.state(Key("demo", "hello", "wrong")).error
    bus.declare(wrong={})
    assert bus.source.state(Key("demo", "hello", "wrong")).error == ""
    assert len(bus.publish(EVENT)) == 1


@pytest.mark.parametrize("strategy", [[], {"PushRetryStrategy": "NEVER"}, {"MaximumRetryAttempts": "some"}], ids=str)
def test_a_trigger_whose_pushes_cannot_be_read_does_not_fire_and_says_why(strategy: Any) -> None:
    given = strategy or ["a list"]
    bus = Bus(kept={"runOptions": {"retryStrategy": given}})

    assert bus.publish(EVENT) == []
    assert bus.source.state(Key("demo", "hello", "kept")).error.startswith("triggerConfig.runOptions.retryStrategy is ")


def test_a_queue_is_pulled_again_after_a_mistake_of_ours() -> None:
    class Queue(NoQueues):
        tries = 0

        async def receive(self, queue: str, count: int) -> Sequence[Pulled]:
            self.tries += 1
            if self.tries == 1:
                raise RuntimeError("a bug")
            return ()

    async def work() -> None:
        queue = Queue()
        session = MnsSession(queue, MnsQueue("q", is_decoded=False), "bus", "cn-shanghai:42")
        pullers: Pullers[str] = Pullers(lambda *_: nullcontext(session), lambda *_: asyncio.sleep(0))
        pulling = asyncio.ensure_future(pullers.run())
        pullers.use({Key("demo", "hello", "t"): "q"})
        async with asyncio.timeout(DEADLINE):
            while queue.tries < 1:
                await asyncio.sleep(0.001)
            assert pullers.errors == {Key("demo", "hello", "t"): "a bug"}
            while queue.tries < 2 or pullers.errors:
                await asyncio.sleep(0.001)
        pulling.cancel()

    asyncio.run(work())


def test_one_whose_queue_was_deleted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = {"sourceMNSParameters": {"QueueName": "orders"}}
    bus = Bus(pulls={"eventSourceConfig": {"eventSourceType": "MNS", "eventSourceParameters": parameters}})
    key = Key("demo", "hello", "pulls")
    assert bus.source.state(key).error == ""

    monkeypatch.setattr(NoQueues, "is_deleted", lambda _, queue: queue == "orders")
    assert bus.source.state(key).error.startswith("queue orders is not there")


def test_a_named_trigger_fires_whatever_its_rule_says() -> None:
    bus = Bus(mine=_pattern(source=["else"]))
    [fired] = asyncio.run(bus.source.publish_to(Key("demo", "hello", "mine"), [EVENT]))

    assert fired.key.name == "mine"
    assert fired.identity == bus.told[0].identity
    with pytest.raises(TriggerNotFound):
        asyncio.run(bus.source.publish_to(Key("demo", "hello", "none"), [EVENT]))


def test_the_same_event_twice_is_two_calls_which_know_how_deep_they_are() -> None:
    bus = Bus(every={})
    bus.publish(EVENT, depth=3)
    first = bus.told[0]
    bus.publish(EVENT, depth=3)

    assert first.depth == 3
    assert bus.told[0].identity != first.identity


def test_what_a_service_tells_twice_calls_once_and_reaches_the_accounts_own_bus_only() -> None:
    queue = {"eventSourceConfig": {"eventSourceType": "MNS"}}
    bus = Bus(mine=_pattern(source=["acs.fc"]), other=_pattern(source=["my.app"]), queue=queue)
    event = {**EVENT, "source": "acs.fc", "type": "mns:Queue:SendMessage"}

    assert [bus.source.hears(each) for each in ("acs.fc", "my.app", "acs.mns")] == [True, True, False]
    assert [asyncio.run(bus.source.deliver(event, 2)) for _ in range(2)] == [True, True]
    assert [(each.trigger.name, each.identity, each.depth) for each in bus.told] == [
        ("mine", "eventbridge/1/demo/hello/mine", 2)
    ] * 2
    assert asyncio.run(bus.source.deliver({**event, "source": "acs.none"}, 2)) is False


def test_who_publishes_hears_that_nothing_was_promised() -> None:
    bus = Bus(every={})
    bus.full = True

    with pytest.raises(Unavailable):
        bus.publish(EVENT)


def test_events_of_a_window_are_held_one_by_one_and_others_are_not() -> None:
    window = {"runOptions": {"mode": "event-streaming", "batchWindow": {"CountBasedWindow": 3, "TimeBasedWindow": 5}}}
    bus = Bus(windowed=window, stream=_streaming())
    fired = bus.publish(EVENT, {**EVENT, "id": "2"})

    assert [name for name, _ in fired] == ["windowed", "windowed", "stream"]
    assert [each.is_held for each in bus.told] == [True, True, False]
    assert json.loads(fired[1][1])["id"] == "2"


@pytest.mark.parametrize(
    "window",
    [{"CountBasedWindow": 10_001}, {"TimeBasedWindow": 16}, {"CountBasedWindow": "3"}, {"TimeBasedWindow": -1}],
)
def test_a_window_out_of_range_is_named(window: dict[str, Any]) -> None:
    bus = Bus(wrong={"runOptions": {"mode": "event-streaming", "batchWindow": window}})

    assert f"runOptions.batchWindow.{next(iter(window))}" in bus.source.state(Key("demo", "hello", "wrong")).error


@pytest.mark.parametrize(
    ("options", "asynchronous", "tasks", "stops"),
    [
        ({}, False, 0, False),
        ({"maximumTasks": 3}, False, 3, False),
        ({"errorsTolerance": "NONE"}, False, 1, True),
        ({"errorsTolerance": "none", "maximumTasks": 2}, False, 2, True),
        ({"errorsTolerance": "ALL"}, False, 0, False),
        ({"errorsTolerance": "NONE", "maximumTasks": 2}, True, 0, False),
        ({"errorsTolerance": "NONE", "maximumTasks": 2, "mode": "event-driven"}, False, 0, False),
    ],
)
def test_a_stream_that_waits_for_the_function_has_a_pace(
    options: dict[str, Any], asynchronous: bool, tasks: int, stops: bool
) -> None:
    config = {"asyncInvocationType": asynchronous, "runOptions": {"mode": "event-streaming", **options}}

    rule = Rule.read(config)

    assert (rule.tasks, rule.stops, rule.window is not None) == (tasks, stops, tasks > 0)


def test_a_stream_that_stops_has_no_dead_letters() -> None:
    letters = {"deadLetterQueue": {"Arn": "acs:fc:::functions/letters"}}

    def address(tolerance: str, mode: str) -> str:
        policy = policy_of({"runOptions": {"errorsTolerance": tolerance, "mode": mode, **letters}})
        assert policy is not None
        return policy.dead_letters

    assert address("NONE", "event-streaming") == ""
    assert {address("ALL", "event-streaming"), address("NONE", "event-driven")} == {letters["deadLetterQueue"]["Arn"]}


def test_a_source_that_waits_for_the_function_goes_on_pushing_as_it_is_told() -> None:
    assert policy_of({"asyncInvocationType": True}) is None
    assert policy_of({}) == Policy(retries=3, maximum_age=0.0, pushes=Pushes.BACKOFF)
    options = {
        "retryStrategy": {"PushRetryStrategy": "EXPONENTIAL_DECAY_RETRY"}, "deadLetterQueue": {"Arn": "acs:mns:1"},
    }  # fmt: skip
    assert policy_of({"runOptions": options}) == Policy(
        retries=176, maximum_age=86400.0, pushes=Pushes.DECAY, dead_letters="acs:mns:1"
    )
    strategy = {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}
    assert policy_of({"runOptions": {"retryStrategy": strategy}}) == Policy(2, 60.0, pushes=Pushes.BACKOFF)


def test_pushes_are_tried_again_with_eventbridges_pauses() -> None:
    backoff, decay = Policy(pushes=Pushes.BACKOFF), Policy(pushes=Pushes.DECAY)

    assert all(10 <= backoff.delay(number, 1.0) <= 20 for number in range(1, 50))
    assert [decay.delay(number, 1.0) for number in (1, 2, 3, 9, 10, 11, 176)] == [1, 2, 4, 256, 512, 512, 512]
    assert Policy().delay(1, 8.0) <= 10
