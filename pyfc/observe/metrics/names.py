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
COUNT, PERCENT, MILLISECONDS, MEGABYTES = "Count", "Percent", "Milliseconds", "MBytes"


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


def _percentile(share: float) -> Metric:
    def value(point: Point) -> float | None:
        found = percentile(point.durations, share)
        return None if found is None else round(min(found * 1000, point["duration_max_us"] / 1000), 3)

    return Metric(MILLISECONDS, AVERAGE, value)


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
}
"""By their names without the level. A call that was throttled is in no other count of errors."""
METRICS |= {
    f"{name}Rate": _rate(METRICS[name])
    for name in ("BillableInvocations", "ServerErrors", "ClientErrors", "FunctionErrors", "Throttles")
}
_QUOTA = "a quota that the cloud gives an account; here the settings say how many instances there may be"
_NETWORK = "instances share the network of the machine, which does not count for whom bytes are"
_GPU = "no instance is given a graphics card"
_NOT_YET = "pyfc does not count it yet"
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
    **dict.fromkeys(
        (
            "ConcurrentCount", "ProvisionedCurrentInstance", "OndemandActiveInstance", "ProvisionInvocations",
            "EnqueueCount", "DequeueCount", "AsyncMessageLatencyAvg", "AsyncMessageLatencyMax",
            "AsyncEventExpiredDropped", "DestinationErrors", "DestinationSucceeded", "AsyncMessagesBacklogV2",
            "AsyncMessagesInProcess", "MaxConcurrentRequests", "AvgConcurrentRequests", "vCPUQuotaCores",
            "MaxvCPUCores", "AvgvCPUCores", "MaxvCPUUtilization", "AvgvCPUUtilization", "MaxMemoryUsageMB",
            "AvgMemoryUsageMB", "MaxMemoryUtilization", "AvgMemoryUtilization",
        ),
        _NOT_YET,
    ),
}  # fmt: skip
"""Names without the level that are never told, and why: one machine cannot know them, or they are not counted."""


def told(point: Point, level: str) -> dict[str, float]:
    """What was measured in a span, by FC's names of a level."""
    found = ((name, metric.value(point)) for name, metric in METRICS.items())
    return {f"{level}{name}": value for name, value in found if value is not None}
