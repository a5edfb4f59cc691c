"""Every queue engine keeps the promises of queues/interface.py."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyfc.errors import AlreadyExists, InvalidArgument, PyfcError, QueueFull
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target
from pyfc.queues import steady
from pyfc.queues.interface import Filter, Outcome, Queue
from pyfc.queues.sqlite import SqliteQueue
from pyfc.queues.steady import Steady
from pyfc.queues.usage import Bounds
from support import run_with

LANE, OTHER = Target("s", "f"), Target("s", "g")
MakeQueue = Callable[[], Queue]
ENGINES: dict[str, Callable[[Path, Bounds], Queue]] = {
    "sqlite": lambda folder, bounds: SqliteQueue(folder / "queue.sqlite", bounds)
}


@pytest.fixture(params=ENGINES)
def bounded(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Bounds], MakeQueue]:
    """What makes a queue with bounds inside of the loop that uses it; made again it is the same one, opened again."""
    return lambda bounds: lambda: ENGINES[request.param](tmp_path, bounds)


@pytest.fixture
def make(bounded: Callable[[Bounds], MakeQueue]) -> MakeQueue:
    """The same of one with the usual bounds."""
    return bounded(Bounds())


@pytest.fixture
def make_sqlite(tmp_path: Path) -> Callable[[], SqliteQueue]:
    """The same of that engine, for what happens inside of it."""
    return lambda: SqliteQueue(tmp_path / "queue.sqlite")


def test_every_engine_file_is_tested() -> None:
    folder = Path(__file__).parents[2] / "pyfc" / "queues"

    shared, of_sqlite = {"__init__", "interface", "steady", "usage"}, {"leases", "rows"}
    assert {path.stem for path in folder.glob("*.py")} - shared - of_sqlite == set(ENGINES)


def event(name: str, target: Target = LANE, **fields: object) -> Event:
    made = Event(id=name, request_id=f"r-{name}", target=target, payload=name.encode(), enqueued=time.time())
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def ended(each: Event, status: Status) -> Event:
    each.ended = time.time()
    each.note(status, each.ended)
    return each


def test_events_are_taken_in_order_lane_by_lane_and_once(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("b"), event("c", OTHER)])
        await queue.put([event("d")])

        assert sorted(await queue.lanes()) == [LANE, OTHER]
        first = await queue.take(LANE, 2)
        assert [each.id for each in first] == ["a", "b"]
        assert [each.id for each in await queue.take(LANE, 2)] == ["d"]
        assert await queue.take(LANE, 2) == []
        assert [each.payload for each in await queue.take(OTHER, 2)] == [b"c"]

    run_with(make, scenario)


def test_marks_are_written_with_their_events_or_not_at_all(make: MakeQueue) -> None:
    async def before(queue: Queue) -> None:
        await queue.put([event("a")], {"source/a": "1", "other": "x"})
        await queue.put([], {"source/b": "2"})
        with pytest.raises(AlreadyExists):
            await queue.put([event("a")], {"source/a": "9"})
        results = await asyncio.gather(
            queue.put([event("c")], {"source/c": "3"}),
            queue.put([event("a")], {"source/b": "9"}),
            queue.put([event("d")], {"source/d": "4", "source/b": ""}),
            return_exceptions=True,
        )
        assert [type(each) for each in results] == [bool, AlreadyExists, bool]

    async def after(queue: Queue) -> None:
        assert await queue.marks("source/") == {"source/a": "1", "source/c": "3", "source/d": "4"}
        assert await queue.marks("") == {**await queue.marks("source/"), "other": "x"}
        assert [each.id for each in await queue.take(LANE, 9)] == ["a", "c", "d"]

    run_with(make, before)
    run_with(make, after)


def test_an_event_is_taken_or_claimed_and_never_both(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        events = [event("a"), event("b")]
        await queue.put(events)

        assert queue.claim(events[0])
        assert not queue.claim(events[0])
        assert [each.id for each in await queue.take(LANE, 5)] == ["b"]
        assert not queue.claim(events[1])

    run_with(make, scenario)


def test_what_was_not_settled_is_there_again_after_a_start_and_what_was_is_not(make: MakeQueue) -> None:
    async def before(queue: Queue) -> None:
        await queue.put([event("a", http=("GET", "/", "/", "::1", [("a", "b")])), event("b"), event("c")])
        await queue.put([event("traced", trace=("1:2", {"who": "ada"}))])
        taken = await queue.take(LANE, 3)
        await queue.settle([Outcome(ended(taken[1], Status.SUCCEEDED), forget=True)])

    async def after(queue: Queue) -> None:
        taken = await queue.take(LANE, 4)
        assert [each.id for each in taken] == ["a", "c", "traced"]
        assert taken[2].trace == ("1:2", {"who": "ada"})
        assert taken[0].http == ["GET", "/", "/", "::1", [["a", "b"]]]
        assert await queue.get("s", "f", "b") is None

    run_with(make, before)
    run_with(make, after)


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.RETRYING])
def test_what_is_settled_while_somebody_takes_is_not_given_again(
    make_sqlite: Callable[[], SqliteQueue], status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(queue: SqliteQueue) -> None:
        await queue.put([event("a"), event("b"), event("c")])
        [first] = await queue.take(LANE, 1)
        read = queue._database.read

        async def read_before(*query: Any) -> list[tuple[Any, ...]]:
            rows = await read(*query)
            first.due = queue.now() + 60 if status is Status.RETRYING else 0.0
            await queue.settle([Outcome(ended(first, status), forget=True)])
            return rows

        with monkeypatch.context() as patch:
            patch.setattr(queue._database, "read", read_before)
            assert [each.id for each in await queue.take(LANE, 5)] == ["b", "c"]
        assert await queue.take(LANE, 5) == []
        if status is Status.RETRYING:
            first.due = 0.0
            await queue.settle([Outcome(first)])
            assert [each.id for each in await queue.take(LANE, 5)] == ["a"]

    run_with(make_sqlite, scenario)


def test_what_is_free_again_when_another_lane_has_been_read_is_waited_for(
    make_sqlite: Callable[[], SqliteQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(queue: SqliteQueue) -> None:
        await queue.put([event("a"), event("b", OTHER)])
        [first] = await queue.take(LANE, 1)
        read, goes_on = queue._database.read, asyncio.Event()
        began = {LANE: asyncio.Event(), OTHER: asyncio.Event()}

        async def read_slowly(query: str, lane: Any, *more: Any) -> list[tuple[Any, ...]]:
            if lane == OTHER:
                began[lane].set()
                await goes_on.wait()
            rows = await read(query, lane, *more)
            began[lane].set()
            return rows

        monkeypatch.setattr(queue._database, "read", read_slowly)
        other = asyncio.create_task(queue.take(OTHER, 1))
        await began[OTHER].wait()
        await queue.settle([Outcome(ended(first, Status.RETRYING))])
        again = asyncio.create_task(queue.take(LANE, 1))
        await began[LANE].wait()
        goes_on.set()

        assert [each.id for each in await other] == ["b"]
        assert [each.id for each in await again] == ["a"]

    run_with(make_sqlite, scenario)


def test_a_delayed_event_is_taken_when_it_is_due(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        due = queue.now() + 0.2
        await queue.put([event("later", due=due), event("now")])
        assert [each.id for each in await queue.take(LANE, 5)] == ["now"]
        assert await queue.next_due() == due
        while await queue.next_due() is not None:
            await asyncio.sleep(0.02)
        assert queue.now() >= due
        assert [each.id for each in await queue.take(LANE, 5)] == ["later"]

    run_with(make, scenario)


def test_an_event_that_is_tried_again_keeps_its_place_and_what_was_learned(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("b")])
        first = (await queue.take(LANE, 1))[0]
        first.attempts, first.error = 2, "Unhandled"
        first.note(Status.RETRYING, 1.0, "why")
        await queue.settle([Outcome(first)])
        again = await queue.take(LANE, 5)
        assert [(each.id, each.attempts) for each in again] == [("a", 2), ("b", 0)]
        assert again[0].history[-1] == ("Retrying", 1.0, "why")

    run_with(make, scenario)


def test_an_id_is_used_once_per_function_and_a_refused_put_keeps_nothing(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("mine")])
        with pytest.raises(AlreadyExists):
            await queue.put([event("new"), event("mine")])
        await queue.put([event("mine", OTHER)])
        assert [each.id for each in await queue.take(LANE, 5)] == ["mine"]

    run_with(make, scenario)


def test_an_outcome_and_what_follows_from_it_are_written_together(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("taken", OTHER)])
        first = (await queue.take(LANE, 1))[0]
        with pytest.raises(AlreadyExists):
            await queue.settle([Outcome(ended(first, Status.FAILED), [event("taken", OTHER)])])
        kept = await queue.get("s", "f", "a")
        assert kept is not None
        assert kept.status is Status.ENQUEUED
        await queue.settle([Outcome(first, [event("follows", OTHER)])])
        assert [each.id for each in await queue.take(OTHER, 5)] == ["taken", "follows"]

    run_with(make, scenario)


@pytest.mark.parametrize("forget", [False, True])
@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
def test_what_is_settled_again_changes_nothing_and_what_follows_is_there_once(
    make: MakeQueue, status: Status, forget: bool
) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("b")])
        [first, second] = await queue.take(LANE, 2)
        outcome = Outcome(ended(first, status), [event("follows", OTHER)], forget)
        await queue.settle([outcome])
        kept = await queue.get("s", "f", "a")

        await queue.settle([Outcome(first.copy(error="late"), [event("follows", OTHER)], forget)])
        await queue.settle([outcome, Outcome(ended(second, status), [event("more", OTHER)], forget)])

        assert await queue.get("s", "f", "a") == kept
        assert [each.id for each in await queue.take(OTHER, 5)] == ["follows", "more"]
        assert await queue.take(LANE, 5) == []

    run_with(make, scenario)


def test_of_outcomes_that_can_not_all_be_written_those_that_can_are_when_they_are_settled_again(
    make: MakeQueue,
) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("b"), event("taken", OTHER)])
        good, bad = await queue.take(LANE, 2)
        outcomes = [
            Outcome(ended(good, Status.FAILED), [event("follows", OTHER)]),
            Outcome(ended(bad, Status.FAILED), [event("taken", OTHER)]),
        ]
        with pytest.raises(AlreadyExists):
            await queue.settle(outcomes)
        await queue.settle(outcomes[:1])
        with pytest.raises(AlreadyExists):
            await queue.settle(outcomes[1:])
        await queue.settle(outcomes[:1])

        assert [each.id for each in await queue.take(OTHER, 5)] == ["taken", "follows"]
        assert [each.id for each in await queue.list(Filter(only_kept=True))] == ["a"]

    run_with(make, scenario)


def test_what_somebody_has_taken_is_not_replaced(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("b")])
        [first] = await queue.take(LANE, 1)
        stopped = ended(first.copy(), Status.STOPPED)

        assert not await queue.replace(Outcome(stopped), Status.ENQUEUED)
        first.note(Status.RETRYING, 0.0)
        await queue.settle([Outcome(first)])
        assert await queue.replace(Outcome(stopped), Status.RETRYING)
        assert [each.id for each in await queue.take(LANE, 5)] == ["b"]

    run_with(make, scenario)


def test_who_replaces_what_is_read_at_this_moment_waits_until_it_is_known(
    make_sqlite: Callable[[], SqliteQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(queue: SqliteQueue) -> None:
        await queue.put([event("a"), event("b")])
        [first] = await queue.take(LANE, 1)
        read = queue._database.read

        async def read_before(*query: Any) -> list[tuple[Any, ...]]:
            rows = await read(*query)
            await queue.settle([Outcome(ended(first, Status.FAILED))])
            replacing.append(asyncio.create_task(queue.replace(Outcome(first, forget=True), Status.FAILED)))
            await asyncio.sleep(0)
            return rows

        replacing: list[asyncio.Task[bool]] = []
        with monkeypatch.context() as patch:
            patch.setattr(queue._database, "read", read_before)
            assert [each.id for each in await queue.take(LANE, 5)] == ["b"]
        assert await replacing[0]
        assert await queue.get("s", "f", "a") is None

    run_with(make_sqlite, scenario)


def test_a_close_ends_every_lease(make: MakeQueue) -> None:
    async def before(queue: Queue) -> None:
        await queue.put([event("a")])
        assert await queue.take(LANE, 1)

    async def after(queue: Queue) -> None:
        [again] = await queue.take(LANE, 1)
        assert await queue.take(LANE, 1) == []
        await queue.settle([Outcome(ended(again, Status.SUCCEEDED), forget=True)])

    run_with(make, before)
    run_with(make, after)


def test_records_are_found_by_what_people_ask_for(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event(f"n{number}", enqueued=100.0 + number) for number in range(6)])
        taken = await queue.take(LANE, 6)
        for each, status in zip(taken, [Status.SUCCEEDED, Status.FAILED, Status.EXPIRED, Status.FAILED], strict=False):
            await queue.settle([Outcome(ended(each, status))])

        async def ids(**wanted: object) -> list[str]:
            return [each.id for each in await queue.list(Filter(**wanted))]  # type: ignore[arg-type]

        assert await ids(statuses=(Status.FAILED,)) == ["n3", "n1"]
        assert await ids(only_kept=True, newest_first=False) == ["n1", "n2", "n3"]
        assert await ids(service="s", function="f", limit=2) == ["n5", "n4"]
        assert await ids(begin=104.0) == ["n5", "n4"]
        assert await ids(end=101.0) == ["n1", "n0"]
        assert await ids(prefix="n2") == ["n2"]
        assert await ids(after=taken[2].number) == ["n1", "n0"]
        assert (await queue.depth())._asdict() == {"waiting": 2, "delayed": 0, "given_up": 3}
        assert await queue.sweep(queue.now() + 1) == 1
        assert await ids(only_kept=True, newest_first=False) == ["n1", "n2", "n3"]

    run_with(make, scenario)


def test_what_has_not_ended_is_counted_by_function(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("b"), event("c", due=queue.now() + 3600)])
        assert queue.unfinished() == {LANE[:2]: 3}
        taken = await queue.take(LANE, 2)
        assert queue.unfinished() == {LANE[:2]: 3}, "those that run have not ended"
        await queue.settle([Outcome(ended(each, Status.SUCCEEDED)) for each in taken])
        assert queue.unfinished() == {LANE[:2]: 1}

    run_with(make, scenario)


def test_many_at_once_share_commits_and_none_is_lost(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await asyncio.gather(*(queue.put([event(f"x{number}")]) for number in range(500)))
        assert len(await queue.take(LANE, 1000)) == 500

    run_with(make, scenario)


async def refusal(queue: Queue, *events: Event) -> str:
    with pytest.raises(QueueFull) as caught:
        await queue.put(events)
    assert (caught.value.status, caught.value.code) == (429, "ResourceExhausted")
    return str(caught.value)


def test_what_waits_has_a_bound_in_number_per_function_and_in_all(bounded: Callable[[Bounds], MakeQueue]) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("b", due=queue.now() + 60)])
        assert "2 calls of it wait already" in await refusal(queue, event("c"))
        await queue.put([event("d", OTHER)])
        assert "3 calls in all wait already" in await refusal(queue, event("e", OTHER))
        assert "function 'h'" in await refusal(queue, event("f", Target("s", "h")))
        [first] = await queue.take(LANE, 5)
        assert await refusal(queue, event("g"))
        first.due = queue.now() + 60
        await queue.settle([Outcome(ended(first, Status.RETRYING))])
        assert await refusal(queue, event("h"))
        first.due = 0.0
        await queue.settle([Outcome(ended(first, Status.SUCCEEDED), forget=True)])
        await queue.settle([Outcome(first, forget=True)])
        await queue.put([event("i")])
        assert await refusal(queue, event("j"))

    bounds = Bounds(events=2, all_events=3)
    run_with(bounded(bounds), scenario)

    async def again(queue: Queue) -> None:
        assert "2 calls of it wait already" in await refusal(queue, event("k"))

    run_with(bounded(Bounds(events=2)), again)


def test_what_waits_has_a_bound_in_bytes(bounded: Callable[[Bounds], MakeQueue]) -> None:
    large = b"x" * 10_000

    async def scenario(queue: Queue) -> None:
        await queue.put([event("a", payload=large), event("b", payload=large)])
        assert await refusal(queue, event("c", payload=large))
        assert await refusal(queue, event("d", http=("GET", "/", "/", "::1", [("a", "x" * 10_000)])))
        assert await refusal(queue, event("e", trace=("1:2", {"a": "x" * 10_000})))
        await queue.put([event("e")])
        await queue.put([event("f", OTHER, payload=large)])
        assert "in all" in await refusal(queue, event("g", OTHER, payload=large))

    run_with(bounded(Bounds(size=25_000, all_size=40_000)), scenario)


def test_what_is_refused_or_follows_from_others_or_is_taken_up_again_is_counted_right(
    bounded: Callable[[Bounds], MakeQueue],
) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("mine")])
        for _ in range(5):
            with pytest.raises(AlreadyExists):
                await queue.put([event("mine")])
        assert await refusal(queue, event("a"), event("b"), event("c"))
        await queue.put([event("d")])
        taken = await queue.take(LANE, 5)
        await queue.settle([Outcome(ended(each, Status.FAILED), [event(f"{each.id}-", OTHER)]) for each in taken])
        assert await refusal(queue, event("e", OTHER))
        await queue.put([event("f"), event("g")])
        assert not await queue.replace(Outcome(taken[0]), Status.EXPIRED)
        again = await queue.get("s", "f", "mine")
        assert again is not None
        again.note(Status.ENQUEUED, 0.0)
        with pytest.raises(QueueFull):
            await queue.replace(Outcome(again), Status.FAILED)
        for each in await queue.take(LANE, 5):
            await queue.settle([Outcome(ended(each, Status.STOPPED))])
        assert await queue.replace(Outcome(again), Status.FAILED)
        await queue.put([event("h")])
        assert await refusal(queue, event("i"))

    run_with(bounded(Bounds(events=2)), scenario)


def test_records_that_take_too_much_room_are_forgotten_the_oldest_of_who_has_most(
    bounded: Callable[[Bounds], MakeQueue], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event(f"other{number}", OTHER) for number in range(3)])
        await queue.put([event(f"a{number}", payload=b"x" * 5000) for number in range(40)])
        for lane in (OTHER, LANE):
            for number, each in enumerate(await queue.take(lane, 100)):
                status = Status.SUCCEEDED if number % 10 == 5 else Status.FAILED
                await queue.settle([Outcome(ended(each, status))])

        async def kept(function: str) -> list[str]:
            return [each.id for each in await queue.list(Filter(service="s", function=function, newest_first=False))]

        end = time.monotonic() + 10
        while len(await kept("f")) > 16:
            assert time.monotonic() < end
            await asyncio.sleep(0.005)
        assert len(await kept("g")) == 3
        left = await kept("f")
        assert left == [f"a{number}" for number in range(40) if f"a{number}" in left]
        assert left[-1] == "a39"
        assert "a5" not in left

    run_with(bounded(Bounds(records_size=100_000)), scenario)
    assert "records of calls of s/f are gone" in caplog.text


def test_a_state_is_replaced_only_where_it_is_the_one_that_was_expected(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([event("a"), event("b")])
        first = await queue.get("s", "f", "a")
        assert first is not None
        stopped = ended(first, Status.STOPPED)
        assert not await queue.replace(Outcome(stopped), Status.RETRYING)
        assert await queue.replace(Outcome(stopped), Status.ENQUEUED)
        assert not await queue.replace(Outcome(stopped), Status.ENQUEUED)
        assert [each.id for each in await queue.take(LANE, 5)] == ["b"]
        assert not await queue.replace(Outcome(stopped, forget=True), Status.FAILED)
        assert await queue.replace(Outcome(stopped, forget=True), Status.STOPPED)
        assert await queue.get("s", "f", "a") is None

    run_with(make, scenario)


def test_one_write_that_can_not_be_is_no_other_s_failure(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        wrong = event("wrong", address="acs:\ud800")
        done = await asyncio.gather(
            *(queue.put([each]) for each in (event("a"), wrong, event("b"))), return_exceptions=True
        )

        assert [isinstance(each, PyfcError) for each in done] == [False, True, False]
        assert [each.id for each in await queue.take(LANE, 5)] == ["a", "b"]

    run_with(make, scenario)


def test_a_record_that_can_not_be_read_is_named_and_passed_over(
    tmp_path: Path, make_sqlite: Callable[[], SqliteQueue], caplog: pytest.LogCaptureFixture
) -> None:
    async def before(queue: Queue) -> None:
        await queue.put([event("a"), event("b"), event("c")])

    async def after(queue: Queue) -> None:
        assert [each.id for each in await queue.take(LANE, 2)] == ["a"]
        assert [each.id for each in await queue.take(LANE, 2)] == ["c"]
        assert [each.id for each in await queue.list(Filter())] == ["c", "a"]
        assert await queue.get("s", "f", "b") is None

    run_with(make_sqlite, before)
    with contextlib.closing(sqlite3.connect(tmp_path / "queue.sqlite")) as connection:
        connection.execute("UPDATE events SET event = x'c1ff' WHERE id = 'b'")
        connection.commit()
    run_with(make_sqlite, after)
    assert "can not be read and is left alone" in caplog.text


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 1e9, -1e9])
def test_the_queue_s_time_goes_on_whatever_is_done_to_the_clock(
    make: MakeQueue, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    seen: list[float] = []

    async def look(queue: Queue) -> None:
        seen.append(queue.now())

    async def step(queue: Queue) -> None:
        await look(queue)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + seconds)
        await look(queue)

    run_with(make, step)
    run_with(make, look)
    assert 0 <= seen[1] - seen[0] < 60
    assert 0 <= seen[2] - seen[1] < 60


def test_after_a_start_of_the_machine_time_goes_on_by_the_wall_clock_but_never_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Steady(None).mark
    now = time.time()
    monkeypatch.setattr(steady, "_boot", lambda: "another")

    for wall, expected in ((now + 3600, now + 3600), (now - 3600, before.latest), (0.0, before.latest)):
        monkeypatch.setattr(time, "time", lambda wall=wall: wall)
        assert 0 <= Steady(before).now() - expected < 60


def test_a_damaged_or_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, however long it is, and it never was one")
    with pytest.raises(InvalidArgument, match="damaged"):
        SqliteQueue(tmp_path / "text")
    with contextlib.closing(sqlite3.connect(tmp_path / "newer")) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(InvalidArgument, match="newer pyfc"):
        SqliteQueue(tmp_path / "newer")


def test_a_power_cut_in_the_middle_of_writes_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    """What is on disk at any moment is a queue: the files are copied as they are while it is written."""

    async def scenario() -> None:
        queue = SqliteQueue(tmp_path / "queue.sqlite")
        promised: list[str] = []

        async def write(first: int) -> None:
            for number in range(first, first + 50):
                await queue.put([event(f"p{number}")])
                promised.append(f"p{number}")

        writers = asyncio.gather(*(write(base * 50) for base in range(8)))
        copies = []
        while not writers.done():
            known = list(promised)
            place = tmp_path / f"copy{len(copies)}"
            place.mkdir()
            for name in ("queue.sqlite-wal", "queue.sqlite"):
                (place / name).write_bytes((tmp_path / name).read_bytes())
            copies.append((place, known))
            await asyncio.sleep(0.005)
        await writers
        await queue.close()
        assert copies
        for place, known in copies:
            again = SqliteQueue(place / "queue.sqlite")
            found = {each.id for each in await again.take(LANE, 10_000)}
            await again.close()
            assert set(known) <= found

    asyncio.run(scenario())
