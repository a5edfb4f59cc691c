"""Every store engine keeps the promises of stores/interface.py; blobs likewise."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pyfc.blobs.disk import DiskBlobs
from pyfc.errors import Conflict, InvalidArgument, NotFound
from pyfc.stores.interface import Change, Store
from pyfc.stores.sqlite import SqliteStore
from support import run_with

MakeStore = Callable[[], Store]


ENGINES: dict[str, Callable[[Path], Store]] = {"sqlite": lambda folder: SqliteStore(folder / "store.sqlite")}


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Makes the store inside of the loop that uses it; made again it is the same one, opened again."""
    return lambda: ENGINES[request.param](tmp_path)


def test_every_engine_file_is_tested() -> None:
    folder = Path(__file__).parents[2] / "pyfc" / "stores"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "interface", "watching"}

    assert modules == set(ENGINES)


def test_what_was_written_is_there_until_it_is_deleted(make: MakeStore) -> None:
    async def scenario(store: Store) -> None:
        first = await store.write({"a": b"1"})
        second = await store.write({"a": b"2"})

        entry = await store.get("a")
        assert entry is not None
        assert (entry.value, entry.revision) == (b"2", second)
        assert second > first > 0
        assert await store.write({"a": None}) > second
        assert await store.get("a") is None

    run_with(make, scenario)


def test_a_write_that_has_nothing_to_do_has_no_revision_and_nobody_is_told(make: MakeStore) -> None:
    async def scenario(store: Store) -> None:
        batches = store.watch("")
        first = await store.write({"a": b"1"})
        assert await store.write({"b": None, "c": None}) == 0
        assert await store.write({}, {"a": first}) == 0
        with pytest.raises(Conflict):
            await store.write({"b": None}, {"a": 0})
        second = await store.write({"a": None, "b": None})
        await store.close()

        assert [change async for batch in batches for change in batch] == [
            Change("a", b"1", first),
            Change("a", None, second),
        ]
        assert second > first

    asyncio.run(closing(scenario, make))


def test_no_revision_is_used_again_also_of_keys_that_were_deleted(make: MakeStore, tmp_path: Path) -> None:
    seen: list[int] = []

    async def scenario(store: Store) -> None:
        for _ in range(3):
            seen.append(await store.write({"a": b"1"}, {"a": 0}))
            entry = await store.get("a")
            assert entry is not None
            assert entry.revision == seen[-1]
            seen.append(await store.write({"a": None}, {"a": seen[-1]}))
        assert seen == sorted(set(seen))

    run_with(make, scenario)
    if any(tmp_path.iterdir()):  # an engine that keeps what it has
        run_with(make, scenario)


def test_a_write_that_expects_another_revision_changes_nothing(make: MakeStore) -> None:
    async def scenario(store: Store) -> None:
        revision = await store.write({"a": b"1"}, {"a": 0})

        with pytest.raises(Conflict, match="'a'"):
            await store.write({"a": b"2", "b": b"2"}, {"b": 0, "a": 0})
        with pytest.raises(Conflict):
            await store.write({"a": None}, {"a": revision + 1})
        with pytest.raises(Conflict, match="'other'"):
            await store.write({"a": b"4"}, {"other": 1})
        assert await store.get("b") is None
        assert await store.write({"a": b"3"}, {"a": revision}) > revision

    run_with(make, scenario)


def test_of_many_writers_that_expect_the_same_exactly_one_succeeds(make: MakeStore) -> None:
    async def scenario(store: Store) -> None:
        tasks = [store.write({"a": b"%d" % number}, {"a": 0}) for number in range(100)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

        [winner] = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, int)]
        assert all(isinstance(outcome, int | Conflict) for outcome in outcomes)
        entry = await store.get("a")
        assert entry is not None
        assert (entry.value, entry.revision) == (b"%d" % winner, outcomes[winner])

    run_with(make, scenario)


def test_keys_are_listed_by_prefix_in_order_and_page_by_page(make: MakeStore) -> None:
    async def scenario(store: Store) -> None:
        await store.write(dict.fromkeys(("b/2", "a/1", "b/1", "b/3", "c", "b"), b""))

        first = await store.list("b/", limit=2)
        rest = await store.list("b/", after=first[-1].key, limit=2)
        assert [entry.key for entry in [*first, *rest]] == ["b/1", "b/2", "b/3"]

    run_with(make, scenario)


def test_a_watch_sees_every_later_change_once_and_in_order_and_ends_with_the_store(make: MakeStore) -> None:
    async def scenario(store: Store) -> None:
        await store.write({"a/0": b"before"})
        batches = store.watch("a/")
        await store.write({"a/1": b"1", "b/1": b"other"})
        await store.write({"a/1": None, "a/never": None})
        await store.close()

        seen: list[Change] = [change async for batch in batches for change in batch]
        assert [(change.key, change.value) for change in seen] == [("a/1", b"1"), ("a/1", None)]
        assert seen[0].revision < seen[1].revision

    asyncio.run(closing(scenario, make))


def test_what_was_written_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore(tmp_path / "store")
        revision = await store.write({"a": b"1"})
        await store.close()
        again = SqliteStore(tmp_path / "store")

        entry = await again.get("a")
        assert entry is not None
        assert (entry.value, entry.revision) == (b"1", revision)
        assert await again.write({"b": b""}) > revision
        await again.close()

    asyncio.run(scenario())


def test_a_file_that_is_no_store_or_of_a_newer_pyfc_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is not a database, it is a longer text than a header")
    with pytest.raises(InvalidArgument, match="can not be opened"):
        SqliteStore(tmp_path / "text")
    with contextlib.closing(sqlite3.connect(tmp_path / "newer")) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(InvalidArgument, match="newer pyfc"):
        SqliteStore(tmp_path / "newer")


async def closing(scenario: Callable[[Store], Awaitable[None]], make: MakeStore) -> None:
    """Of a scenario that closes the store itself."""
    await scenario(make())


def test_a_blob_is_kept_once_under_the_digest_of_its_bytes(tmp_path: Path) -> None:
    async def scenario() -> None:
        blobs = DiskBlobs(tmp_path)
        first, second = await blobs.put(io.BytesIO(b"same")), await blobs.put(io.BytesIO(b"same"))

        assert first == second
        assert [path.name for path in tmp_path.iterdir()] == [first]
        with await blobs.open(first) as stream:
            assert stream.read() == b"same"
        await blobs.delete(first)
        await blobs.delete(first)
        with pytest.raises(NotFound):
            await blobs.open(first)

    asyncio.run(scenario())
