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

from pyfc.errors import AlreadyExists, InvalidArgument
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target
from pyfc.queues.interface import Filter, Outcome, Queue
from pyfc.queues.sqlite import SqliteQueue
from support import run_with

LANE, OTHER = Target("s", "f"), Target("s", "g")
MakeQueue = Callable[[], Queue]


@pytest.fixture
def make(tmp_path: Path) -> MakeQueue:
    """Makes the queue inside of the loop that uses it; made again it is the same one, opened again."""
    return lambda: SqliteQueue(tmp_path / "queue.sqlite")


def test_every_engine_file_is_tested() -> None:
    folder = Path(__file__).parents[2] / "pyfc" / "queues"

    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "interface", "steady", "usage"} == {"sqlite"}


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
        taken = await queue.take(LANE, 3)
        await queue.settle([Outcome(ended(taken[1], Status.SUCCEEDED), forget=True)])

    async def after(queue: Queue) -> None:
        taken = await queue.take(LANE, 3)
        assert [each.id for each in taken] == ["a", "c"]
        assert taken[0].http == ["GET", "/", "/", "::1", [["a", "b"]]]
        assert await queue.get("s", "f", "b") is None

    run_with(make, before)
    run_with(make, after)


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.RETRYING])
def test_what_is_settled_while_somebody_takes_is_not_given_again(
    make: MakeQueue, status: Status, monkeypatch: pytest.MonkeyPatch
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

    run_with(make, scenario)


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


def test_many_at_once_share_commits_and_none_is_lost(make: MakeQueue) -> None:
    async def scenario(queue: Queue) -> None:
        await asyncio.gather(*(queue.put([event(f"x{number}")]) for number in range(500)))
        assert len(await queue.take(LANE, 1000)) == 500

    run_with(make, scenario)


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
