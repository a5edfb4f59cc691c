"""Triggers of EventBridge: they fire for the events of a bus that their rule is for (contract §8.1 and §8.6).

1. What is published is promised to all triggers that it is for, or to none, before the publisher is answered.
2. The function gets the event as CloudEvents' JSON, with what EventBridge adds to it; in the mode `event-streaming` a
   list of events; with the schema `RawData` the data alone.
"""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from pyfc.errors import InvalidArgument, TriggerNotFound
from pyfc.model.asynchronous import Policy, Pushes, Status
from pyfc.model.invocation import Trace
from pyfc.model.patterns import Pattern
from pyfc.model.trigger import Trigger
from pyfc.tasks import Tasks
from pyfc.triggers import kafka, rabbitmq
from pyfc.triggers.feed import SOURCE, BucketFeed, Following
from pyfc.triggers.interface import Emit, Firing, Holding, Key, State, deleted, option, within, wrong
from pyfc.triggers.kafka import KafkaTopic
from pyfc.triggers.pulling import Brokers, MnsQueue, MnsSession, Pullers, Queues, Received, Session
from pyfc.triggers.rabbitmq import RabbitQueue
from pyfc.triggers.windows import Stream, Window, Windows, paced_window_of, window_of

DEFAULT = "Default"
"""The type of the source of events that services and users publish to the account's own bus."""
TYPES = {
    DEFAULT: "", "MNS": "mns:", "RocketMQ": "mq:", "RabbitMQ": "amqp:", "Kafka": "alikafka:", "MQTT": "mqtt:",
    "DTS": "dts:",
}  # fmt: skip
"""How the types of their events begin, by the types of sources."""
_MODES = ("event-driven", "event-streaming")
Pullable = MnsQueue | RabbitQueue | KafkaTopic
_QUEUES: Mapping[str, type[Pullable]] = {"MNS": MnsQueue, "RabbitMQ": RabbitQueue, "Kafka": KafkaTopic}
_OF_DATA = ("data", "data_base64")
CloudEvent = Mapping[str, Any]


class Rule(NamedTuple):
    """What a trigger is declared with."""

    source: str
    """One of TYPES."""
    pattern: Pattern
    is_streaming: bool
    is_raw: bool
    is_enabled: bool
    window: Window | None
    """How long events wait for others, in a stream that does that."""
    queue: Pullable | None
    """Which queue is pulled for it."""
    tasks: int = 0
    """How many of its calls there may be at once; 0 for any number."""
    stops: bool = False
    """Whether it stops at a call that was given up."""

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Rule:
        """Raises InvalidArgument that names the property."""
        source = _source_of(config)
        pattern = _pattern(option(config, "eventRuleFilterPattern"))
        is_streaming = _is_stream(config)
        _check_pushes(config)
        delivery = within(config, "eventSinkConfig", "deliveryOption") or {}
        schema = option(delivery, "eventSchema") or "CloudEvents"
        queue = _QUEUES[source].read(config) if source in _QUEUES else None
        tasks, stops = _pace_of(config) if is_streaming else (0, False)
        window = (paced_window_of(config) if tasks else window_of(config)) if is_streaming else None
        return cls(source, pattern, is_streaming, schema == "RawData", _is_on(config), window, queue, tasks, stops)

    def may_fit(self, source: str) -> bool:
        """Whether it may be for events of a source on the account's own bus."""
        return self.is_enabled and self.source == DEFAULT and self.pattern.may_fit(source=source)

    def fits(self, event: CloudEvent) -> bool:
        """Whether an event that was published without naming a trigger is for this one."""
        return str(event["type"]).startswith(TYPES[self.source]) and self.pattern.fits(event)


def _one_of(config: Mapping[str, Any], outer: str, name: str, allowed: Sequence[str]) -> str:
    """A property that is one of several; the first, if nothing is said. Raises InvalidArgument."""
    found = str(within(config, outer, name) or allowed[0])
    if found not in allowed:
        raise wrong(f"{outer}.{name}", found, f"it must be one of {', '.join(allowed)}")
    return found


def _source_of(config: Mapping[str, Any]) -> str:
    return _one_of(config, "eventSourceConfig", "eventSourceType", tuple(TYPES))


def _is_stream(config: Mapping[str, Any]) -> bool:
    modes = _MODES if _source_of(config) == DEFAULT else _MODES[::-1]
    return _one_of(config, "runOptions", "mode", modes) == _MODES[1]


def _pattern(text: Any) -> Pattern:
    try:
        return Pattern.read(text)
    except ValueError as error:
        raise wrong("eventRuleFilterPattern", _cut(text), str(error)) from None


def policy_of(config: Mapping[str, Any]) -> Policy | None:
    """How EventBridge goes on pushing what a function fails with; None where it calls asynchronously, so that the
    function's own configuration counts.
    """
    if option(config, "asyncInvocationType", default=False) is True:
        return None
    strategy = within(config, "runOptions", "retryStrategy") or {}
    pushes = Pushes(str(option(strategy, "PushRetryStrategy") or Pushes.BACKOFF))
    retries, age = pushes.usual
    return Policy(
        retries=int(option(strategy, "MaximumRetryAttempts") or retries),
        maximum_age=float(option(strategy, "MaximumEventAgeInSeconds") or age),
        pushes=pushes,
        dead_letters="" if _is_stream(config) and _stops(config) else _dead_letters(config),
    )


def _dead_letters(config: Mapping[str, Any]) -> str:
    return str(option(within(config, "runOptions", "deadLetterQueue") or {}, "Arn") or "")


def _stops(config: Mapping[str, Any]) -> bool:
    return str(within(config, "runOptions", "errorsTolerance") or "ALL").upper() == "NONE"


def _pace_of(config: Mapping[str, Any]) -> tuple[int, bool]:
    """How many calls of a stream there may be at once, and whether it stops at one that was given up: that is one by
    one, unless it says how many. Raises InvalidArgument. A source that calls asynchronously does not wait.
    """
    if option(config, "asyncInvocationType", default=False) is True:
        return 0, False
    tasks, stops = within(config, "runOptions", "maximumTasks") or 0, _stops(config)
    if not isinstance(tasks, int) or tasks < 0:
        raise wrong("runOptions.maximumTasks", tasks, "it must be a whole number from 1 on")
    return tasks or int(stops), stops


def _check_pushes(config: Mapping[str, Any]) -> None:
    """Raises InvalidArgument for a configuration of which `policy_of` cannot make anything."""
    try:
        policy_of(config)
    except (AttributeError, TypeError, ValueError) as error:
        raise wrong("runOptions.retryStrategy", _cut(option(config, "runOptions")), str(error)) from None


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _is_on(config: Mapping[str, Any]) -> bool:
    value = option(config, "triggerEnable", default=True)
    return value if isinstance(value, bool) else str(value).lower() != "false"


class _Declared(NamedTuple):
    trigger: Trigger
    rule: Rule


class Fired(NamedTuple):
    """A trigger has fired for what was published."""

    key: Key
    identity: str
    """See Firing."""


class EventBridge:
    """The triggers of one server's bus, and the bus."""

    type = "eventbridge"

    def __init__(
        self,
        emit: Emit,
        holding: Holding,
        changes: Following,
        queues: Queues,
        account: str,
        region: str,
        brokers: Brokers = Brokers(),  # noqa: B008  it is immutable
        now: Callable[[], float] = time.time,
    ) -> None:
        """Raises InvalidArgument for addresses of brokers that can be none."""
        rabbitmq.check(brokers.rabbitmq)
        kafka.check(brokers.kafka)
        self._queues = queues
        self._brokers = brokers
        self._emit = emit
        self._windows = Windows(holding)
        self._feed = BucketFeed(changes, self._tell, account, region)
        self._pullers: Pullers[Pullable] = Pullers(self._open, self._pulled)
        self._fed: set[Key] = set()
        """Triggers that may be for what happens in buckets."""
        self._account = account
        self._region = region
        self._now = now
        self._declared: dict[Key, _Declared] = {}
        self._errors: dict[Key, str] = {}

    def use(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> Mapping[Key, str]:
        """See Source. Nothing is remembered of any."""
        declared: dict[Key, _Declared] = {}
        self._errors = {}
        for key, trigger in triggers.items():
            before = self._declared.get(key)
            if before is not None and before.trigger == trigger:
                declared[key] = before
                continue
            try:
                declared[key] = _Declared(trigger, Rule.read(trigger.config))
            except InvalidArgument as error:
                self._errors[key] = str(error)
        self._declared = declared
        streams = {
            key: Stream(trigger, rule.window, rule.tasks, rule.stops) for key, (trigger, rule) in declared.items()
        }  # fmt: skip
        self._windows.use(streams, triggers.keys())
        self._pull()
        return self._use_feed(marks)

    def _pull(self) -> None:
        """Pull the queues of triggers that are on and have not stopped."""
        self._pullers.use({
            key: rule.queue for key, (_, rule) in self._declared.items()
            if rule.is_enabled and rule.queue is not None and not self._windows.stopped_at(key)
            and self._is_there(rule.queue)
        })  # fmt: skip

    def _is_there(self, source: Pullable) -> bool:
        """Whether there is something to pull from."""
        if isinstance(source, RabbitQueue):
            return bool(self._brokers.rabbitmq)
        return isinstance(source, MnsQueue) or bool(self._brokers.kafka)

    def _open(self, key: Key, source: Pullable) -> AbstractAsyncContextManager[Session]:
        """See Open."""
        place = f"{self._region}:{self._account}"
        if isinstance(source, RabbitQueue):
            return rabbitmq.session(self._brokers.rabbitmq, source, f"RabbitMQ-Function-{key.name}", place)
        if isinstance(source, KafkaTopic):
            return kafka.session(self._brokers.kafka, source, "-".join(key))
        return nullcontext(MnsSession(self._queues, source, f"MNS-Function-{key.name}", place))

    def heard(self, key: Key, number: str, status: Status | None) -> None:
        """See Pacing."""
        before = self._windows.stopped_at(key)
        self._windows.heard(key, number, status)
        if self._windows.stopped_at(key) != before:
            self._pull()

    async def _pulled(self, key: Key, received: Received) -> None:
        """See Tell of pulling."""
        found = self._declared.get(key)
        if found is None:
            raise TriggerNotFound(service=key.service, function=key.function, trigger=key.name)
        trigger, rule = found
        depths = received.depths or [0] * len(received.events)
        fitting = [
            (self._told(each, is_trusted=True), depth) for each, depth in zip(received.events, depths, strict=True)
            if rule.fits(each)
        ]  # fmt: skip
        await self._fire([each for part in _parts(rule, fitting) for each in self._firings(trigger, rule, *part)])

    def _use_feed(self, marks: Mapping[Key, str]) -> Mapping[Key, str]:
        """What is to be remembered of triggers that may be for what happens in buckets, since they are so now."""
        before, self._fed = self._fed, {key for key, (_, rule) in self._declared.items() if rule.may_fit(SOURCE)}
        mark = self._feed.use(marks.values(), is_wanted=bool(self._fed))
        return {key: mark for key in self._fed - before if not marks.get(key)}

    async def run(self) -> None:
        """See Source. What is published fires by itself, or gathers in windows; what happens in buckets is told."""
        tasks = Tasks()
        running = [
            tasks.begin("windows of EventBridge", self._windows.run()),
            tasks.begin("events of buckets for EventBridge", self._feed.run()),
            tasks.begin("queues for EventBridge", self._pullers.run()),
        ]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.close()

    async def _tell(self, event: CloudEvent, depth: int, mark: str) -> None:
        """See Tell."""
        firings = [each._replace(mark=mark) for each in self._all_firings([event], depth, is_trusted=True)]
        await self._fire(firings)

    async def publish(self, events: Sequence[CloudEvent], depth: int = 0, *, is_trusted: bool) -> list[Fired]:
        """Fire every trigger that the events are for, and return when all those calls are promised. `is_trusted`: the
        publisher may also be a service of the cloud, and speak for other sources than the account's own bus. `depth`:
        how many calls led to this. Raises PyfcError; then nothing is promised.
        """
        return await self._fire(self._all_firings(events, depth, is_trusted=is_trusted))

    def _all_firings(self, events: Sequence[CloudEvent], depth: int, *, is_trusted: bool) -> list[Firing]:
        firings: list[Firing] = []
        for trigger, rule in self._declared.values():
            if rule.is_enabled and (is_trusted or rule.source == DEFAULT):
                fitting = [self._told(each, is_trusted=is_trusted) for each in events if rule.fits(each)]
                firings += self._firings(trigger, rule, fitting, depth)
        return firings

    def hears(self, source: str) -> bool:
        """Whether a trigger of the account's own bus may be for events of a source."""
        return any(rule.may_fit(source) for _, rule in self._declared.values())

    async def deliver(self, event: CloudEvent, depth: int, trace: Trace | None = None) -> bool:
        """Publish what a service of this server tells of itself, on the account's own bus; whether somebody has a rule
        for it. An event with an id of before calls nobody again. `trace`: that of what led to it. Raises PyfcError;
        then nothing is promised.
        """
        firings = self._all_firings([event], depth, is_trusted=False)
        named = [(f"eventbridge/{event['id']}/{'/'.join(Key.of(each.trigger))}", each) for each in firings]
        return bool(await self._fire([each._replace(identity=name, trace=trace) for name, each in named]))

    async def publish_to(self, key: Key, events: Sequence[CloudEvent], depth: int = 0) -> list[Fired]:
        """Fire one trigger for all of the events, whatever its rule says. Raises TriggerNotFound, PyfcError."""
        found = self._declared.get(key)
        if found is None:
            raise TriggerNotFound(service=key.service, function=key.function, trigger=key.name)
        told = [self._told(each, is_trusted=True) for each in events]
        return await self._fire(self._firings(found.trigger, found.rule, told, depth))

    async def _fire(self, firings: Sequence[Firing]) -> list[Fired]:
        if firings:
            await self._emit(*firings)
        for key, count in Counter(Key.of(each.trigger) for each in firings if each.is_held).items():
            self._windows.add(key, count)
        return [Fired(Key.of(each.trigger), each.identity) for each in firings]

    def _told(self, event: CloudEvent, *, is_trusted: bool) -> CloudEvent:
        """An event with what EventBridge adds; who is trusted may have said it."""
        text = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        added = {
            "aliyunaccountid": self._account, "aliyunpublishtime": text, "aliyunoriginalaccountid": self._account,
            "aliyuneventbusname": "default", "aliyunregionid": self._region, "aliyunpublishaddr": "127.0.0.1",
        }  # fmt: skip
        whole = {**added, **event} if is_trusted else {**event, **added}
        data = {name: whole.pop(name) for name in _OF_DATA if name in whole}
        return {**whole, **data}

    def _firings(self, trigger: Trigger, rule: Rule, events: Sequence[CloudEvent], depth: int) -> list[Firing]:
        if rule.window is not None:
            [told] = delivered(rule, events) or [[]]
            return [_firing(trigger, msgspec.json.encode(each), depth)._replace(is_held=True) for each in told]
        return [_firing(trigger, _encoded(each), depth) for each in delivered(rule, events)]

    def state(self, key: Key) -> State:
        """See Source."""
        found = self._declared.get(key)
        if stopped := self._windows.stopped_at(key):
            advice = f"`pyfc events retry {stopped}` or `drop` lets it go on (errorsTolerance: NONE)"
            return State(error=f"stopped at a call that was given up: {advice}", is_stopped=True)
        error = self._errors.get(key, "") or self._windows.errors.get(key, "")
        error = error or (self._feed.error if key in self._fed else "") or self._pullers.errors.get(key, "")
        return State(found is None or found.rule.is_enabled, None, error or self._absent(found))

    def _absent(self, found: _Declared | None) -> str:
        """What a trigger pulls that was deleted, '' if it was not."""
        source = found.rule.queue if found is not None else None
        if isinstance(source, MnsQueue) and self._queues.is_deleted(source.queue):
            return deleted(f"queue {source.queue}")
        return ""

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        """See Source."""
        return []


def _parts(rule: Rule, found: Sequence[tuple[CloudEvent, int]]) -> list[tuple[list[CloudEvent], int]]:
    """Events with their depths, sorted into those that come together at once, and how deep these are."""
    if rule.is_streaming and rule.window is None and found:
        return [([event for event, _ in found], max(depth for _, depth in found))]
    return [([event], depth) for event, depth in found]


def _firing(trigger: Trigger, payload: bytes, depth: int) -> Firing:
    """What was accepted is one event more each time, also one with an id that was there before."""
    return Firing(trigger, payload, f"eventbridge/{uuid.uuid4()}", "", depth)


def delivered(rule: Rule, events: Sequence[CloudEvent]) -> list[Any]:
    """What the function of a trigger gets for these events, a value a call; bytes are sent as they are."""
    if rule.is_streaming:
        return [[_raw(each) if rule.is_raw else each for each in events]] if events else []
    return [_raw_alone(each) if rule.is_raw else each for each in events]


def _raw(event: CloudEvent) -> Any:
    return event["data"] if "data" in event else event.get("data_base64", "")


def _raw_alone(event: CloudEvent) -> Any:
    return base64.b64decode(event["data_base64"]) if "data_base64" in event else _raw(event)


def _encoded(value: Any) -> bytes:
    """As it is sent; text that is not part of something is not quoted."""
    if isinstance(value, bytes | str):
        return value.encode() if isinstance(value, str) else value
    return msgspec.json.encode(value)
