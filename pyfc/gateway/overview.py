"""`/pyfc/overview`: what every function has done in the last minute and does now, for `pyfc top`."""

from __future__ import annotations

import math
import time
from typing import Any

from pyfc.gateway.management import Api
from pyfc.gateway.metrics import Span, seconds_of
from pyfc.model.function import Function
from pyfc.model.names import LATEST
from pyfc.observe.lives import Sample
from pyfc.observe.metrics.metrics import summed
from pyfc.observe.metrics.names import percentile_of
from pyfc.observe.metrics.point import Point
from pyfc.observe.metrics.store import Wanted
from pyfc.supervisor.affine import pools_of
from pyfc.supervisor.instance import Instance
from pyfc.supervisor.pool import Pool

_USUAL = "60"
_MEGABYTE = 1024 * 1024
_LEFT = "draining"
"""What instances of a version do that is not served any more."""


async def document(api: Api, seconds: str) -> dict[str, Any]:
    """The `time` (seconds since the epoch), the `seconds` up to it that were counted, whether calls are counted at all
    (`isCounted`), and `functions` by SERVICE/FUNCTION: all that are served, and those that still have instances.
    Times of calls are in milliseconds, memory is in MB; `backlog` is how many asynchronous calls have not ended, those
    that run among them. Raises InvalidArgument.
    """
    span = Span.of(seconds_of(seconds or _USUAL), time.time())
    functions = _served(api)
    await _measure(api, functions)
    if api.metrics.is_kept:
        await _count(api, span, functions)
    for (service, name), count in api.records.unfinished().items():
        if found := functions.get(f"{service}/{name}"):
            found["backlog"] = count
    return {
        "time": span.end,
        "seconds": span.end - span.start,
        "isCounted": api.metrics.is_kept,
        "functions": functions,
    }


def _served(api: Api) -> dict[str, dict[str, Any]]:
    """What is served, whatever of it was published: its instances, and the calls that wait for one."""
    functions: dict[str, dict[str, Any]] = {}
    for target, entry in api.table().entries.items():
        row = _row(functions, entry.function)
        if target.qualifier == LATEST:
            row["memorySize"] = entry.function.limits.memory_size
        for pool in pools_of(entry.route) if isinstance(entry.route, Pool) else ():
            row["waiting"] += sum(not waiter.gone for waiter in pool.waiting)
            row["instances"] += [_instance(each, entry.function) for each in pool.roster.instances]
    return functions


def _row(functions: dict[str, dict[str, Any]], function: Function) -> dict[str, Any]:
    row = {"memorySize": function.limits.memory_size, "waiting": 0, "backlog": 0, "instances": [], **_calls(Point())}
    return functions.setdefault(f"{function.service}/{function.name}", row)


def _calls(point: Point) -> dict[str, Any]:
    return {
        "calls": point["invocations"],
        "failed": point.failures,
        "throttled": point["throttles"] + point["resource_throttles"],
        "coldStarts": point["cold_starts"],
        "p50Ms": percentile_of(point, 0.5),
        "p99Ms": percentile_of(point, 0.99),
    }


def _instance(instance: Instance, function: Function) -> dict[str, Any]:
    return _described(instance.id, function, instance.state.value, instance.created)


def _described(name: str, function: Function, state: str, created: float | None) -> dict[str, Any]:
    """Its use is not known yet."""
    version = function.version_id or LATEST
    use = {"requests": 0, "cpuSeconds": None, "memoryMb": None}
    return {"id": name, "version": version, "state": state, "created": created, **use}


async def _measure(api: Api, functions: dict[str, dict[str, Any]]) -> None:
    """Have instances say what they use; those that were not known are of versions that are not served any more."""
    known = {each["id"]: each for row in functions.values() for each in row["instances"]}
    for sample in await api.samples(lambda _: True):
        found = known.get(sample.instance_id)
        if found is None:
            found = _described(sample.instance_id, sample.function, _LEFT, None)
            _row(functions, sample.function)["instances"].append(found)
        found |= _use(sample)


def _use(sample: Sample) -> dict[str, Any]:
    memory = round(sample.memory / _MEGABYTE, 1)
    return {"requests": sample.requests, "cpuSeconds": round(sample.cpu, 2), "memoryMb": memory}


async def _count(api: Api, span: Span, functions: dict[str, dict[str, Any]]) -> None:
    found = await api.metrics.read(Wanted(span.step, span.start, math.inf))
    points: dict[str, Point] = {}
    for series, point in summed(found).items():
        points.setdefault(f"{series.service}/{series.function}", Point()).merge(point)
    for name, point in points.items():
        if name in functions:
            functions[name] |= _calls(point)
