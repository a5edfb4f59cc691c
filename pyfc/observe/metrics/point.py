"""What one series did in one span of time: whole numbers that can be added to those of other spans and series.

A point keeps what is not 0. Its packed form is MessagePack: a map from the place of a field in FIELDS to its number, or
to its buckets as a list of number and count in turn. Places never change: new fields come last.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, Self

import msgspec

from pyfc.observe.metrics.buckets import Buckets, add_to


class Series(NamedTuple):
    """Whose numbers these are. `instance` is '' for those of calls, which are counted by function and qualifier."""

    service: str
    function: str
    qualifier: str
    """As it was asked for: a version, an alias or LATEST."""
    instance: str = ""


OTHERS = Series("*", "*", "*")
"""Where calls are counted when there are too many series; no name has a `*`."""


class Rule(Enum):
    """What becomes of a field when points are put together."""

    SUM = "sum"
    MOST = "most"
    BUCKETS = "buckets"


FIELDS: dict[str, Rule] = {
    "invocations": Rule.SUM,
    "function_errors": Rule.SUM,
    "client_errors": Rule.SUM,
    "throttles": Rule.SUM,
    "resource_throttles": Rule.SUM,
    "server_errors": Rule.SUM,
    "refused": Rule.SUM,
    "status_1xx": Rule.SUM,
    "status_3xx": Rule.SUM,
    "status_4xx": Rule.SUM,
    "status_5xx": Rule.SUM,
    "cold_starts": Rule.SUM,
    "duration_us": Rule.SUM,
    "duration_max_us": Rule.MOST,
    "waits": Rule.SUM,
    "wait_us": Rule.SUM,
    "latency_max_us": Rule.MOST,
    "prepare_code_us": Rule.SUM,
    "runtime_initialize_us": Rule.SUM,
    "initializer_us": Rule.SUM,
    "billed_ms": Rule.SUM,
    "active_ms": Rule.SUM,
    "memory_mb_ms": Rule.SUM,
    "vcpu_ms": Rule.SUM,
    "disk_mb_ms": Rule.SUM,
    "memory_limit_mb": Rule.MOST,
    "memory_max_kb": Rule.MOST,
    "direct": Rule.BUCKETS,
    "waited": Rule.BUCKETS,
    "waited_latency": Rule.BUCKETS,
    "reserved_ms": Rule.SUM,
    "reserved_memory_mb_ms": Rule.SUM,
    "reserved_vcpu_ms": Rule.SUM,
    "reserved_disk_mb_ms": Rule.SUM,
    "covered_ms": Rule.SUM,
    "enqueued": Rule.SUM,
    "dequeued": Rule.SUM,
    "async_wait_us": Rule.SUM,
    "async_wait_max_us": Rule.MOST,
    "expired": Rule.SUM,
    "destination_errors": Rule.SUM,
    "destination_successes": Rule.SUM,
    "backlog": Rule.MOST,
    "in_process": Rule.MOST,
    "on_demand_instances": Rule.MOST,
    "reserved_instances": Rule.MOST,
    "region_reserved_instances": Rule.MOST,
    "region_busy_instances": Rule.MOST,
    "samples": Rule.SUM,
    "requests": Rule.SUM,
    "requests_max": Rule.MOST,
    "vcpu_quota_milli": Rule.MOST,
    "cpu_samples": Rule.SUM,
    "cpu_milli": Rule.SUM,
    "cpu_max_milli": Rule.MOST,
    "held_kb": Rule.SUM,
    "held_max_kb": Rule.MOST,
}
"""* Outcomes of `invocations`: the function failed; 4xx of pyfc other than 429, or the caller left; 429; 503; other 5xx
  of pyfc. It succeeded in the rest. Of all these, `refused` did not run.
* `status_1xx` and its like: what was answered, 2xx in the rest.
* `waits`: calls that did not begin at once, for `wait_us` together; `latency_max_us` is of these, a latency being a
  wait and a duration. Of cold starts, the phases.
* `billed_ms`: durations, each rounded up to a millisecond; `active_ms`: the same, but what calls have in common that
  ran in an instance at once is counted once. What was declared, times `active_ms`: `memory_mb_ms`, `vcpu_ms` (in
  thousandths of a vCPU), `disk_mb_ms` (beyond the first 512 MB). `memory_max_kb` was measured.
* `reserved_ms`: that instances were reserved, all together, and the same of what they have; `covered_ms`: what of
  `active_ms` was on these.
* Of asynchronous calls: put into the queue and ended, for `async_wait_us` together from the one to their first run or
  their end without any; of the ended those that were too old. Messages about them that came to their destination, or
  never will. At the most not ended, and of these running.
* What was seen now and then: instances that run calls beyond the reserve, and reserved ones; of the whole region
  reserved ones, and all that run calls. Each look at an instance is one of `samples`: calls that it ran, kB that it
  held; `cpu_samples` are those that tell what of its vCPU, in thousandths, it used since the look before.
* Buckets: durations of calls that began at once; durations of those that waited, and their latencies.
"""
OUTCOMES = ("function_errors", "client_errors", "throttles", "resource_throttles", "server_errors")
"""Of calls that did not succeed: each has one."""
_NAMES = tuple(FIELDS)
_PLACES = {name: place for place, name in enumerate(_NAMES)}
_decode = msgspec.msgpack.Decoder(dict[int, int | list[int]]).decode
_encode = msgspec.msgpack.Encoder().encode


class Point:
    """One point. `values` and `buckets` are by the names of FIELDS."""

    __slots__ = ("buckets", "values")

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.buckets: dict[str, Buckets] = {}

    def __getitem__(self, name: str) -> int:
        return self.values.get(name, 0)

    def add(self, name: str, value: int) -> None:
        """More of a field that is a sum."""
        if value:
            self.values[name] = self.values.get(name, 0) + value

    def most(self, name: str, value: int) -> None:
        """Seen of a field that is the most."""
        if value > self.values.get(name, 0):
            self.values[name] = value

    def see(self, name: str, counts: Buckets) -> None:
        """More of a field that has buckets."""
        if counts:
            add_to(self.buckets.setdefault(name, {}), counts)

    def merge(self, other: Point) -> None:
        """Put another span, or another series, to this one."""
        for name, value in other.values.items():
            if FIELDS[name] is Rule.MOST:
                self.most(name, value)
            else:
                self.add(name, value)
        for name, counts in other.buckets.items():
            self.see(name, counts)

    @property
    def runs(self) -> int:
        """Calls that ran."""
        return self["invocations"] - self["refused"]

    @property
    def failures(self) -> int:
        """Calls of which the function did not succeed."""
        return sum(self[name] for name in OUTCOMES)

    @property
    def durations(self) -> Buckets:
        """Of calls that ran, from when they began."""
        return self._both("waited")

    @property
    def latencies(self) -> Buckets:
        """Of calls that ran, from when they came."""
        return self._both("waited_latency")

    def _both(self, name: str) -> Buckets:
        found = dict(self.buckets.get("direct", {}))
        add_to(found, self.buckets.get(name, {}))
        return found

    def pack(self) -> bytes:
        """As it is kept."""
        packed: dict[int, Any] = {_PLACES[name]: value for name, value in self.values.items()}
        for name, counts in self.buckets.items():
            packed[_PLACES[name]] = [number for pair in sorted(counts.items()) for number in pair]
        return _encode(packed)

    @classmethod
    def unpack(cls, data: bytes, *, has_buckets: bool = True) -> Self:
        """From what is kept, with its buckets or without; fields of a newer pyfc are left out. Raises
        msgspec.MsgspecError.
        """
        point = cls()
        for place, value in _decode(data).items():
            if place >= len(_NAMES):
                continue
            if isinstance(value, list):
                if has_buckets:
                    point.buckets[_NAMES[place]] = dict(zip(value[::2], value[1::2], strict=True))
            else:
                point.values[_NAMES[place]] = value
        return point


def merged(points: list[Point]) -> Point:
    """All of them in one."""
    whole = Point()
    for point in points:
        whole.merge(point)
    return whole
