"""Timers: they fire at the times of a cron expression, or so often (FC's time trigger, contract §8.1 and §8.3).

1. There is one heap of next times for all timers, and one task that waits for the first of them. The clock is looked at
   every 30 seconds besides, since it may be set and the machine may sleep.
2. An instant fires at most once: the last that has fired is remembered in the step that promises the call, and the call
   has the name of the instant.
3. Of instants that were missed (the server was down, the machine slept) the last one fires if it is younger than
   `timer_misfire`; that others were left out is logged. When the clock is set back, what has fired does not fire again.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pyfc.errors import InvalidArgument, PyfcError
from pyfc.model.policy import back_off
from pyfc.model.schedule import Every, parse
from pyfc.model.trigger import Trigger
from pyfc.tasks import Tasks
from pyfc.triggers.interface import Emit, Firing, Key, State, is_enabled, option, wrong

_LOOK = 30.0
"""Seconds between two looks at the clock."""
_LATE = 5.0
"""Seconds by which each instant may be late; of more only the last fires."""
_log = logging.getLogger(__name__)


class _Mark(msgspec.Struct, array_like=True):
    """What is remembered of a timer."""

    expression: str
    start: float
    """From when `@every` counts."""
    last: float
    """The last instant that has fired, or before which none fires."""


class _Timed:
    """One timer."""

    __slots__ = ("failures", "mark", "next", "trigger")

    def __init__(self, trigger: Trigger, mark: _Mark) -> None:
        self.trigger = trigger
        self.mark = mark
        self.next: float | None = None
        self.failures = 0

    def after(self, moment: float) -> float | None:
        """The first instant that is later."""
        schedule = parse(self.mark.expression)
        return schedule.after(moment, self.mark.start) if isinstance(schedule, Every) else schedule.after(moment)

    def latest(self, moment: float) -> float | None:
        """The last instant that is not later."""
        schedule = parse(self.mark.expression)
        if isinstance(schedule, Every):
            return schedule.after(moment, self.mark.start) - schedule.seconds
        return schedule.before(moment + 0.001)


def check(config: Mapping[str, Any]) -> str:
    """The expression of a timer's configuration. Raises InvalidArgument that names the property."""
    expression = option(config, "cronExpression", "")
    try:
        parse(str(expression))
    except ValueError as error:
        raise wrong("cronExpression", expression, str(error)) from None
    return str(expression)


class Timer:
    """The timers of one server."""

    type = "timer"

    def __init__(self, emit: Emit, misfire: float, now: Callable[[], float] = time.time) -> None:
        """`misfire`: seconds after which a missed instant is left out."""
        self._emit = emit
        self._misfire = misfire
        self._now = now
        self._timers: dict[Key, _Timed] = {}
        self._errors: dict[Key, str] = {}
        self._heap: list[tuple[float, Key]] = []
        self._changed = asyncio.Event()
        self._tasks = Tasks()

    def use(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> Mapping[Key, str]:
        """See Source. A timer's first mark says from when `@every` counts, which no start of the server changes."""
        before, self._timers, self._errors = self._timers, {}, {}
        begun: dict[Key, str] = {}
        for key, trigger in triggers.items():
            try:
                expression = check(trigger.config)
            except InvalidArgument as error:
                self._errors[key] = str(error)
                continue
            if is_enabled(trigger.config):
                self._timers[key], is_new = self._kept(trigger, expression, before.get(key), marks.get(key, ""))
                if is_new:
                    begun[key] = _written(self._timers[key].mark)
        self._heap = [(timed.next, key) for key, timed in self._timers.items() if timed.next is not None]
        heapq.heapify(self._heap)
        self._changed.set()
        return begun

    def _kept(self, trigger: Trigger, expression: str, before: _Timed | None, text: str) -> tuple[_Timed, bool]:
        """A timer as it goes on, or as it begins, and whether it begins."""
        now = self._now()
        if before is not None and before.mark.expression == expression:
            before.trigger = trigger
            return before, False
        mark = _read(text)
        is_new = mark is None or mark.expression != expression
        if mark is None or is_new:
            mark = _Mark(expression, now, now)
        timed = _Timed(trigger, mark)
        timed.next = timed.after(mark.last)
        return timed, is_new

    async def run(self) -> None:
        """See Source."""
        try:
            while True:
                self._changed.clear()
                self._fire_due()
                delay = min(_LOOK, self._heap[0][0] - self._now()) if self._heap else None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay):  # wait_for of Python 3.11 may lose a cancellation
                        await self._changed.wait()
        finally:
            await self._tasks.close()

    def _fire_due(self) -> None:
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            timed = self._timers.get(key)
            if timed is None or timed.next != due:
                continue
            self._begin(key, timed, self._chosen(timed, due, now))
            timed.next = timed.after(timed.mark.last)
            if timed.next is not None:
                heapq.heappush(self._heap, (timed.next, key))

    def _chosen(self, timed: _Timed, due: float, now: float) -> float | None:
        """Which instant fires of those that are due. The mark says then that none up to it does again."""
        instant = due
        if now - due > _LATE:
            latest = timed.latest(now)
            instant = due if latest is None else max(due, latest)
        timed.mark = _Mark(timed.mark.expression, timed.mark.start, instant)
        is_too_old = now - instant > self._misfire and now - due > _LATE
        if instant != due or is_too_old:
            _log.warning(
                "timer %s: what was due from %s on was missed%s", "/".join(Key.of(timed.trigger)), _text(due),
                "" if is_too_old else f"; it fires once, for {_text(instant)}",
            )  # fmt: skip
        return None if is_too_old else instant

    def _begin(self, key: Key, timed: _Timed, instant: float | None) -> None:
        if instant is not None:
            name = f"the timer {'/'.join(key)}"
            self._tasks.begin(name, self._tell(key, timed.trigger, timed.mark, instant))

    async def _tell(self, key: Key, trigger: Trigger, mark: _Mark, instant: float) -> None:
        """Have a call promised, however often that has to be tried; not when the timer is gone meanwhile."""
        payload = {"triggerTime": _text(instant), "triggerName": trigger.name,
                   "payload": str(option(trigger.config, "payload", "") or "")}  # fmt: skip
        firing = Firing(trigger, msgspec.json.encode(payload), f"{'/'.join(key)}@{instant}", _written(mark))
        while (timed := self._timers.get(key)) is not None:
            try:
                await self._emit(firing)
            except PyfcError as error:
                timed.failures += 1
                self._errors[key] = str(error)
                await asyncio.sleep(back_off(timed.failures))
            else:
                timed.failures = 0
                self._errors.pop(key, None)
                return

    def state(self, key: Key) -> State:
        """See Source."""
        timed = self._timers.get(key)
        error = self._errors.get(key, "")
        return State(timed is not None or bool(error), timed.next if timed is not None else None, error)

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        """See Source."""
        timed = self._timers.get(key)
        found: list[float] = []
        moment = timed.next if timed is not None else None
        while timed is not None and moment is not None and len(found) < count:
            found.append(moment)
            moment = timed.after(moment)
        return found


def _read(text: str) -> _Mark | None:
    try:
        return msgspec.json.decode(text, type=_Mark) if text else None
    except msgspec.MsgspecError:
        return None


def _written(mark: _Mark) -> str:
    return msgspec.json.encode(mark).decode()


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
