"""Metrics: what is counted equals what happened, over restarts, failures and steps of any length."""

from __future__ import annotations

import asyncio
import math
import random
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.data.version import METRICS_TABLES
from pyfc.errors import Unavailable
from pyfc.model.function import Function, Limits
from pyfc.model.invocation import Fault, FaultKind, Invocation, Kind, Phases, Result, Start, Usage
from pyfc.model.names import LATEST, Target
from pyfc.observe.journal import CallRecord, OutputRecord
from pyfc.observe.metrics import counting as counting_module
from pyfc.observe.metrics import store as store_module
from pyfc.observe.metrics.activity import Activity
from pyfc.observe.metrics.buckets import add_to, counted, percentile
from pyfc.observe.metrics.counting import Counting
from pyfc.observe.metrics.metrics import Metrics, summed
from pyfc.observe.metrics.point import FIELDS, OTHERS, Point, Rule, Series, merged
from pyfc.observe.metrics.store import STEPS, Counted, Store, Wanted
from support import run_with

NOON = 1_700_006_400
FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler")
SERIES = Series("s", "f", LATEST)
ALL = Wanted(3600, 0, math.inf)


def record(
    duration: float | None = 0.002,
    *,
    time: float = NOON,
    function: Function = FUNCTION,
    qualifier: str = LATEST,
    status: int = 200,
    error: str = "",
    fault: FaultKind | None = None,
    memory: float = 20.0,
    start: Start | None = None,
    cold: bool = False,
    instance: str = "i",
) -> CallRecord:
    """A call that ran so many seconds, or did not (None)."""
    call = Invocation("id", Target(function.service, function.name, qualifier), Kind.EVENT, b"")
    result = None
    if duration is not None:
        usage = Usage(duration, memory, cold, instance, start)
        result = Result(Fault(fault, "") if fault is not None else None, b"", usage)
    return CallRecord(time, function, call, status, result, error)


def point_of(*records: CallRecord, series: Series = SERIES) -> Point:
    counting = Counting()
    counting.listen([*records])
    return counting.take()[0][series]


def run(path: Path, scenario: Callable[[Metrics], Awaitable[None]]) -> None:
    run_with(lambda: Metrics(path), scenario)


def nearest_rank(values: list[float], share: float) -> float:
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def test_every_call_has_one_outcome() -> None:
    outcomes = {
        "function_errors": [
            record(fault=FaultKind.UNHANDLED),
            record(fault=FaultKind.TIMEOUT, status=502),
            record(fault=FaultKind.HANDLED, status=202),
        ],
        "client_errors": [
            record(None, status=403, error="AccessDenied"),
            record(None, status=499, error="ClientClosedRequest"),
            record(status=499),
            record(fault=FaultKind.PLATFORM, status=412),
        ],
        "throttles": [record(None, status=429, error="ResourceExhausted")],
        "resource_throttles": [record(None, status=503, error="ResourceThrottled")],
        "server_errors": [record(None, status=500, error="InternalServerError")],
        "": [record(), record(status=202), record(status=404), record(status=503), record(status=101)],
    }
    for name, records in outcomes.items():
        for each in records:
            point = point_of(each)
            counted = {key for key in outcomes if point[key]}
            assert (point["invocations"], counted) == (1, {name} - {""}), each


def test_statuses_and_calls_that_did_not_run_are_counted() -> None:
    point = point_of(*(record(status=status) for status in (101, 200, 202, 302, 404, 404, 502)),
                     record(None, status=429, error="ResourceExhausted"))  # fmt: skip

    assert {name: point[name] for name in ("status_1xx", "status_3xx", "status_4xx", "status_5xx")} == {
        "status_1xx": 1, "status_3xx": 1, "status_4xx": 3, "status_5xx": 1,
    }  # fmt: skip
    assert (point["invocations"], point["refused"], point.runs) == (8, 1, 7)


def test_a_cold_start_and_a_wait_are_part_of_the_latency_alone() -> None:
    start = Start(0.5, "an instance was started", Phases(0.1, 0.3, 0.05))
    point = point_of(record(0.25), record(0.125, start=start, cold=True))

    assert point.values.items() >= {
        "cold_starts": 1, "waits": 1, "wait_us": 500_000, "prepare_code_us": 100_000, "duration_us": 375_000,
        "runtime_initialize_us": 300_000, "initializer_us": 50_000, "duration_max_us": 250_000,
        "latency_max_us": 625_000,
    }.items()  # fmt: skip
    assert point.durations == counted([0.25, 0.125])
    assert point.latencies == counted([0.25, 0.625])


def test_what_the_bill_needs_is_counted_by_what_was_declared() -> None:
    limits = Limits(memory_size=512, disk_size=10240)
    function = Function(
        service="s", name="f", runtime="python3", handler="h", limits=limits, extras={"cpu": 0.35}
    )  # fmt: skip
    point = point_of(*(record(duration, function=function, memory=31.5) for duration in (0.0101, 0.001, 2.0)))

    assert point.values.items() >= {
        "billed_ms": 11 + 1 + 2000, "active_ms": 2012, "memory_mb_ms": 2012 * 512, "vcpu_ms": 2012 * 350,
        "disk_mb_ms": 2012 * (10240 - 512), "memory_limit_mb": 512, "memory_max_kb": 32256,
    }.items()  # fmt: skip


def test_a_function_that_changes_counts_by_what_it_was_when_the_call_ran() -> None:
    larger = Function(service="s", name="f", runtime="python3", handler="h", limits=Limits(memory_size=1024))

    point = point_of(record(0.01), record(0.01, function=larger), record(0.01))

    assert point["memory_mb_ms"] == 2 * 10 * 128 + 10 * 1024
    assert point["memory_limit_mb"] == 1024


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 300)), min_size=1, max_size=40))
def test_calls_that_share_an_instance_are_active_as_long_as_any_of_them_runs(spans: list[tuple[int, int]]) -> None:
    activity = Activity()
    ended = sorted((first + took, took) for first, took in spans)

    counted = sum(activity.of("i", NOON + last / 1000, took / 1000 - 0.0001) for last, took in ended)

    assert counted == len({each for last, took in ended for each in range(last - took, last)})


def test_calls_that_share_an_instance_are_counted_so() -> None:
    function = Function(
        service="s", name="f", runtime="python3", handler="h", limits=Limits(instance_concurrency=10)
    )  # fmt: skip
    point = point_of(
        record(0.1, time=NOON + 0.1, function=function),
        record(0.1, time=NOON + 0.15, function=function),
        record(0.1, time=NOON + 0.15, function=function, instance="another"),
    )

    assert (point["billed_ms"], point["active_ms"]) == (300, 250)
    assert point["memory_mb_ms"] == 250 * 128


@given(st.lists(st.floats(1e-5, 90_000), min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_percentiles_are_within_5_per_cent_of_the_truth(durations: list[float], share: float) -> None:
    assert percentile(counted(durations), share) == pytest.approx(nearest_rank(durations, share), rel=0.045)


def test_percentiles_of_a_long_span_are_those_of_all_its_calls_and_not_of_its_parts() -> None:
    quick, slow = [0.001] * 990, [1.0] * 10
    parts = [counted(quick[:500]), counted(quick[500:]), counted(slow)]
    whole: dict[int, int] = {}
    for part in parts:
        add_to(whole, part)

    assert percentile(whole, 0.9) == pytest.approx(0.001, rel=0.05)
    assert percentile(whole, 0.991) == pytest.approx(1.0, rel=0.05)
    assert percentile({}, 0.9) is None


def points() -> st.SearchStrategy[Point]:
    def made(values: dict[str, int], buckets: dict[str, dict[int, int]]) -> Point:
        point = Point()
        point.values, point.buckets = values, buckets
        return point

    sums = st.sampled_from([name for name, rule in FIELDS.items() if rule is not Rule.BUCKETS])
    shapes = st.sampled_from([name for name, rule in FIELDS.items() if rule is Rule.BUCKETS])
    counts = st.dictionaries(st.integers(0, 400), st.integers(1, 2**40), min_size=1, max_size=20)
    return st.builds(
        made, st.dictionaries(sums, st.integers(1, 2**60)), st.dictionaries(shapes, counts)
    )  # fmt: skip


@given(points())
def test_a_point_is_read_back_as_it_was(point: Point) -> None:
    again = Point.unpack(point.pack())

    assert (again.values, again.buckets) == (point.values, point.buckets)


@given(st.lists(points(), min_size=2, max_size=4))
def test_points_are_the_same_whole_in_whatever_order_they_are_put_together(found: list[Point]) -> None:
    one, other = merged(found), merged([merged(found[1:]), found[0]])

    assert (one.values, one.buckets) == (other.values, other.buckets)


def test_the_counted_equal_the_truth_over_restarts_and_steps(tmp_path: Path) -> None:
    chance = random.Random(1)
    calls = [
        (NOON + chance.randrange(7200), f"f{chance.randrange(3)}", chance.lognormvariate(-4, 2)) for _ in range(3000)
    ]
    calls.sort()
    lives = [calls[:1000], calls[1000:1700], calls[1700:]]

    for life in lives:

        async def lives_once(metrics: Metrics, life: list[tuple[int, str, float]] = life) -> None:
            for time, name, duration in life:
                function = Function(service="s", name=name, runtime="", handler="")
                metrics.listen([record(duration, time=time + 0.5, function=function)])

        run(tmp_path, lives_once)

    async def reads(metrics: Metrics) -> None:
        for name in ("f0", "f1", "f2"):
            mine = [(time, duration) for time, function, duration in calls if function == name]
            for step in STEPS:
                found = await metrics.read(Wanted(step, NOON, NOON + 7200, function=name))
                truth: dict[int, int] = {}
                for time, _ in mine:
                    truth[time - time % step] = truth.get(time - time % step, 0) + 1
                assert {each.time: each.point["invocations"] for each in found} == truth, step
                whole = summed(found)[Series("s", name, LATEST)]
                assert whole["billed_ms"] == sum(math.ceil(duration * 1000) for _, duration in mine)
                for share in (0.5, 0.9, 0.99):
                    exact = nearest_rank([duration for _, duration in mine], share)
                    assert percentile(whole.durations, share) == pytest.approx(exact, rel=0.05)

    run(tmp_path, reads)


def test_what_was_counted_is_read_at_once_and_never_twice(tmp_path: Path) -> None:
    async def scenario(metrics: Metrics) -> None:
        for number in range(1, 4):
            metrics.listen([record(), OutputRecord(NOON, FUNCTION, "i", "", b"text"), record(qualifier="prod")])
            found = summed(await metrics.read(ALL))
            assert {series: point["invocations"] for series, point in found.items()} == {
                SERIES: number, SERIES._replace(qualifier="prod"): number,
            }  # fmt: skip

    run(tmp_path, scenario)


def test_what_is_wanted_is_chosen_by_names_and_time(tmp_path: Path) -> None:
    other = Function(service="t", name="g", runtime="", handler="")

    async def scenario(metrics: Metrics) -> None:
        metrics.listen([record(), record(qualifier="1")])
        metrics.listen([record(time=NOON + 60, function=other)])

        async def times(**chosen: str) -> list[int]:
            wanted = Wanted(60, NOON, NOON + 61, **chosen)
            return [each.time - NOON for each in await metrics.read(wanted)]

        assert await times() == [0, 0, 60]
        assert await times(service="s") == [0, 0]
        assert await times(qualifier="1") == [0]
        assert await times(function="g", service="t") == [60]
        assert await times(function="g", service="s") == []
        assert await times(instance="*") == []
        assert [each.time for each in await metrics.read(Wanted(60, NOON + 1, NOON + 60))] == []

    run(tmp_path, scenario)


def test_what_cannot_be_written_is_kept_for_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Store.write

    async def fails(_: Store, counted: Counted) -> None:
        raise Unavailable(message="the disk is full")

    async def scenario(metrics: Metrics) -> None:
        metrics.listen([record()])
        monkeypatch.setattr(Store, "write", fails)
        assert await metrics.read(ALL) == []
        metrics.listen([record(), record(time=NOON + 30)])
        monkeypatch.setattr(Store, "write", whole)
        assert summed(await metrics.read(ALL))[SERIES]["invocations"] == 3

    run(tmp_path, scenario)


def test_points_go_when_they_are_old_and_series_with_their_last_point(tmp_path: Path) -> None:
    day = 86400
    other = Function(service="s", name="g", runtime="", handler="")

    async def scenario(metrics: Metrics) -> None:
        for days in (0, 20, 40):
            metrics.listen([record(time=NOON + days * day)])
        metrics.listen([record(time=NOON + 40 * day + 7 * 3600, function=other)])

        async def times(step: int) -> list[int]:
            return [(each.time - NOON) // day for each in await metrics.read(Wanted(step, 0, math.inf))]

        assert [await times(step) for step in STEPS] == [[40], [20, 40, 40], [0, 20, 40, 40]]
        metrics.listen([record(time=NOON + 500 * day)])
        assert [await times(step) for step in STEPS] == [[500], [500], [500]]

    run(tmp_path, scenario)
    with closing(sqlite3.connect(tmp_path / "metrics.sqlite")) as connection:
        assert connection.execute("SELECT service, function FROM series").fetchall() == [("s", "f")]


def test_points_of_instances_are_kept_for_six_hours_and_not_by_the_hour(tmp_path: Path) -> None:
    async def scenario() -> None:
        store, point = Store(tmp_path / "m.sqlite"), Point()
        point.add("samples", 1)
        for number in range(100):
            await store.write(
                Counted(NOON + 600 * number, {SERIES: point, SERIES._replace(instance=f"i{number}"): point})
            )
        found = {step: await store.read(Wanted(step, 0, math.inf, instance="*")) for step in STEPS}
        assert {step: len(each) for step, each in found.items()} == {10: 37, 60: 37, 3600: 0}
        assert [each.series.instance for each in found[60]] == [f"i{number}" for number in range(63, 100)]
        assert len(await store.read(Wanted(60, 0, math.inf))) == 100
        await store.close()
        with closing(sqlite3.connect(tmp_path / "m.sqlite")) as connection:
            assert connection.execute("SELECT count(*) FROM series").fetchone() == (38,)

    asyncio.run(scenario())


@pytest.mark.parametrize("wanted", [ALL, Wanted(60, 0, 9, "s", "f"), Wanted(60, 0, 9, instance="*")])
def test_a_span_of_a_long_time_is_read_without_a_look_at_the_rest(wanted: Wanted) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(METRICS_TABLES)
        query, arguments = store_module._query(wanted)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", arguments)]

    assert "SEARCH points USING PRIMARY KEY (series=? AND step=? AND time>? AND time<?)" in plan


def test_instances_take_no_room_from_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting_module, "MOST_SERIES", 4)
    counting = Counting()
    for number in range(10):
        counting.note(SERIES._replace(instance=f"i{number}"), {"samples": 1})
    counting.listen([record(), record(qualifier="prod")])

    points, _ = counting.take()
    assert [series.instance for series in points] == ["i0", "i1", "", ""]
    assert OTHERS not in points


def test_more_series_than_there_is_room_for_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting_module, "MOST_SERIES", 2)
    counting = Counting()

    counting.listen([record(qualifier=f"v{number % 5}") for number in range(20)])

    found = {series: point["invocations"] for series, point in counting.take()[0].items()}
    assert found == {SERIES._replace(qualifier="v0"): 4, SERIES._replace(qualifier="v1"): 4, OTHERS: 12}


def test_nothing_runs_and_no_file_is_made_while_nobody_calls(tmp_path: Path) -> None:
    async def scenario(metrics: Metrics) -> None:
        before = asyncio.all_tasks()
        assert await metrics.read(ALL) == []
        assert asyncio.all_tasks() == before

    run(tmp_path, scenario)
    assert list(tmp_path.iterdir()) == []


def test_points_that_are_damaged_count_as_nothing_and_keep_the_others(tmp_path: Path) -> None:
    async def writes(metrics: Metrics) -> None:
        metrics.listen([record()])
        metrics.listen([record(time=NOON + 60)])

    run(tmp_path, writes)
    with closing(sqlite3.connect(tmp_path / "metrics.sqlite")) as connection, connection:
        connection.execute("UPDATE points SET point = x'c1ff' WHERE time = ?", (NOON + 60,))

    async def reads(metrics: Metrics) -> None:
        found = await metrics.read(Wanted(60, NOON, NOON + 120))
        assert [each.point["invocations"] for each in found] == [1, 0]

    run(tmp_path, reads)


def test_who_needs_sums_reads_no_buckets(tmp_path: Path) -> None:
    """Even buckets that are damaged, which who reads them takes for nothing: so they were not looked at."""
    whole = point_of(*[record(duration=0.1) for _ in range(3)])
    damaged = msgspec.msgpack.decode(whole.pack())
    damaged[list(FIELDS).index("direct")].append(7)

    async def scenario() -> None:
        store = Store(tmp_path / "m.sqlite")
        await store.write(Counted(600, {SERIES: whole}))
        await store.close()
        with closing(sqlite3.connect(tmp_path / "m.sqlite")) as connection, connection:
            connection.execute("UPDATE points SET point = ?", (msgspec.msgpack.encode(damaged),))
        store = Store(tmp_path / "m.sqlite")
        (all_of_it,) = await store.read(Wanted(60, 0, math.inf))
        (sums,) = await store.read(Wanted(60, 0, math.inf, has_buckets=False))
        await store.close()

        assert not all_of_it.point["invocations"]
        assert (sums.point.values, sums.point.buckets) == (whole.values, {})

    asyncio.run(scenario())
