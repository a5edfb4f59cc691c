"""A small object is durable when its put is answered, though its file is not yet: a lost file is written again."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pyfc.cloud.oss import write_ahead
from pyfc.cloud.oss.model import Cause, Description, Place
from pyfc.cloud.oss.store import Store
from pyfc.model.bucket import PUT

pytestmark = pytest.mark.skipif(not write_ahead.CAN_SYNC_AT_ONCE, reason="no system call syncs a file system")
SMALL, LARGE = b"small", b"x" * (write_ahead.LARGEST + 1)


def _run(folder: Path, work: Callable[[Store], Awaitable[None]], *, dies: bool = False) -> None:
    """With a store that is closed afterwards or, as when a server is killed, leaves everything as it is."""

    async def whole() -> None:
        store = Store(folder / "buckets", folder / "oss.sqlite")
        await store.start()
        if "bkt" not in store.index.buckets:
            await store.create("bkt")
        await work(store)
        await (store.index if dies else store).close()

    asyncio.run(whole())


async def _put(store: Store, key: str, content: bytes = SMALL) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield content[:2]
        yield content[2:]

    await store.put(Place("bkt", key), chunks(), Description(headers={"content-type": "a/b"}), cause=Cause(PUT))


async def _kept(store: Store) -> list[str]:
    rows = await store.index.read("SELECT key FROM contents ORDER BY number")
    return [key.decode() for (key,) in rows]


async def _content(store: Store, key: str) -> bytes:
    found, descriptor = await store.open("bkt", key)
    with open(descriptor, "rb") as file:
        assert found.description.headers in ({"content-type": "a/b"}, {})
        return file.read()


@pytest.fixture
def is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made durable by itself within a test."""
    monkeypatch.setattr(write_ahead, "_SOON", 3600.0)


def test_a_small_content_is_kept_until_its_file_is_durable_and_a_large_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_ahead, "_SOON", 0.05)

    async def work(store: Store) -> None:
        await _put(store, "large", LARGE)
        await _put(store, "small")
        assert await _kept(store) == ["small"]
        assert (tmp_path / "buckets" / "bkt" / "small").read_bytes() == SMALL
        async with asyncio.timeout(10):
            while await _kept(store):
                await asyncio.sleep(0.01)

    _run(tmp_path, work)


@pytest.mark.usefixtures("is_slow")
def test_much_at_once_is_made_durable_without_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead, "_MOST", 3 * len(SMALL))

    async def work(store: Store) -> None:
        for number in range(4):
            await _put(store, str(number))
        async with asyncio.timeout(10):
            while await _kept(store):
                await asyncio.sleep(0.01)

    _run(tmp_path, work)


@pytest.mark.usefixtures("is_slow")
@pytest.mark.parametrize("lost", ["the file", "its content", "its end", "the newer file"])
@pytest.mark.parametrize("key", ["a/small", "../aside"])
def test_what_a_machine_lost_with_its_power_is_written_again(tmp_path: Path, lost: str, key: str) -> None:
    async def put(store: Store) -> None:
        await _put(store, key)

    _run(tmp_path, put, dies=True)
    [path] = [each for each in (tmp_path / "buckets").rglob("*") if each.is_file()]
    then = path.stat().st_mtime_ns
    if lost in {"the file", "the newer file"}:
        path.unlink()
    if lost == "its content":
        path.write_bytes(b"\0" * len(SMALL))
    if lost == "its end":
        path.write_bytes(b"")
    if lost == "the newer file":
        path.write_bytes(b"older")
        then -= 10**9
    if path.exists():
        os.utime(path, ns=(then, then))

    async def look(store: Store) -> None:
        assert await _content(store, key) == SMALL
        assert await _kept(store) == []

    _run(tmp_path, look)


@pytest.mark.usefixtures("is_slow")
def test_what_was_removed_replaced_or_changed_by_somebody_stays_so(tmp_path: Path) -> None:
    async def put(store: Store) -> None:
        for key in ("removed", "replaced", "again", "changed"):
            await _put(store, key)
        await store.delete("bkt", "removed", Cause(PUT))
        await _put(store, "replaced", LARGE)
        await _put(store, "again", b"newer")

    _run(tmp_path, put, dies=True)
    (tmp_path / "buckets" / "bkt" / "changed").write_bytes(b"by hand")

    async def look(store: Store) -> None:
        assert not (tmp_path / "buckets" / "bkt" / "removed").exists()
        assert await _content(store, "replaced") == LARGE
        assert await _content(store, "again") == b"newer"
        assert await _content(store, "changed") == b"by hand"
        assert await _kept(store) == []

    _run(tmp_path, look)


@pytest.mark.usefixtures("is_slow")
def test_contents_are_kept_while_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def put(store: Store) -> None:
        await _put(store, "small")

    with monkeypatch.context() as failing:
        failing.setattr(write_ahead, "sync_file_system", fail)
        _run(tmp_path, put)

    async def look(store: Store) -> None:
        assert await _kept(store) == []
        assert await _content(store, "small") == SMALL

    (tmp_path / "buckets" / "bkt" / "small").unlink()
    _run(tmp_path, look)


def test_a_bucket_that_is_gone_leaves_nothing_to_write(tmp_path: Path) -> None:
    async def put(store: Store) -> None:
        await _put(store, "small")
        await store.delete("bkt", "small", Cause(PUT))
        await store.delete_bucket(store.bucket("bkt"))

    async def look(store: Store) -> None:
        assert await _kept(store) == []
        assert os.listdir(tmp_path / "buckets" / "bkt") == [".pyfc"]

    _run(tmp_path, put, dies=True)
    _run(tmp_path, look)


@pytest.mark.usefixtures("is_slow")
def test_what_comes_while_files_are_made_durable_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once would forget by the number that the first one saw."""
    begun: list[int] = []
    may_end = threading.Event()

    def sync(descriptor: int) -> None:
        begun.append(descriptor)
        assert may_end.wait(10)

    monkeypatch.setattr(write_ahead, "sync_file_system", sync)

    async def work(store: Store) -> None:
        await _put(store, "first")
        settling = asyncio.gather(store._ahead.settle(), store._ahead.settle())
        async with asyncio.timeout(10):
            while not begun:
                await asyncio.sleep(0.001)
        await _put(store, "second")
        assert len(begun) == 1
        assert await _kept(store) == ["first", "second"]
        may_end.set()
        await settling
        await _put(store, "third")
        assert await _kept(store) == ["third"]

    _run(tmp_path, work)
