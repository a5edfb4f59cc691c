"""FC's names of metrics: what a point says under each of them, with its unit.

A name is a level (Region, Service, Function) and what is measured. What was not measured in a span is absent from it;
what is never told is in ABSENT, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pyfc.observe.metrics.buckets import percentile
from pyfc.observe.metrics.point import Point

REGION, SERVICE, FUNCTION = "Region", "Service", "Function"
SUM, AVERAGE, MAXIMUM = "Sum", "Average", "Maximum"
COUNT, PERCENT, MILLISECONDS, MEGABYTES, CORES = "Count", "Percent", "Milliseconds", "MBytes", "Cores"


class Metric(NamedTuple):
    """What is measured."""

    unit: str
    statistic: str
    """CloudMonitor's word for how numbers of a period become one."""
    value: Callable[[Point], float | None]
    """Of a span; None if it was not measured in that."""


def _count(*names: str) -> Metric:
    return Metric(COUNT, SUM, lambda point: sum(point[name] for name in names))


def _most(name: str, unit: str, divisor: int) -> Metric:
    return Metric(unit, MAXIMUM, lambda point: round(point[name] / divisor, 3) if point[name] else None)


def percentile_of(point: Point, share: float) -> float | None:
    """Milliseconds that this share of the calls took at most, which is never more than the longest took; None if there
    were none.
    """
    found = percentile(point.durations, share)
    return None if found is None else round(min(found * 1000, point["duration_max_us"] / 1000), 3)


def _percentile(share: float) -> Metric:
    return Metric(MILLISECONDS, AVERAGE, lambda point: percentile_of(point, share))


def _rate(metric: Metric) -> Metric:
    def value(point: Point) -> float | None:
        count, calls = metric.value(point), point["invocations"]
        return None if not calls or count is None else round(100 * count / calls, 3)

    return Metric(PERCENT, AVERAGE, value)


def _mean_duration(point: Point) -> float | None:
    return round(point["duration_us"] / point.runs / 1000, 3) if point.runs else None


def _mean_latency(point: Point) -> float | None:
    return round((point["duration_us"] + point["wait_us"]) / point.runs / 1000, 3) if point.runs else None


def _longest_latency(point: Point) -> float | None:
    return round(max(point["duration_max_us"], point["latency_max_us"]) / 1000, 3) if point.runs else None


def _answered_2xx(point: Point) -> float:
    return point["invocations"] - sum(point[f"status_{first}xx"] for first in (1, 3, 4, 5))


def _some(name: str) -> Metric:
    """A count that is told where there was any."""
    return Metric(COUNT, SUM, lambda point: point[name] or None)


def _seen(name: str) -> Metric:
    return Metric(COUNT, MAXIMUM, lambda point: point.values.get(name))


def _mean(name: str, count: str, unit: str, divisor: float) -> Metric:
    def value(point: Point) -> float | None:
        return round(point[name] / point[count] / divisor, 3) if point[count] else None

    return Metric(unit, AVERAGE, value)


def _peak(name: str, count: str, unit: str, divisor: float) -> Metric:
    return Metric(unit, MAXIMUM, lambda point: round(point[name] / divisor, 3) if point[count] else None)


def _part(metric: Metric, quota: str, divisor: float) -> Metric:
    """Per cent of what an instance may use."""

    def value(point: Point) -> float | None:
        used, most = metric.value(point), point[quota] / divisor
        return None if used is None or not most else round(100 * used / most, 3)

    return Metric(PERCENT, metric.statistic, value)


METRICS: dict[str, Metric] = {
    "TotalInvocations": _count("invocations"),
    "BillableInvocations": Metric(COUNT, SUM, _answered_2xx),
    "HTTPStatus2xx": Metric(COUNT, SUM, _answered_2xx),
    "HTTPStatus3xx": _count("status_3xx"),
    "HTTPStatus4xx": _count("status_4xx"),
    "HTTPStatus5xx": _count("status_5xx"),
    "ServerErrors": _count("server_errors"),
    "ClientErrors": _count("client_errors"),
    "FunctionErrors": _count("function_errors"),
    "Throttles": _count("throttles"),
    "ConcurrencyThrottles": _count("throttles"),
    "ResourceThrottles": _count("resource_throttles"),
    "AvgDuration": Metric(MILLISECONDS, AVERAGE, _mean_duration),
    "P90Duration": _percentile(0.9),
    "P99Duration": _percentile(0.99),
    "MaxDuration": _most("duration_max_us", MILLISECONDS, 1000),
    "LatencyAvg": Metric(MILLISECONDS, AVERAGE, _mean_latency),
    "LatencyMax": Metric(MILLISECONDS, MAXIMUM, _longest_latency),
    "MemoryLimitMB": _most("memory_limit_mb", MEGABYTES, 1),
    "MaxMemoryUsage": _most("memory_max_kb", MEGABYTES, 1024),
    "EnqueueCount": _some("enqueued"),
    "DequeueCount": _some("dequeued"),
    "AsyncMessageLatencyAvg": _mean("async_wait_us", "dequeued", MILLISECONDS, 1000),
    "AsyncMessageLatencyMax": _peak("async_wait_max_us", "dequeued", MILLISECONDS, 1000),
    "AsyncEventExpiredDropped": _some("expired"),
    "DestinationErrors": _some("destination_errors"),
    "DestinationSucceeded": _some("destination_successes"),
    "AsyncMessagesBacklogV2": _seen("backlog"),
    "AsyncMessagesInProcess": _seen("in_process"),
    "ConcurrentCount": _seen("region_busy_instances"),
    "OndemandActiveInstance": _seen("on_demand_instances"),
    "ProvisionedCurrentInstance": _seen("reserved_instances"),
    "MaxConcurrentRequests": _peak("requests_max", "samples", COUNT, 1),
    "AvgConcurrentRequests": _mean("requests", "samples", COUNT, 1),
    "vCPUQuotaCores": _peak("vcpu_quota_milli", "samples", CORES, 1000),
    "MaxvCPUCores": _peak("cpu_max_milli", "cpu_samples", CORES, 1000),
    "AvgvCPUCores": _mean("cpu_milli", "cpu_samples", CORES, 1000),
    "MaxMemoryUsageMB": _peak("held_max_kb", "samples", MEGABYTES, 1024),
    "AvgMemoryUsageMB": _mean("held_kb", "samples", MEGABYTES, 1024),
}
METRICS |= {
    "MaxvCPUUtilization": _part(METRICS["MaxvCPUCores"], "vcpu_quota_milli", 1000),
    "AvgvCPUUtilization": _part(METRICS["AvgvCPUCores"], "vcpu_quota_milli", 1000),
    "MaxMemoryUtilization": _part(METRICS["MaxMemoryUsageMB"], "memory_limit_mb", 1),
    "AvgMemoryUtilization": _part(METRICS["AvgMemoryUsageMB"], "memory_limit_mb", 1),
}
"""By their names without the level. A call that was throttled is in no other count of errors."""
METRICS |= {
    f"{name}Rate": _rate(METRICS[name])
    for name in ("BillableInvocations", "ServerErrors", "ClientErrors", "FunctionErrors", "Throttles")
}
_RESERVED_IN_ALL = _seen("region_reserved_instances")
_LEVELS = {
    "ConcurrentCount": (REGION,), "ProvisionedCurrentInstance": (REGION, FUNCTION),
    **dict.fromkeys(("AsyncMessagesBacklogV2", "AsyncMessagesInProcess", "OndemandActiveInstance"), (FUNCTION,)),
}  # fmt: skip
"""Of what there is at a moment: the most of several functions is no sum, as each has it at another moment."""
_QUOTA = "a quota that the cloud gives an account; here the settings say how many instances there may be"
_NETWORK = "instances share the network of the machine, which does not count for whom bytes are"
_GPU = "no instance is given a graphics card"
_RESERVED = "calls run on any instance, reserved or not: of those that are reserved only the time is known"
ABSENT: dict[str, str] = {
    "ConcurrencyLimit": _QUOTA,
    "OndemandInstanceQuota": _QUOTA,
    "RXBytesPerSec": _NETWORK,
    "TXBytesPerSec": _NETWORK,
    "InternetOut": _NETWORK,
    **dict.fromkeys(
        (
            "GPUMemoryUsage", "GPUMemoryUtilization", "GPUSMUtilization", "GPUEncoderUtilization",
            "GPUDecoderUtilization", "GPUMemoryLimit",
        ),
        _GPU,
    ),
    "ProvisionInvocations": _RESERVED,
}  # fmt: skip
"""Names without the level that are never told, and why: one machine cannot know them, or they are not counted."""


def metric_of(level: str, name: str) -> Metric | None:
    """What a name of a level measures; None if nothing of that level has it."""
    if not level.startswith(_LEVELS.get(name, ("",))):
        return None
    return _RESERVED_IN_ALL if (level, name) == (REGION, "ProvisionedCurrentInstance") else METRICS.get(name)


def told(point: Point, level: str) -> dict[str, float]:
    """What was measured in a span, by FC's names of a level."""
    metrics = ((name, metric_of(level, name)) for name in METRICS)
    found = ((name, metric.value(point)) for name, metric in metrics if metric is not None)
    return {f"{level}{name}": value for name, value in found if value is not None}
