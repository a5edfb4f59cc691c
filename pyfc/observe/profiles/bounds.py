"""How long a call must run to be profiled: longer than 99 of 100 of its function's last 1,000."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from pyfc.model.function import Function
from pyfc.model.names import Target
from pyfc.observe.journal import CallRecord, Record

_KNOWN = 100
"""Calls of a function that must have been seen."""
_NEWEST = 1000
_LEAST = 0.05
"""Seconds: who runs shorter has ended before it can be looked at."""
_FRESH = 1.0
"""Seconds for which a bound counts."""


class _Durations:
    """Of one version of a function."""

    def __init__(self) -> None:
        self.newest: deque[float] = deque(maxlen=_NEWEST)
        self.bound = 0.0
        self.found = float("-inf")


class Bounds:
    """A journal's listener (`listen`): it counts the calls of functions that ask for profiles."""

    def __init__(self) -> None:
        self.ended: Callable[[str], None] = lambda _: None
        """Hears the request id of each of their calls that has ended."""
        self._functions: dict[Target, _Durations] = {}

    def listen(self, batch: Iterable[Record]) -> None:
        """See Journal."""
        last: Function | None = None
        for record in batch:
            function = record.function
            if not function.profile or not isinstance(record, CallRecord):
                continue
            if function is not last:
                last, newest = function, self._of(function).newest
            self.ended(record.call.request_id)
            if record.result is not None:
                newest.append(record.result.usage.duration)

    def of(self, function: Function, now: float) -> float | None:
        """Seconds, at `now` by a monotonic clock; None while too few calls are known."""
        durations = self._of(function)
        if len(durations.newest) < _KNOWN:
            return None
        if now - durations.found >= _FRESH:
            durations.found = now
            durations.bound = sorted(durations.newest)[len(durations.newest) * 99 // 100]
        return max(durations.bound, _LEAST)

    def forget(self, function: Function) -> None:
        """It has changed: how long its calls took says nothing any more."""
        self._functions.pop(function.target, None)

    def _of(self, function: Function) -> _Durations:
        found = self._functions.get(function.target)
        if found is None:
            found = self._functions[function.target] = _Durations()
        return found
