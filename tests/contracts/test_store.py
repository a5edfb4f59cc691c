"""Every store engine keeps the promises of stores/interface.py; blobs likewise."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from pyfc.blobs.disk import DiskBlobs
from pyfc.errors import Conflict, NotFound
from pyfc.stores.interface import Change, Store
from pyfc.stores.memory import MemoryStore

ENGINES = [MemoryStore]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__module__)
def store(request: pytest.FixtureRequest) -> Store:
    made: Store = request.param()
    return made


def test_every_engine_file_is_tested() -> None:
    folder = Path(__file__).parents[2] / "pyfc" / "stores"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "interface"}

    assert modules == {engine.__module__.rpartition(".")[2] for engine in ENGINES}


def test_what_was_put_is_there_until_it_is_deleted(store: Store) -> None:
    async def scenario() -> None:
        first = await store.put("a", b"1")
        second = await store.put("a", b"2")

        entry = await store.get("a")
        assert entry is not None
        assert (entry.value, entry.revision) == (b"2", second)
        assert second > first > 0
        assert await store.delete("a") > second
        assert await store.get("a") is None
        assert await store.delete("a") == 0

    asyncio.run(scenario())


def test_a_write_that_expects_another_revision_changes_nothing(store: Store) -> None:
    async def scenario() -> None:
        revision = await store.put("a", b"1", expect=0)

        with pytest.raises(Conflict):
            await store.put("a", b"2", expect=0)
        with pytest.raises(Conflict):
            await store.delete("a", expect=revision + 1)
        assert await store.put("a", b"3", expect=revision) > revision

    asyncio.run(scenario())


def test_keys_are_listed_by_prefix_in_order_and_page_by_page(store: Store) -> None:
    async def scenario() -> None:
        for key in ("b/2", "a/1", "b/1", "b/3", "c"):
            await store.put(key, b"")

        first = await store.list("b/", limit=2)
        rest = await store.list("b/", after=first[-1].key, limit=2)
        assert [entry.key for entry in [*first, *rest]] == ["b/1", "b/2", "b/3"]

    asyncio.run(scenario())


def test_a_watch_sees_every_later_change_once_and_in_order_and_ends_with_the_store(store: Store) -> None:
    async def scenario() -> None:
        await store.put("a/0", b"before")
        batches = store.watch("a/")
        await store.put("a/1", b"1")
        await store.put("b/1", b"other")
        await store.delete("a/1")
        await store.close()

        seen: list[Change] = [change async for batch in batches for change in batch]
        assert [(change.key, change.value) for change in seen] == [("a/1", b"1"), ("a/1", None)]
        assert seen[0].revision < seen[1].revision

    asyncio.run(scenario())


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
