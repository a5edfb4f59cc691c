"""What a million calls cost with another memory size, by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pyfc.billing import prices
from pyfc.billing.tuning import tuned
from pyfc.model.function import Function, Limits

DAY = date(2026, 11, 1)
CHINA = prices.in_force("china", DAY)


def call(milliseconds: float, *, cold: bool = False, fault: str = "", memory: float = 20.0) -> dict[str, Any]:
    phases = 250.0 if cold else None
    return {
        "cold": cold, "coldStartMs": phases, "durationMs": milliseconds, "memoryMb": memory, "fault": fault,
        "message": fault and "it is said why",
    }  # fmt: skip


def trial(*calls: dict[str, Any], memory: int = 512, vcpu: float = 0.25, disk: int = 512) -> dict[str, Any]:
    return {"memory": memory, "vcpu": vcpu, "disk": disk, "calls": list(calls)}


def test_a_million_warm_calls_cost_what_is_worked_out_by_hand() -> None:
    """Of 100 ms with 0.5 GB and 0.25 vCPU: 7,500 + 7,500 + 25,000 CU."""
    row = tuned(trial(call(900.0, cold=True), *(call(99.5) for _ in range(4))), CHINA, DAY)

    assert row["cuPerMillion"] == 40_000
    assert row["pricePerMillion"] == pytest.approx(4.4)
    assert (row["coldStartMs"], row["firstMs"], row["warmCalls"]) == (250, 900, 4)


def test_disk_beyond_what_is_free_costs_too() -> None:
    """10 GB of which 9.5 count, for 100,000 s: 47,500 CU more."""
    row = tuned(trial(call(100.0), disk=10_240), CHINA, DAY)

    assert row["cuPerMillion"] == 87_500


def test_percentiles_are_of_warm_calls_by_nearest_rank() -> None:
    durations = [float(each) for each in range(10, 0, -1)]
    row = tuned(trial(call(500.0, cold=True), *map(call, durations)), CHINA, DAY)

    assert (row["p50Ms"], row["p90Ms"]) == (5, 9)


def test_a_size_with_too_little_memory_has_no_price() -> None:
    row = tuned(trial(call(5.0, cold=True), call(7.0, fault="OUT_OF_MEMORY", memory=130.0)), CHINA, DAY)

    assert (row["failed"], row["message"]) == ("out of memory", "it is said why")
    assert (row["cuPerMillion"], row["pricePerMillion"], row["p50Ms"]) == (None, None, None)
    assert row["memoryUsedMb"] == 130


@pytest.mark.parametrize(
    ("memory", "declared", "vcpu"),
    [
        (128, {}, 0.05),
        (256, {}, 0.1),
        (512, {}, 0.25),
        (1024, {}, 0.5),
        (3072, {}, 1.5),
        (512, {"cpu": 2}, 2.0),
        (512, {"cpu": 0.35}, 0.35),
        (512, {"cpu": 0}, 0.25),
        (512, {"cpu": "much"}, 0.25),
    ],
)
def test_a_function_has_the_vcpu_that_it_declares_or_what_its_memory_brings(
    memory: int, declared: dict[str, Any], vcpu: float
) -> None:
    function = Function(
        service="s", name="f", runtime="python3", handler="h", limits=Limits(memory_size=memory), extras=declared
    )

    assert function.vcpu == vcpu
