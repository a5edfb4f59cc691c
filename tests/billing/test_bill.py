"""Units and prices against tables that were worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pyfc.billing import prices
from pyfc.billing.bill import Month, Order, bill
from pyfc.billing.usage import Change, Parts, Tally, Used, parts_of
from pyfc.errors import InvalidArgument

CHINA = prices.in_force("china", date(2026, 11, 1))
OLD = prices.in_force("2020", date(2019, 11, 1))
NOVEMBER = Month(2026, 11)
BEGINS, ENDS = (int(each) for each in NOVEMBER.span("Asia/Shanghai"))
HOUR = 3600
NO_CHANGE = Change()
NOTHING = Tally(CHINA, NO_CHANGE)


def used(function: str = "demo/hello", hour: int = BEGINS, **what: Any) -> Used:
    usual = {"invocations": 0, "seconds": 0.0, "vcpu_seconds": 0.0, "gb_seconds": 0.0}
    return Used(function, hour, **{**usual, **what})


def told(*rows: Used, now: float = ENDS, change: Change = NO_CHANGE, table: prices.Table = CHINA) -> dict[str, Any]:
    tally = Tally(table, change)
    for row in rows:  # they come by and by
        tally.add([row])
    return bill(tally, Order(NOVEMBER, table, now, change))


def test_the_vendors_example_is_217500_cu() -> None:
    """3 million calls of 0.2 s with 0.5 GB and 0.25 vCPU."""
    calls = used(invocations=3_000_000, seconds=6e5, vcpu_seconds=1.5e5, gb_seconds=3e5)

    line = told(calls)["functions"]["demo/hello"]

    assert line["parts"] == {"invocations": 22_500, "vcpu": 150_000, "memory": 45_000, "disk": 0, "rounding": 0}
    assert (line["cu"], line["price"]) == (217_500, 23.925)


@dataclass
class Row:
    """Worked out by hand: what was used in an hour, and the CU of each part."""

    what: dict[str, float]
    invocations: float
    vcpu: float
    memory: float
    disk: float
    total: int


TABLE = [
    Row({}, 0, 0, 0, 0, 0),
    Row({"invocations": 1}, 0.0075, 0, 0, 0, 1),
    Row({"invocations": 10_000}, 75, 0, 0, 0, 75),
    Row({"invocations": 10_001}, 75.0075, 0, 0, 0, 76),
    Row({"vcpu_seconds": 3.0}, 0, 3, 0, 0, 3),
    Row({"gb_seconds": 20.0}, 0, 0, 3, 0, 3),  # 20 x 0.15, which in binary is more than 3
    Row({"gb_seconds": 20.01}, 0, 0, 3.0015, 0, 4),
    Row({"disk_gb_seconds": 100.0}, 0, 0, 0, 5, 5),
    Row({"invocations": 100, "vcpu_seconds": 0.6, "gb_seconds": 1.25}, 0.75, 0.6, 0.1875, 0, 2),
    # an hour with 1 GB, 0.5 vCPU and 10 GB of disk reserved, a tenth of it in calls: 9.5 GB of the disk count
    Row(
        {
            "invocations": 360,
            "reserved_seconds": 3600.0,
            "reserved_active_vcpu_seconds": 180.0,
            "reserved_idle_vcpu_seconds": 1620.0,
            "reserved_gb_seconds": 3600.0,
            "reserved_disk_gb_seconds": 34_200.0,
        },
        2.7,
        180,
        540,
        1710,
        2433,
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row.total))
def test_units_of_a_function_and_hour_are_those_of_the_table(row: Row) -> None:
    found = parts_of(used(**row.what), CHINA)

    assert found[:4] == pytest.approx((row.invocations, row.vcpu, row.memory, row.disk), abs=1e-9)
    assert found.total == row.total


def test_every_function_and_hour_is_rounded_up_by_itself() -> None:
    rows = [used(name, BEGINS + hour * HOUR, invocations=1) for name in ("a/x", "a/y") for hour in range(24)]

    found = told(*rows)

    assert {name: line["cu"] for name, line in found["functions"].items()} == {"a/x": 24, "a/y": 24}
    assert found["total"]["cu"] == 48
    assert found["total"]["invocations"] == 48
    assert found["total"]["price"] == 0.00528


def test_functions_share_the_price_that_tiers_give_the_account() -> None:
    """300 million CU: 22,000 for the first 200 million and 10,000 for the others."""
    found = told(used("a/x", vcpu_seconds=1e8), used("a/y", vcpu_seconds=2e8))

    assert found["total"]["price"] == 32_000
    assert found["functions"]["a/y"]["price"] == pytest.approx(32_000 * 2 / 3)


def test_the_forecast_goes_on_at_the_rate_since_the_first_use() -> None:
    first = BEGINS + 10 * 24 * HOUR
    rows = [used(hour=first + hour * HOUR, vcpu_seconds=10.0) for hour in range(48)]

    line = told(*rows, now=first + 48 * HOUR)["total"]

    assert line["cu"] == 480
    assert line["forecast"] == {"cu": 4800.0, "price": pytest.approx(0.528)}  # 20 days of which 2 have passed


def test_a_month_that_is_over_has_no_more_to_come() -> None:
    line = told(used(vcpu_seconds=10.0), now=ENDS + 1)["total"]

    assert line["forecast"] == {"cu": 10.0, "price": line["price"]}


def test_a_first_hour_is_no_ground_for_a_wild_forecast() -> None:
    line = told(used(hour=ENDS - 2 * HOUR, vcpu_seconds=10.0), now=ENDS - 2 * HOUR + 1)["total"]

    assert line["forecast"]["cu"] == 20


def test_a_what_if_scales_the_memory_and_says_what_it_assumes() -> None:
    calls = used(invocations=10_000, seconds=4000.0, vcpu_seconds=1000.0, gb_seconds=500.0)

    found = told(calls, change=Change.read("memory=512"))
    before = told(calls)

    assert found["functions"]["demo/hello"]["parts"] == {
        "invocations": 75, "vcpu": 1000, "memory": 300, "disk": 0, "rounding": 0,
    }  # fmt: skip
    assert found["whatIf"] == {"memory": 512}
    assert found["asItWas"] == before["total"]
    assert any("duration assumed equal" in each for each in found["assumptions"])
    assert before["functions"]["demo/hello"]["parts"]["memory"] == 75
    assert not any("duration assumed equal" in each for each in before["assumptions"])


def test_a_what_if_of_concurrency_lets_calls_share_instances_on_demand_alone() -> None:
    calls = used(
        invocations=10_000, seconds=4000.0, vcpu_seconds=1000.0, gb_seconds=500.0, reserved_seconds=3600.0,
        reserved_gb_seconds=3600.0,
    )  # fmt: skip

    parts = told(calls, change=Change.read("concurrency=10, memory=512"))["total"]["parts"]

    assert parts["vcpu"] == 100
    assert parts["memory"] == 300  # 400 s on demand and 3,600 s reserved, of half a GB


def test_a_what_if_of_a_function_that_runs_several_at_once_already_begins_with_its_calls() -> None:
    calls = used(invocations=1, seconds=100.0, call_seconds=400.0, vcpu_seconds=100.0, gb_seconds=100.0)

    parts = told(calls, change=Change.read("concurrency=2"))["total"]["parts"]

    assert (parts["vcpu"], parts["memory"]) == (200, 30)


@pytest.mark.parametrize(
    "words", ["", "memory", "memory=", "memory=-1", "memory=1e3", "memory=64", "memory=512,memory=512", "cores=2",
              "concurrency=0", "concurrency=201", "memory=99999999999999999999", "memory=٣٠٠"],
)  # fmt: skip
def test_a_what_if_that_makes_no_sense_is_refused(words: str) -> None:
    with pytest.raises(InvalidArgument, match=r"memory=|concurrency="):
        Change.read(words)


def test_the_old_model_has_prices_of_its_own_and_a_free_part() -> None:
    """2 million calls and 500,000 GB*s: 1 million and 100,000 cost something, 1.33 + 11.0592 CNY."""
    calls = used(invocations=2_000_000, seconds=1e6, vcpu_seconds=5e5, gb_seconds=500_000.0)

    total = told(calls, table=OLD)["total"]

    assert total["price"] == pytest.approx(12.3892)
    assert total["parts"]["rounding"] == 0


def test_what_is_not_known_for_sure_is_said_with_the_bill() -> None:
    found = bill(NOTHING, Order(NOVEMBER, CHINA, ENDS), ["vCPU is guessed"])

    assert "vCPU is guessed" in found["assumptions"]
    assert any("512 MB" in each for each in found["assumptions"])
    assert found["prices"]["source"].startswith("https://")
    assert (found["prices"]["from"], found["prices"]["inForce"]) == ("2024-08-27", "list")


def test_a_month_with_the_end_of_a_discount_or_before_the_prices_says_so() -> None:
    def said(month: Month) -> list[str]:
        return [
            each for each in bill(NOTHING, Order(month, CHINA, ENDS))["assumptions"] if each not in CHINA.assumptions
        ]

    assert said(Month(2026, 8)) == ["the discount ends on 2026-08-27, and counts for the whole month here"]
    assert said(Month(2020, 1)) == ["the prices hold from 2024-08-27; 2020-01 is older"]
    assert said(Month(2026, 11)) == []


def test_months_begin_by_the_clocks_of_the_price_table() -> None:
    found = told()

    assert (found["from"], found["to"]) == ("2026-10-31T16:00:00Z", "2026-11-30T16:00:00Z")
    assert Month.of(BEGINS, "Asia/Shanghai") == NOVEMBER
    assert Month.of(BEGINS, "UTC") == Month(2026, 10)
    assert Month(2026, 12).span("UTC")[1] == datetime(2027, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-00", "26-11", "2026-11-01", "2026-1", "9999-12", "٢٠٢٦-11"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is no month: write it like 2026-11"):
        Month.read(text)


def test_parts_of_nothing_are_nothing() -> None:
    assert told()["functions"] == {}
    assert told()["total"]["cu"] == 0
    assert Parts().total == 0
