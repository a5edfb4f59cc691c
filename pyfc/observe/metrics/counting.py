"""Calls become numbers: a listener of the journal that counts in plain dicts.

Of plain calls, that began at once and succeeded, only two numbers are noted; many are counted together (`_Plain.fold`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pyfc.model.function import Function, Limits
from pyfc.model.invocation import FaultKind, Result
from pyfc.model.names import Target
from pyfc.observe.journal import CallRecord, Record
from pyfc.observe.metrics.activity import Activity
from pyfc.observe.metrics.buckets import counted
from pyfc.observe.metrics.point import FIELDS, OTHERS, Point, Rule, Series
from pyfc.observe.metrics.reserve import Reserved
from pyfc.observe.metrics.totals import Example, Examples

MOST_SERIES = 4096
"""Series that are counted apart between two writes."""
_FOLDED = 1024
"""Durations that are noted before they are counted."""
_LEFT = 499
_OUTCOMES = {429: "throttles", 503: "resource_throttles"}
_FREE_DISK = Limits().disk_size


class Counting:
    """What has happened since it was last taken."""

    def __init__(self) -> None:
        self._points: dict[Series, Point] = {}
        self._series: dict[Target, _Plain] = {}
        self._noted = 0
        self._examples: Examples = {}
        self._activity = Activity()
        self._reserved = Reserved()

    def __bool__(self) -> bool:
        return bool(self._points)

    def listen(self, batch: list[Record]) -> None:
        """See Journal."""
        series = self._series
        for record in batch:
            if not isinstance(record, CallRecord):
                continue
            _, function, call, status, result, _ = record
            plain = series.get(call.target)
            if plain is None or plain.function is not function:
                plain = self._of(call.target, function)
            if status == plain.status and result is not None and result.fault is None and result.usage.start is None:
                plain.durations.append(result.usage.duration)
                plain.memories.append(result.usage.peak_memory)
            else:
                self._count(plain, record)
        self._noted += len(batch)
        self._note(batch[-1])
        if self._noted > _FOLDED:
            self._fold()

    def reserved(self, function: Function, count: int, seconds: float) -> None:
        """So many of a function's instances were reserved for so long."""
        point, limits = self._point(Series(*function.target)), function.limits
        milliseconds = round(seconds * count * 1000)
        point.add("reserved_ms", milliseconds)
        point.add("reserved_memory_mb_ms", milliseconds * limits.memory_size)
        point.add("reserved_vcpu_ms", round(milliseconds * function.vcpu * 1000))
        point.add("reserved_disk_mb_ms", milliseconds * max(limits.disk_size - _FREE_DISK, 0))
        self._reserved.add(function, count, milliseconds)

    def note(self, series: Series, values: Mapping[str, int]) -> None:
        """Something that is no call: more of these fields of a point, or seen of those that are a most."""
        if series.instance and series not in self._points and len(self._points) >= MOST_SERIES // 2:
            return  # instances take no room from calls
        point = self._point(series)
        for name, value in values.items():
            if FIELDS[name] is Rule.MOST:
                point.most(name, value)
            else:
                point.add(name, value)

    def take(self) -> tuple[dict[Series, Point], Examples]:
        """What has been counted, and calls that stand for others; both are forgotten."""
        self._fold()
        for series, milliseconds in self._reserved.count(self._points).items():
            self._point(series).add("covered_ms", milliseconds)
        points, self._points, self._series = self._points, {}, {}
        examples, self._examples = self._examples, {}
        return points, examples

    def _note(self, record: Record) -> None:
        """Let a call stand for others like it."""
        if not isinstance(record, CallRecord):
            return
        series, result = Series(*record.call.target), record.result
        if series in self._points:
            example = Example(
                record.call.request_id, result.usage.duration if result is not None else None, record.time
            )
            self._examples.setdefault(series, {})[_outcome(record.status, result, record.error)] = example

    def _of(self, target: Target, function: Function) -> _Plain:
        if target in self._series:
            self._series[target].fold()
        point = self._point(Series(*target))
        point.most("memory_limit_mb", function.limits.memory_size)
        plain = self._series[target] = _Plain(function, point)
        return plain

    def _point(self, series: Series) -> Point:
        found = self._points.get(series)
        if found is None:
            if len(self._points) >= MOST_SERIES:
                series = OTHERS
            found = self._points.setdefault(series, Point())
        return found

    def _fold(self) -> None:
        self._noted = 0
        for plain in self._series.values():
            plain.fold()

    def _count(self, plain: _Plain, record: CallRecord) -> None:
        """A call of which more is to be said."""
        point, status, result = plain.point, record.status, record.result
        point.add("invocations", 1)
        outcome = _outcome(status, result, record.error)
        if outcome:
            point.add(outcome, 1)
            self._note(record)
        if not 200 <= status < 300:
            point.add(f"status_{status // 100}xx", 1)
        if result is None:
            point.add("refused", 1)
            return
        usage, start = result.usage, result.usage.start
        shares = plain.function.limits.instance_concurrency > 1
        active = self._activity.of(usage.instance_id, record.time, usage.duration) if shares else None
        plain.ran([usage.duration], [usage.peak_memory], active)
        if usage.cold:
            point.add("cold_starts", 1)
        if start is None:
            point.see("direct", counted([usage.duration]))
            return
        latency = usage.duration + start.waited
        point.add("waits", 1)
        point.add("wait_us", _us(start.waited))
        point.most("latency_max_us", _us(latency))
        point.see("waited", counted([usage.duration]))
        point.see("waited_latency", counted([latency]))
        if start.phases is not None:
            for name, seconds in zip(
                ("prepare_code_us", "runtime_initialize_us", "initializer_us"), start.phases, strict=True
            ):
                point.add(name, _us(seconds))


class _Plain:
    """What is counted for one function by one qualifier."""

    __slots__ = ("durations", "function", "memories", "point", "status")

    def __init__(self, function: Function, point: Point) -> None:
        self.function = function
        self.point = point
        self.durations: list[float] = []
        """Of plain calls that are not counted yet, in seconds: the collector does not look at numbers."""
        self.memories: list[float] = []
        """Of the same calls, in MB."""
        self.status = 200 if function.limits.instance_concurrency == 1 else 0
        """What plain calls are answered; 0: none is plain, as instances run several at once."""

    def fold(self) -> None:
        """Count what was noted."""
        durations, memories = self.durations, self.memories
        if durations:
            self.durations, self.memories = [], []
            self.point.add("invocations", len(durations))
            self.ran(durations, memories)
            self.point.see("direct", counted(durations))

    def ran(self, durations: list[float], memories: list[float], active: int | None = None) -> None:
        """Calls have used so much. `active`: ms of them that are counted, if not all."""
        point, function = self.point, self.function
        point.most("memory_max_kb", math.ceil(max(memories) * 1024))
        point.add("duration_us", _us(sum(durations)))
        point.most("duration_max_us", _us(max(durations)))
        billed = sum(map(math.ceil, [duration * 1000 for duration in durations]))
        active = billed if active is None else active
        point.add("billed_ms", billed)
        point.add("active_ms", active)
        point.add("memory_mb_ms", active * function.limits.memory_size)
        point.add("vcpu_ms", round(active * function.vcpu * 1000))
        point.add("disk_mb_ms", active * max(function.limits.disk_size - _FREE_DISK, 0))


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _outcome(status: int, result: Result | None, error: str) -> str:
    """The field in which a call is counted beside `invocations`; '' if the function succeeded."""
    fault = result.fault if result is not None else None
    if fault is not None and fault.kind is not FaultKind.PLATFORM:
        return "function_errors"
    if status == _LEFT:
        return "client_errors"
    if fault is None and not error:
        return ""
    return _OUTCOMES.get(status, "client_errors" if status < 500 else "server_errors")
