"""What is so at a moment: instances, what they use, and asynchronous calls that have not ended.

It is looked at every 10 s while anything goes on, and when metrics are read. While nothing goes on nothing runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from pyfc.model.function import Function
from pyfc.model.names import LATEST
from pyfc.observe.lives import Sample
from pyfc.observe.metrics.point import Series
from pyfc.tasks import Tasks

PERIOD = 10.0
"""Seconds between two looks."""
_SHORTEST = 1.0
"""Seconds between two samples that tell what processors did: the kernel counts in hundredths."""
_MOST = 4096
"""Instances whose last samples are remembered."""


class Instances(NamedTuple):
    """Of one function, now."""

    function: Function
    reserved: int
    busy: int
    """Those that run calls."""


class Queued(NamedTuple):
    """A function's asynchronous calls now."""

    service: str
    function: str
    unfinished: int
    running: int


class Source(NamedTuple):
    """Who knows."""

    instances: Callable[[], Iterable[Instances]]
    samples: Callable[[Callable[[Function], bool]], Awaitable[list[Sample]]]
    queued: Callable[[], Iterable[Queued]]


class Gauges:
    """Looks; `seen` is told whose values are what, by the fields of a point."""

    def __init__(self, seen: Callable[[Series, Mapping[str, int]], None], tasks: Tasks) -> None:
        self._seen = seen
        self._tasks = tasks
        self.source: Source | None = None
        """None: nobody knows anything."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_at_it = False
        self._before: dict[str, Sample] = {}
        """The last sample of each instance from which its use of processors counts."""

    @property
    def is_looking(self) -> bool:
        """Whether there will be a look although nobody asks for one."""
        return self._timer is not None or self._is_at_it

    def wake(self) -> None:
        """Something goes on: look in 10 s."""
        if not self.is_looking and self.source is not None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._due)

    def _due(self) -> None:
        self._timer = None
        self._is_at_it = True
        self._tasks.begin("looking at what instances use", self._look_again())

    async def _look_again(self) -> None:
        try:
            goes_on = await self.look()
        finally:
            self._is_at_it = False
        if goes_on:
            self.wake()

    async def look(self) -> bool:
        """Tell what is so now. Whether anything goes on."""
        if self.source is None:
            return False
        queued, held = [*self.source.queued()], [*self.source.instances()]
        for each in queued:
            series = Series(each.service, each.function, LATEST)
            self._seen(series, {"backlog": each.unfinished, "in_process": each.running})
        self._instances(held)
        for sample in await self.source.samples(lambda _: True):
            self._sample(sample)
        return bool(queued or any(each.busy for each in held))

    def _instances(self, held: list[Instances]) -> None:
        reserved, busy = sum(each.reserved for each in held), sum(each.busy for each in held)
        for each in held:
            if each.reserved or each.busy:
                values = {
                    "on_demand_instances": max(each.busy - each.reserved, 0),
                    "reserved_instances": each.reserved,
                    "region_reserved_instances": reserved,
                    "region_busy_instances": busy,
                }
                self._seen(_series(each.function), values)

    def _sample(self, sample: Sample) -> None:
        held = sample.memory // 1024
        values = {
            "samples": 1, "requests": sample.requests, "requests_max": sample.requests, "held_kb": held,
            "held_max_kb": held, "memory_limit_mb": sample.function.limits.memory_size,
            "vcpu_quota_milli": round(sample.function.vcpu * 1000),
        }  # fmt: skip
        used = self._used(sample)
        if used is not None:
            values |= {"cpu_samples": 1, "cpu_milli": used, "cpu_max_milli": used}
        series = _series(sample.function)
        self._seen(series, values)
        self._seen(series._replace(instance=sample.instance_id), values)

    def _used(self, sample: Sample) -> int | None:
        """Thousandths of a processor that an instance used since its last sample; None for what cannot be told."""
        before = self._before.pop(sample.instance_id, sample)
        seconds = sample.time - before.time
        self._before[sample.instance_id] = before if seconds < _SHORTEST else sample
        if len(self._before) > _MOST:
            del self._before[next(iter(self._before))]
        return round(max(sample.cpu - before.cpu, 0.0) / seconds * 1000) if seconds >= _SHORTEST else None

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self.source = None


def _series(function: Function) -> Series:
    return Series(function.service, function.name, function.version_id or LATEST)
