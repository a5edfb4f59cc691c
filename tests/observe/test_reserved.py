"""Reserved instances as numbers: how long there were any, and what of the calls was on them."""

from __future__ import annotations

from pyfc.model.function import Function, Limits
from pyfc.model.names import LATEST, Target
from pyfc.observe.metrics.counting import Counting
from pyfc.observe.metrics.point import Point, Series, merged
from pyfc.observe.metrics.reserve import Reserved

LIMITS = Limits(memory_size=512, disk_size=1024, timeout=30)
FUNCTION = Function(service="s", name="f", runtime="python3", handler="h", limits=LIMITS)
SERIES = Series("s", "f", LATEST)


def ran(milliseconds: int, qualifier: str = LATEST) -> dict[Series, Point]:
    point = Point()
    point.add("active_ms", milliseconds)
    return {Series("s", "f", qualifier): point}


def test_what_is_reserved_counts_with_all_that_instances_have() -> None:
    counting = Counting()

    counting.reserved(FUNCTION, 2, 1.5)
    counting.reserved(FUNCTION, 2, 0.5)

    assert counting.take()[0][SERIES].values == {
        "reserved_ms": 4000, "reserved_memory_mb_ms": 4000 * 512, "reserved_vcpu_ms": 4000 * 250,
        "reserved_disk_mb_ms": 4000 * 512,
    }  # fmt: skip


def test_calls_are_on_reserved_instances_as_far_as_there_are_such() -> None:
    """Of one that is reserved for 10 s; calls of a burst take 60 s of instances."""
    reserved = Reserved()
    reserved.add(FUNCTION, 1, 10_000)

    assert reserved.count({**ran(45_000), **ran(15_000, "prod")}) == {SERIES: 10_000}


def test_a_call_is_counted_at_its_end_and_was_on_what_was_reserved_before() -> None:
    reserved = Reserved()
    for _ in range(10):
        reserved.add(FUNCTION, 1, 10_000)
        assert reserved.count({}) == {SERIES: 0}

    reserved.add(FUNCTION, 1, 10_000)

    assert reserved.count(ran(60_000)) == {SERIES: 40_000}, "of 30 s before, which a call may take, and 10 s now"


def test_where_nothing_is_reserved_any_more_calls_are_on_demand() -> None:
    now = 0.0
    reserved = Reserved(lambda: now)
    reserved.add(FUNCTION, 1, 10_000)
    assert reserved.count({}) == reserved.count({}) == {SERIES: 0}

    now = 11.0

    assert reserved.count(ran(1_000)) == {SERIES: 1_000}, "these may have begun before"
    assert reserved.count(ran(1_000)) == {}


def test_other_functions_calls_are_not_on_it() -> None:
    reserved = Reserved()
    reserved.add(FUNCTION, 1, 10_000)
    other = {Series("s", "g", LATEST): merged(list(ran(5_000).values()))}

    assert reserved.count(other) == {SERIES: 0}


def test_a_version_is_counted_as_itself() -> None:
    counting = Counting()
    version = Function(service="s", name="f", runtime="python3", handler="h", version_id="3")

    counting.reserved(version, 1, 1.0)

    assert list(counting.take()[0]) == [Series(*Target("s", "f", "3"))]
