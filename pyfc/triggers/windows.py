"""Windows in which the events of a stream wait for each other: what has gathered is pushed in one call, when it is
enough or has waited long enough (the batch window of EventBridge).

What waits is held in the queue, so it outlives the server. It is forgotten in the step that promises the call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from pyfc.errors import PyfcError
from pyfc.model.asynchronous import MAXIMUM_PAYLOAD, Event, Status
from pyfc.model.trigger import Trigger
from pyfc.triggers.interface import Firing, Holding, Key, option, wrong
from pyfc.triggers.pacing import Pace

_MOST_EVENTS, _MOST_SECONDS = 10_000, 15
_MOST_BYTES = {True: MAXIMUM_PAYLOAD, False: 32 * 1024 * 1024}
"""Of the events that are pushed together, by whether the function is called asynchronously."""
_AGAIN = 1.0
"""Seconds after which a push is tried again that could not be promised."""


class Window(NamedTuple):
    """When what has gathered is pushed: at so many events, or after so many seconds."""

    most: int
    seconds: float


class Stream(NamedTuple):
    """A trigger, and how its events are pushed."""

    trigger: Trigger
    window: Window | None = None
    """None: they are pushed as they come."""
    tasks: int = 0
    """How many pushes there may be at once; 0 for any number."""
    stops: bool = False
    """Whether nothing is pushed any more after a push was given up."""


_AT_ONCE = Window(_MOST_EVENTS, 0.0)
"""For what is left when a trigger has no window any more."""


def window_of(config: Mapping[str, Any]) -> Window | None:
    """That of a trigger of EventBridge; None if events are pushed as they come. Raises InvalidArgument."""
    wish = option(option(config, "runOptions") or {}, "batchWindow") or {}
    count, seconds = option(wish, "CountBasedWindow", 1), option(wish, "TimeBasedWindow", 0)
    for name, found, low, high in (("Count", count, 1, _MOST_EVENTS), ("Time", seconds, 0, _MOST_SECONDS)):
        if not isinstance(found, int) or not low <= found <= high:
            raise wrong(f"runOptions.batchWindow.{name}BasedWindow", found, f"it must be {low} to {high}")
    return Window(count, seconds) if count > 1 and seconds > 0 else None


def paced_window_of(config: Mapping[str, Any]) -> Window:
    """The same for a trigger whose pushes wait for each other: what waits comes together then."""
    wish = option(option(config, "runOptions") or {}, "batchWindow") or {}
    return window_of(config) or Window(max(1, int(option(wish, "CountBasedWindow", 1))), 0.0)


class _Gathering:
    """What has gathered for one trigger. Of before the server's start there may be something."""

    __slots__ = ("count", "deadline", "due", "left", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self.count = 0
        """Events that have come since it was looked after."""
        self.left: list[Event] = []
        """Taken, and not pushed yet."""
        self.deadline: float | None = None
        """When what there is has waited long enough, by the clock that is never set; None while there is nothing."""
        self.due: float | None = None
        """When it is looked after; None while there is nothing."""

    def look(self, window: Window | None) -> None:
        """Look after what there may be, from now on by this window."""
        self.window = window or _AT_ONCE
        self.due = time.monotonic()
        self.deadline = self.due if window is None else None

    def add(self, count: int) -> None:
        """So many have come."""
        self.count += count
        self.wait()
        if self.count + len(self.left) >= self.window.most:
            self.due = time.monotonic()

    def wait(self) -> None:
        """What there is waits for more."""
        if self.deadline is None:
            self.deadline = time.monotonic() + self.window.seconds
        self.due = self.deadline if self.due is None else min(self.due, self.deadline)

    def begin(self) -> bool:
        """It is looked after now, and what comes from now on is told. Whether it has waited long enough."""
        is_late = self.deadline is not None and self.deadline <= time.monotonic()
        self.due, self.count = None, 0
        if is_late:
            self.deadline = None
        return is_late


class Windows:
    """The windows of one server's triggers."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._gathering: dict[Key, _Gathering] = {}
        self._pace = Pace(holding)
        self._triggers: Mapping[Key, Stream] = {}
        self._there: AbstractSet[Key] = frozenset()
        self._changed = asyncio.Event()
        self.errors: dict[Key, str] = {}
        """Why nothing of some can be pushed now."""

    def use(self, triggers: Mapping[Key, Stream], there: AbstractSet[Key]) -> None:
        """From now on these have windows, or none. `there`: also those with which something is wrong, whose events
        wait; what has gathered for one that is gone goes too.
        """
        self._triggers, self._there = triggers, frozenset(there)
        self._pace.keep({key for key, each in triggers.items() if each.tasks})
        for key, (_, window, *_) in triggers.items():
            if window is not None or key in self._gathering:
                self._gathering.setdefault(key, _Gathering(window or _AT_ONCE)).look(window)
        for key in self._gathering.keys() - self._there:
            self._gathering[key].look(None)
        self._changed.set()

    def add(self, key: Key, count: int) -> None:
        """So many events are held for a trigger now."""
        if (gathering := self._gathering.get(key)) is not None:
            gathering.add(count)
            self._changed.set()

    def heard(self, key: Key, number: str, status: Status | None) -> None:
        """See Pacing."""
        self._pace.heard(key, number, status)
        if (gathering := self._gathering.get(key)) is not None and gathering.deadline is not None:
            gathering.due = time.monotonic()
            self._changed.set()

    def stopped_at(self, key: Key) -> str:
        """The call at which a stream has stopped, '' if it has not."""
        stream = self._triggers.get(key)
        return self._pace.given_up(key) if stream is not None and stream.stops else ""

    async def run(self) -> None:
        """Push what is due, until it is cancelled."""
        while True:
            self._changed.clear()
            now = time.monotonic()
            due = [key for key, each in self._gathering.items() if each.due is not None and each.due <= now]
            await asyncio.gather(*map(self._look, due))
            await self._wait()

    async def _wait(self) -> None:
        """Until one is due, or others are there."""
        due = min((each.due for each in self._gathering.values() if each.due is not None), default=None)
        try:
            async with asyncio.timeout(None if due is None else max(due - time.monotonic(), 0)):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _look(self, key: Key) -> None:
        """Push what has gathered for one trigger, if that is enough or has waited long enough."""
        gathered = self._gathering[key]
        is_late = gathered.begin()
        if key in self._there and key not in self._triggers:
            return  # something is wrong with how it is declared now
        try:
            if (stream := self._triggers.get(key)) is not None and stream.tasks:
                await self._pace.know(key)
            await self._push(key, gathered, is_late=is_late)
        except PyfcError as error:
            self.errors[key] = str(error)
            gathered.deadline = gathered.due = time.monotonic() + _AGAIN
            return
        self.errors.pop(key, None)
        stream = self._triggers.get(key)
        if gathered.due is None and (stream is None or stream.window is None):
            del self._gathering[key]

    async def _push(self, key: Key, gathered: _Gathering, *, is_late: bool) -> None:
        """Push as much as may come together, and look again then. Raises PyfcError."""
        missing = gathered.window.most - len(gathered.left)
        if missing > 0:
            gathered.left += await self._holding.take(key, missing)
        events, stream = gathered.left, self._triggers.get(key)
        if not events:
            return
        if len(events) < gathered.window.most and not is_late:
            gathered.wait()
            return
        if stream is not None and self._is_held_up(key, stream):
            gathered.deadline = time.monotonic()  # it has waited long enough when there is room again
            return
        await self._release(key, stream, gathered, is_late=is_late)

    def _is_held_up(self, key: Key, stream: Stream) -> bool:
        is_busy = bool(stream.tasks) and self._pace.under_way(key) >= stream.tasks
        return is_busy or bool(self.stopped_at(key))

    async def _release(self, key: Key, stream: Stream | None, gathered: _Gathering, *, is_late: bool) -> None:
        """Push what may come together of what was taken. Raises PyfcError."""
        events = gathered.left
        part = events[: _fitting(events, stream.trigger.config)] if stream is not None else events
        number = await self._holding.release(part, _together(stream.trigger, part) if stream is not None else None)
        if number:
            self._pace.heard(key, number, Status.ENQUEUED)
        gathered.left = events[len(part) :]
        gathered.due = time.monotonic()
        if gathered.left and is_late:  # it has waited as long
            gathered.deadline = gathered.due


def _fitting(events: Sequence[Event], config: Mapping[str, Any]) -> int:
    """How many events come together at the most; one does in any case."""
    left = _MOST_BYTES[option(config, "asyncInvocationType", default=False) is True]
    for count, event in enumerate(events):
        left -= len(event.payload) + 1
        if left < 1 and count:
            return count
    return len(events)


def _together(trigger: Trigger, events: Sequence[Event]) -> Firing:
    """One call for events, always the same for the same ones."""
    payload = b"[%b]" % b",".join(each.payload for each in events)
    return Firing(trigger, payload, f"window/{events[0].id}", "", max(each.depth for each in events))
