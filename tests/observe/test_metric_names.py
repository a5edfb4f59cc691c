"""FC's names of metrics: each is told as it was measured, or never, with the reason."""

from __future__ import annotations

import pytest

from pyfc.observe.metrics.buckets import counted
from pyfc.observe.metrics.names import ABSENT, FUNCTION, METRICS, REGION, told
from pyfc.observe.metrics.point import Point

PUBLISHED = """
TotalInvocations ServerErrors ClientErrors FunctionErrors Throttles ResourceThrottles ConcurrencyLimit
ConcurrentCount ProvisionedCurrentInstance ProvisionInvocations HTTPStatus2xx HTTPStatus3xx HTTPStatus4xx
HTTPStatus5xx ConcurrencyThrottles AvgDuration P90Duration P99Duration MaxDuration LatencyAvg LatencyMax
MemoryLimitMB MaxMemoryUsage OndemandInstanceQuota OndemandActiveInstance EnqueueCount DequeueCount
AsyncMessageLatencyAvg AsyncMessageLatencyMax AsyncEventExpiredDropped DestinationErrors DestinationSucceeded
AsyncMessagesBacklogV2 AsyncMessagesInProcess MaxConcurrentRequests AvgConcurrentRequests vCPUQuotaCores
MaxvCPUCores AvgvCPUCores MaxvCPUUtilization AvgvCPUUtilization RXBytesPerSec TXBytesPerSec MaxMemoryUsageMB
AvgMemoryUsageMB MaxMemoryUtilization AvgMemoryUtilization BillableInvocations BillableInvocationsRate
ServerErrorsRate ClientErrorsRate FunctionErrorsRate ThrottlesRate
""".split()  # noqa: SIM905  a list to read
"""By FC's pages of metrics, without the level."""


def point(**values: int) -> Point:
    made = Point()
    made.values = dict(values)
    return made


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_name_is_measured_or_has_a_reason(name: str) -> None:
    assert (name in METRICS) != (name in ABSENT)
    assert ABSENT.get(name, "measured")


def test_what_is_told_has_the_name_of_its_level_and_nothing_that_is_absent() -> None:
    found = told(point(invocations=8, function_errors=2, throttles=1, refused=1, duration_us=7000), FUNCTION)

    assert (found["FunctionTotalInvocations"], found["FunctionFunctionErrors"], found["FunctionThrottles"]) == (8, 2, 1)
    assert (found["FunctionFunctionErrorsRate"], found["FunctionThrottlesRate"], found["FunctionAvgDuration"]) == (
        25,
        12.5,
        1,
    )
    assert not {f"{FUNCTION}{name}" for name in ABSENT} & set(found)
    assert set(told(point(invocations=1), REGION)) >= {"RegionTotalInvocations", "RegionFunctionErrors"}


def test_what_was_not_measured_is_absent_and_never_0() -> None:
    found = told(point(invocations=3, throttles=3, refused=3), FUNCTION)

    assert found["FunctionTotalInvocations"] == 3
    for name in (
        "AvgDuration",
        "P90Duration",
        "P99Duration",
        "MaxDuration",
        "LatencyAvg",
        "LatencyMax",
        "MaxMemoryUsage",
    ):
        assert f"Function{name}" not in found
    assert not [name for name in told(Point(), FUNCTION) if name.endswith("Rate")]


def test_a_percentile_is_never_above_the_longest() -> None:
    made = point(invocations=1, duration_us=10_001, duration_max_us=10_001)
    made.see("direct", counted([0.010001]))

    found = told(made, FUNCTION)

    assert found["FunctionP99Duration"] <= found["FunctionMaxDuration"] == 10.001
