"""What is so at a moment: looked at when metrics are read, and now and then while anything goes on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfc.model.function import Function, Limits
from pyfc.model.names import LATEST
from pyfc.observe.lives import Sample
from pyfc.observe.metrics import gauges
from pyfc.observe.metrics.gauges import Instances, Queued, Source
from pyfc.observe.metrics.metrics import Metrics
from pyfc.observe.metrics.names import FUNCTION, REGION, SERVICE, told
from pyfc.observe.metrics.point import Point, Series, merged
from pyfc.observe.metrics.store import Wanted

ONE = Function(service="s", name="one", runtime="python3", handler="h", limits=Limits(memory_size=1024))
OTHER = Function(service="s", name="other", runtime="python3", handler="h")
ALL = Wanted(10, 0, math.inf)


class Now:
    """What there is, as tests set it."""

    def __init__(self) -> None:
        self.instances: list[Instances] = []
        self.samples: list[Sample] = []
        self.queued: list[Queued] = []
        self.looks = 0

    async def sampled(self, _: Callable[[Function], bool]) -> list[Sample]:
        self.looks += 1
        return self.samples

    @property
    def source(self) -> Source:
        return Source(lambda: self.instances, self.sampled, lambda: self.queued)


async def read(metrics: Metrics) -> tuple[Point, dict[Series, Point]]:
    found = await metrics.read(ALL)
    by_series: dict[Series, Point] = {}
    for each in found:
        by_series.setdefault(each.series, Point()).merge(each.point)
    return merged([each.point for each in found]), by_series


def test_instances_are_told_by_function_and_of_the_region_as_they_were_at_one_moment(tmp_path: Path) -> None:
    async def scenario() -> None:
        metrics, now = Metrics(tmp_path), Now()
        metrics.gauges.source = now.source
        now.instances = [Instances(ONE, 2, 3), Instances(OTHER, 0, 1)]
        await read(metrics)
        now.instances = [Instances(ONE, 2, 0), Instances(OTHER, 0, 2)]
        whole, functions = await read(metrics)
        await metrics.close()

        one, other = (told(functions[Series("s", name, LATEST)], FUNCTION) for name in ("one", "other"))
        assert (one["FunctionProvisionedCurrentInstance"], one["FunctionOndemandActiveInstance"]) == (2, 1)
        assert other["FunctionOndemandActiveInstance"] == 2
        assert "FunctionProvisionedCurrentInstance" not in other
        region = told(whole, REGION)
        assert (region["RegionProvisionedCurrentInstance"], region["RegionConcurrentCount"]) == (2, 4)
        assert "FunctionConcurrentCount" not in one
        assert "RegionOndemandActiveInstance" not in region
        assert not [name for name in told(whole, SERVICE) if name.endswith(("Instance", "ConcurrentCount"))]

    asyncio.run(scenario())


def test_what_instances_use_is_told_in_fcs_units_and_as_a_part_of_what_they_may(tmp_path: Path) -> None:
    async def scenario() -> None:
        metrics, now = Metrics(tmp_path), Now()
        metrics.gauges.source = now.source
        for moment, cpu, megabytes, requests in ((100.0, 1.0, 256, 1), (110.0, 2.0, 512, 3)):
            now.samples = [Sample(moment, ONE, "i", cpu, megabytes << 20, requests)]
            point, _ = await read(metrics)
        now.samples = []
        (of_it, *_), totals = await metrics.read(ALL._replace(instance="i")), metrics.totals.points
        await metrics.close()

        assert of_it.series == Series("s", "one", LATEST, "i")
        assert of_it.point["held_max_kb"] in (256 << 10, 512 << 10)
        assert [*totals] == [Series("s", "one", LATEST)], "who scrapes is told of functions"
        found = told(point, FUNCTION)
        quota = ONE.vcpu
        assert {name.removeprefix("Function"): value for name, value in found.items() if value} == {
            "MaxConcurrentRequests": 3, "AvgConcurrentRequests": 2, "vCPUQuotaCores": quota, "MaxvCPUCores": 0.1,
            "AvgvCPUCores": 0.1, "MaxvCPUUtilization": round(10 / quota, 3), "AvgvCPUUtilization": round(10 / quota, 3),
            "MaxMemoryUsageMB": 512, "AvgMemoryUsageMB": 384, "MaxMemoryUtilization": 50, "AvgMemoryUtilization": 37.5,
            "MemoryLimitMB": 1024,
        }  # fmt: skip

    asyncio.run(scenario())


def test_what_two_looks_in_a_row_say_of_processors_is_not_told(tmp_path: Path) -> None:
    """The kernel counts in hundredths of a second: of a short time that is anything."""

    async def scenario() -> None:
        metrics, now = Metrics(tmp_path), Now()
        metrics.gauges.source = now.source
        for moment, cpu in ((100.0, 1.0), (100.001, 1.01)):
            now.samples = [Sample(moment, ONE, "i", cpu, 1 << 20, 0)]
            point, _ = await read(metrics)
        await metrics.close()

        assert "FunctionMaxvCPUCores" not in told(point, FUNCTION)
        assert point["samples"] == 2

    asyncio.run(scenario())


def test_the_backlog_is_the_longest_that_was_seen(tmp_path: Path) -> None:
    async def scenario() -> None:
        metrics, now = Metrics(tmp_path), Now()
        metrics.gauges.source = now.source
        for unfinished, running in ((7, 2), (3, 3)):
            now.queued = [Queued("s", "one", unfinished, running)]
            point, _ = await read(metrics)
        now.queued = []
        await metrics.close()

        found = told(point, FUNCTION)
        assert (found["FunctionAsyncMessagesBacklogV2"], found["FunctionAsyncMessagesInProcess"]) == (7, 3)

    asyncio.run(scenario())


def test_it_is_looked_at_while_anything_goes_on_and_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "PERIOD", 0.005)

    async def scenario() -> None:
        metrics, now = Metrics(tmp_path), Now()
        metrics.gauges.source = now.source
        now.instances = [Instances(ONE, 0, 1)]
        metrics.note(Series("s", "one", LATEST), {"enqueued": 1})
        async with asyncio.timeout(30):
            while now.looks < 3:
                await asyncio.sleep(0.001)
            now.instances = [Instances(ONE, 1, 0)]
            while metrics.gauges.is_looking:
                await asyncio.sleep(0.001)
        await metrics.close()

    asyncio.run(scenario())
