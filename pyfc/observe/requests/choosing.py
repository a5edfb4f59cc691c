"""Which calls get a record: all that failed, were cold, slow, asynchronous or traced; of plain ones so many a second.

A call is slow that takes longer than 99 of 100 of its function's last 1,000, or than a fixed bound while fewer than 100
are known.
"""

from __future__ import annotations

from collections import deque

from pyfc.model.function import Function
from pyfc.model.invocation import Invocation
from pyfc.model.names import Target
from pyfc.observe.journal import CallRecord, Record
from pyfc.observe.logs import FunctionLogs
from pyfc.observe.requests.record import Row, row

_KNOWN = 100
"""Calls of a function that must be known before their percentile is the bound."""
_NEWEST = 1000
SLOW = 1.0
"""Seconds: the bound until then."""
_MOST_FUNCTIONS = 4096
_FAILED = 400
LeftOut = tuple[str, str, int, int]
"""Service, function, minute (seconds since the epoch), calls."""


class _Durations:
    """What is known of one version of a function."""

    __slots__ = ("bound", "function", "left_out", "looked", "newest", "room", "second", "seen")

    def __init__(self, function: Function) -> None:
        self.function = function
        self.newest: deque[float] = deque(maxlen=_NEWEST)
        self.seen = 0
        """Since the bound was found."""
        self.bound = SLOW
        self.second = 0
        self.room = 0
        """Plain calls that may be kept in this second."""
        self.left_out = 0

    def begin(self, now: float, rate: int) -> None:
        """Calls of this moment follow. Once a second: find the bound again, if there is enough to find it by."""
        if self.second == int(now):
            return
        self.second, self.room = int(now), rate
        if self.seen >= _KNOWN:
            self.bound, self.seen = sorted(self.newest)[len(self.newest) * 99 // 100], 0


class Choosing:
    """Makes rows of batches."""

    def __init__(self, rate: int, logs: FunctionLogs, *, begins_traces: bool = False) -> None:
        """`logs`: hears of each batch before. `begins_traces`: a trace without a caller's span is the server's own, and
        does not make a call other than plain.
        """
        self._begins_traces = begins_traces
        self._rate = rate
        self._logs = logs
        self._functions: dict[Target, _Durations] = {}
        self._left_out: list[LeftOut] = []

    def rows(self, batch: list[Record]) -> list[Row]:
        """Of the calls of a batch that are kept."""
        now = batch[-1].time
        found: list[Row] = []
        of: _Durations | None = None
        places = self._logs.places
        for record in batch:
            if not isinstance(record, CallRecord):
                continue
            if of is None or of.function is not record.function:
                of = self._of(record.function, now)
                of.begin(now, self._rate)
            if record.result is not None:
                of.newest.append(record.result.usage.duration)
                of.seen += 1
            why = "plain" if _is_plain(record, of.bound) else self._why(record, of.bound)
            if why == "plain":
                if of.room <= 0:
                    of.left_out += 1
                    continue
                of.room -= 1
            found.append(row(record, why, places.get((of.function.service, of.function.name))))
        return found

    def left_out(self, now: float) -> list[LeftOut]:
        """How many calls were left out since that was last asked."""
        found, self._left_out = self._left_out, []
        minute = int(now) // 60 * 60
        for (service, function, _), of in self._functions.items():
            if of.left_out:
                found.append((service, function, minute, of.left_out))
                of.left_out = 0
        return found

    def put_back(self, left_out: list[LeftOut]) -> None:
        """What was taken and could not be told."""
        self._left_out += left_out

    def lose(self, rows: list[Row]) -> None:
        """These could not be kept after all."""
        for each in rows:
            self._left_out.append((each.service, each.function, int(each.time) // 60 * 60, 1))

    def _why(self, record: CallRecord, bound: float) -> str:
        """For which reason a call is kept that is more than a quick one, if it is kept in any case."""
        call, result = record.call, record.result
        if result is None or result.fault is not None or record.status >= _FAILED:
            return "failed"
        usage = result.usage
        if usage.cold:
            return "cold"
        if max(usage.duration, usage.start.waited if usage.start is not None else 0.0) > bound:
            return "slow"
        if call.cause is not None:
            return "asynchronous"
        return "traced" if self._is_traced(call) else "plain"

    def _is_traced(self, call: Invocation) -> bool:
        return call.trace is not None and bool(call.caller_span or not self._begins_traces)

    def _of(self, function: Function, now: float) -> _Durations:
        found = self._functions.get(function.target)
        if found is None or found.function is not function:
            if len(self._functions) >= _MOST_FUNCTIONS:
                self._left_out = self.left_out(now)
                self._functions.clear()
            left_out = found.left_out if found is not None else 0
            found = self._functions[function.target] = _Durations(function)
            found.left_out = left_out
        return found


def _is_plain(record: CallRecord, bound: float) -> bool:
    """Whether a call is one of those that most are: about which nothing more has to be asked."""
    _, _, call, status, result, _ = record
    if result is None or result.fault is not None or status >= _FAILED:
        return False
    duration, _, cold, _, start = result.usage
    return start is None and not cold and duration <= bound and call.cause is None and call.trace is None
