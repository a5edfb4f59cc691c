"""Triggers of topics: they fire for what is published (FC's topic trigger, contract §8.1 and §8.3).

1. What a trigger is still to be told of has numbers in the message service, in the order of the commits. The trigger
   remembers the number up to which it has fired in the step that promises the calls, so nothing is lost and nothing
   comes twice.
2. Each trigger has a task of its own while there is something for it: one that cannot fire (its function's queue is
   full) holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from pyfc.errors import InvalidArgument, PyfcError
from pyfc.model.policy import back_off
from pyfc.model.topic import NAME, Notice, Wish, can_be
from pyfc.model.trigger import Trigger
from pyfc.tasks import Tasks
from pyfc.triggers.interface import Emit, Firing, Key, State, deleted, failed, is_enabled, option, state_of, wrong

_LAST = 2**62
"""No number is higher."""
_BATCH = 100
"""Messages that are read at once."""
_STREAM, _JSON = "STREAM", "JSON"
_STRATEGIES = ("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY")
_LONGEST_TAG = 16
_EXTEND = "Extend"
"""An attribute that is JSON of others."""


class Notices(Protocol):
    """What the topics of a message service tell."""

    waiting: set[str]
    """Names of triggers for which there may be something."""
    fired: asyncio.Event
    """Set when there are more of them."""

    def want(self, wishes: Mapping[str, Sequence[Wish]]) -> None:
        """Keep what triggers wish to hear from now on, by topic; a topic that is not there is made."""

    def has(self, topic: str) -> bool:
        """Whether a topic is there, or on its way."""

    async def notices(self, trigger: str, after: int, limit: int) -> list[tuple[int, Notice]]:
        """The first `limit` messages for a trigger that have higher numbers, by number. Raises PyfcError."""

    async def forget(self, trigger: str, number: int) -> None:
        """A trigger was told of what has numbers up to this one. Raises PyfcError."""


class _Watched:
    """A trigger that fires."""

    __slots__ = ("cursor", "error", "format", "is_busy", "key", "tag", "topic", "trigger")

    def __init__(self, key: Key, trigger: Trigger, cursor: int) -> None:
        """Raises InvalidArgument that names the property."""
        self.key = key
        self.cursor = cursor
        self.is_busy = False
        self.error = ""
        self.take(trigger)

    def take(self, trigger: Trigger) -> None:
        """It is declared so from now on. Raises InvalidArgument that names the property."""
        config = trigger.config
        self.trigger = trigger
        self.topic = topic_of(trigger)
        self.tag = str(option(config, "filterTag") or "")
        self.format = str(option(config, "notifyContentFormat") or _STREAM).upper()
        strategy = str(option(config, "notifyStrategy") or _STRATEGIES[0])
        if not self.topic:
            raise InvalidArgument(message="neither sourceArn nor topicName names a topic")
        if not can_be(self.topic):
            place = "triggerConfig.topicName" if option(config, "topicName") else "sourceArn"
            raise InvalidArgument(message=f"{place} is {self.topic!r}: a topic's name has {NAME}")
        if len(self.tag) > _LONGEST_TAG:
            raise wrong("filterTag", self.tag, f"it has {_LONGEST_TAG} characters at most")
        if self.format not in {_STREAM, _JSON}:
            raise wrong("notifyContentFormat", self.format, f"it must be {_STREAM} or {_JSON}")
        if strategy not in _STRATEGIES:
            raise wrong("notifyStrategy", strategy, f"it must be {' or '.join(_STRATEGIES)}")

    @property
    def name(self) -> str:
        return "/".join(self.key)


class MnsTopic:
    """The triggers of one server's topics."""

    type = "mns_topic"

    def __init__(self, emit: Emit, notices: Notices, account: str) -> None:
        self._emit = emit
        self._notices = notices
        self._account = account
        self._watched: dict[Key, _Watched] = {}
        self._errors: dict[Key, str] = {}
        self._tasks = Tasks()

    def use(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> Mapping[Key, str]:
        """See Source. A new trigger begins with what is published after it."""
        before = self._watched
        self._watch(triggers, marks)
        self._notices.want(self._wishes())
        for gone in [each for key, each in before.items() if key not in self._watched]:
            self._tasks.begin(f"forgetting what the trigger {gone.name} was to be told", self._forget(gone.name))
        self._notices.waiting.update(each.name for each in self._watched.values() if each.key not in before)
        self._notices.fired.set()
        return {key: str(each.cursor) for key, each in self._watched.items() if key not in before and key not in marks}

    def _wishes(self) -> dict[str, list[Wish]]:
        found: defaultdict[str, list[Wish]] = defaultdict(list)
        for watched in self._watched.values():
            found[watched.topic].append(Wish(watched.name, watched.tag))
        return found

    def _watch(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> None:
        before, self._watched, self._errors = self._watched, {}, {}
        for key, trigger in triggers.items():
            if is_enabled(trigger.config):
                try:
                    self._watched[key] = self._kept(key, trigger, before.get(key), marks.get(key, ""))
                except InvalidArgument as error:
                    self._errors[key] = str(error)

    def _kept(self, key: Key, trigger: Trigger, before: _Watched | None, mark: str) -> _Watched:
        if before is not None:
            before.take(trigger)
            return before
        return _Watched(key, trigger, int(mark) if mark.isdecimal() else 0)

    async def run(self) -> None:
        """See Source."""
        try:
            while True:
                self._notices.fired.clear()
                for watched in self._watched.values():
                    if watched.name in self._notices.waiting and not watched.is_busy:
                        watched.is_busy = True
                        self._tasks.begin(f"the trigger {watched.name}", self._fire(watched))
                await self._notices.fired.wait()
        finally:
            await self._tasks.close()
            for watched in self._watched.values():
                watched.is_busy = False
                self._notices.waiting.add(watched.name)

    async def _forget(self, trigger: str) -> None:
        """Nobody is to hear of what was published before. If that fails its time goes by itself."""
        with contextlib.suppress(PyfcError):
            await self._notices.forget(trigger, _LAST)

    async def _fire(self, watched: _Watched) -> None:
        """Fire a trigger for all there is."""
        failures = 0
        while self._watched.get(watched.key) is watched and watched.name in self._notices.waiting:
            try:
                await self._tell(watched)
                failures, watched.error = 0, ""
            except Exception as error:
                failures, watched.error = failures + 1, failed(watched.key, error)
                await asyncio.sleep(back_off(failures))
        watched.is_busy = False

    async def _tell(self, watched: _Watched) -> None:
        """Fire for the next ones. Raises PyfcError at the first for which that is not possible."""
        self._notices.waiting.discard(watched.name)
        rows: Sequence[tuple[int, Notice]] = []
        try:
            rows = await self._notices.notices(watched.name, watched.cursor, _BATCH)
            if rows:
                await self._promise(watched, [self._firing(watched, *row) for row in rows])
                await self._notices.forget(watched.name, watched.cursor)
        except Exception:
            self._notices.waiting.add(watched.name)
            raise
        if len(rows) == _BATCH:
            self._notices.waiting.add(watched.name)

    async def _promise(self, watched: _Watched, firings: Sequence[Firing]) -> None:
        try:
            await self._emit(*firings)
        except PyfcError:
            for firing in firings:
                await self._emit(firing)
                watched.cursor = int(firing.mark)
        watched.cursor = int(firings[-1].mark)

    def _firing(self, watched: _Watched, number: int, notice: Notice) -> Firing:
        payload = self._event(watched, notice) if watched.format == _JSON else _stream(notice)
        identity = f"mns/{number}/{notice.id}/{watched.name}"
        return Firing(watched.trigger, payload, identity, str(number), notice.depth, trace=notice.trace)

    def _event(self, watched: _Watched, notice: Notice) -> bytes:
        event: dict[str, Any] = {
            "TopicOwner": self._account,
            "Message": notice.body,
            "Subscriber": self._account,
            "PublishTime": round(notice.time * 1000),
            "SubscriptionName": watched.trigger.name,
            "MessageMD5": hashlib.md5(notice.body.encode(), usedforsecurity=False).hexdigest().upper(),
            "TopicName": notice.topic,
            "MessageId": notice.id,
        }
        return msgspec.json.encode({**_spread(notice.attributes), **event})

    def state(self, key: Key) -> State:
        """See Source."""
        watched = self._watched.get(key)
        topic = watched.topic if watched is not None else ""
        absent = deleted(f"topic {topic}") if topic and not self._notices.has(topic) else ""
        return state_of(watched, self._errors.get(key, ""), absent)

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        """See Source."""
        return []


def check(trigger: Trigger) -> None:
    """Raises InvalidArgument for one that cannot fire."""
    _Watched(Key.of(trigger), trigger, 0)


def topic_of(trigger: Trigger) -> str:
    """The topic in topicName or in acs:mns:REGION:ACCOUNT:/topics/NAME; '' where neither names one."""
    name = str(option(trigger.config, "topicName", "") or "")
    parts = trigger.source_arn.split(":", 4)
    kind, _, told = parts[-1].removeprefix("/").partition("/")
    is_topic = len(parts) == 5 and parts[:2] == ["acs", "mns"] and kind == "topics"
    return name or (told.removesuffix("/messages") if is_topic else "")


def _stream(notice: Notice) -> bytes:
    """The text alone, unless it has attributes."""
    if not notice.attributes:
        return notice.body.encode()
    return msgspec.json.encode({"body": notice.body, "attrs": notice.attributes})


def _spread(attributes: Mapping[str, str]) -> dict[str, Any]:
    """Attributes as the JSON format has them: each by itself, those in Extend too."""
    found: dict[str, Any] = {name: value for name, value in attributes.items() if name != _EXTEND}
    if _EXTEND in attributes:
        try:
            extended = msgspec.json.decode(attributes[_EXTEND])
        except msgspec.DecodeError:
            extended = None
        found |= extended if isinstance(extended, dict) else {_EXTEND: attributes[_EXTEND]}
    return found
