"""FC's names of metrics: what a point says under each of them, with its unit.

A name is a level (Region, Service, Function) and what is measured. What was not measured in a span is absent from it;
what one machine cannot know is in ABSENT, with the reason, and never told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pyfc.observe.metrics.buckets import percentile
from pyfc.observe.metrics.point import Point

REGION, SERVICE, FUNCTION = "Region", "Service", "Function"
SUM, AVERAGE, MAXIMUM = "Sum", "Average", "Maximum"
COUNT, MILLISECONDS, MEGABYTES = "Count", "Milliseconds", "MBytes"


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
ABSENT: dict[str, str] = {}
"""Names without the level, and why one machine cannot know them."""


def told(point: Point, level: str) -> dict[str, float]:
    """What was measured in a span, by FC's names of a level."""
    found = ((name, metric.value(point)) for name, metric in METRICS.items())
    return {f"{level}{name}": value for name, value in found if value is not None}
