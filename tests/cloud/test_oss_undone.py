"""What an operation has changed in a bucket's folder is undone where the index cannot be written: the disk is full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from pyfc.cloud.oss import unwritten
from pyfc.cloud.oss.appends import Appends
from pyfc.cloud.oss.declared import declare
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.index import begin_append
from pyfc.cloud.oss.model import APPENDABLE, Cause, Description, Object, Place
from pyfc.cloud.oss.store import Store, home_of
from pyfc.cloud.oss.uploads import Uploads
from pyfc.errors import Unavailable
from pyfc.model.bucket import APPEND, DELETE, PART, PUT, UPDATE_META

MEMORY = Path("/dev/shm")
"""Most often another disk than that of temporary files."""
LARGE = b"large" * 20_000
"""More than is held until its file is written."""
Operation = Callable[[Store], Awaitable[object]]


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _put(key: str, content: bytes) -> Operation:
    return lambda store: store.put(Place("bkt", key), _pieces(content), Description(), cause=Cause(PUT))


def _append(content: bytes, position: int) -> Operation:
    return lambda store: Appends(store).put(
        Place("bkt", "in/log"), position, _pieces(content), Description(), cause=Cause(APPEND)
    )


def _delete(key: str) -> Operation:
    return lambda store: store.delete("bkt", key, Cause(DELETE))


async def _tag(store: Store) -> object:
    return await store.describe("bkt", "in/k", lambda before: before._replace(tags={"a": "b"}), Cause(UPDATE_META))


async def _part(store: Store) -> object:
    (upload,) = await store.index.uploads("bkt")
    return await Uploads(store).put(Place("bkt", "u"), upload.id, 1, _pieces(b"other"), cause=Cause(PART))


@contextlib.contextmanager
def _full(index: Path) -> Iterator[None]:
    """The index refuses what is written to it, and its whole transaction, as it does without room."""
    refuses = "BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END"
    changes = {"objects": ("INSERT", "DELETE"), "parts": ("INSERT",), "buckets": ("INSERT",), "appends": ("DELETE",)}
    names = [(f"{table}_{change}", change, table) for table, each in changes.items() for change in each]
    with contextlib.closing(sqlite3.connect(index)) as connection:
        for name, change, table in names:
            connection.execute(f"CREATE TRIGGER {name} BEFORE {change} ON {table} {refuses}")
        yield
        for name, _, _ in names:
            connection.execute(f"DROP TRIGGER {name}")


def _seen(folder: Path) -> dict[str, tuple[bytes | None, int]]:
    """Everything below a folder, and when the files were changed."""
    return {
        str(each.relative_to(folder)): (each.read_bytes(), each.stat().st_mtime_ns) if each.is_file() else (None, 0)
        for each in folder.rglob("*")
    }


async def _head(store: Store, key: str) -> Object | None:
    with contextlib.suppress(Fault):
        return await store.head("bkt", key)
    return None


CASES = {
    "a new object": _put("new/below/k", b"new"),
    "a new large object": _put("new/k", LARGE),
    "a new object aside": _put("a//b", b"new"),
    "another content": _put("in/k", b"other"),
    "another large content": _put("in/k", LARGE),
    "another content aside": _put("x//y", b"other"),
    "what lies beside a folder of its name": _put("in", b"other"),
    "an append": _append(b" more", 5),
    "a delete": _delete("in/k"),
    "the delete of what is alone in its folder": _delete("alone/below/k"),
    "a delete aside": _delete("x//y"),
    "a part": _part,
    "tags": _tag,
}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another disk."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(params=["the store's own", "a project's", "a project's on another disk"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """What the bucket's folder lies in; None for one of the store's own."""
    if request.param == "a project's on another disk":
        found: Path = request.getfixturevalue("elsewhere")
        return found
    return tmp_path if request.param == "a project's" else None


@pytest.mark.parametrize("operation", CASES.values(), ids=CASES)
def test_what_cannot_be_written_down_has_changed_nothing_and_works_later(
    tmp_path: Path, operation: Operation, where: Path | None
) -> None:
    home = tmp_path / "buckets" / "bkt"
    folder = where / "bkt" if where is not None else home

    async def work() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        if where is None:
            await store.create("bkt")
        else:
            folder.mkdir()
            await declare(store, {"bkt": folder})
        for each in (_put("in/k", b"k"), _put("alone/below/k", b"k"), _put("x//y", b"y"), _put("in", b"aside")):
            await each(store)
        await _append(b"whole", 0)(store)
        upload = await Uploads(store).begin(Place("bkt", "u"), Description(), Cause(PART))
        await Uploads(store).put(Place("bkt", "u"), upload.id, 1, _pieces(b"first"), cause=Cause(PART))
        keys = ("new/below/k", "new/k", "a//b", "in/k", "x//y", "in", "in/log", "alone/below/k")
        files, objects = _seen(folder), [await _head(store, key) for key in keys]
        told = store.index.outbox.recent("bkt")

        with _full(tmp_path / "oss.sqlite"):
            for _ in range(2):
                with pytest.raises(Fault) as caught:
                    await operation(store)
                assert (caught.value.code, "disk is full" in caught.value.message) == ("ServiceUnavailable", True)
                assert _seen(folder) == files
                assert [await _head(store, key) for key in keys] == objects
                assert store.index.outbox.recent("bkt") == told

        await operation(store)
        assert len(store.index.outbox.recent("bkt")) == len(told) + 1
        log = await _head(store, "in/log")
        assert log is not None
        assert log.type == APPENDABLE
        assert list((home_of(tmp_path / "buckets", "bkt") if where else home).glob(".pyfc/new/*")) == []
        assert list(folder.rglob("*.part")) == []
        await store.close()

    asyncio.run(work())


def test_what_a_server_that_was_killed_has_left_on_another_disk_goes_at_the_next_start(
    tmp_path: Path, elsewhere: Path
) -> None:
    (elsewhere / "bkt" / "in").mkdir(parents=True)
    for name in (f"in/.{'0af3' * 8}.part", "in/.mine.part", f"in/{'0af3' * 8}.part", "in/k"):
        (elsewhere / "bkt" / name).write_text("x")

    async def work() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        await declare(store, {"bkt": elsewhere / "bkt"})
        await store.close()

    asyncio.run(work())
    assert sorted(each.name for each in (elsewhere / "bkt" / "in").iterdir()) == [
        ".mine.part",
        f"{'0af3' * 8}.part",
        "k",
    ]


def test_a_disk_without_second_names_of_files_takes_objects_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    async def work() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        await store.create("bkt")
        for content in (b"first", b"second"):
            await _put("k", content)(store)
        found, descriptor = await store.open("bkt", "k")
        os.close(descriptor)
        assert found.content.size == len(b"second")
        await store.close()

    monkeypatch.setattr(os, "link", link)
    asyncio.run(work())


def test_a_bucket_that_a_trigger_names_while_there_is_no_room_is_there_later(tmp_path: Path) -> None:
    async def first() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        await store.create("other")
        with _full(tmp_path / "oss.sqlite"):
            store.have("bkt")
            with pytest.raises(Fault) as caught:
                await _put("k", b"refused")(store)
            assert caught.value.code == "ServiceUnavailable"
        await _put("k", b"content")(store)
        await store.close()

    async def second() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        assert [bucket.name for bucket in store.buckets()] == ["bkt", "other"]
        assert (await store.head("bkt", "k")).content.size == len(b"content")
        await store.close()

    asyncio.run(first())
    asyncio.run(second())


def test_a_bucket_that_nothing_is_put_into_is_written_down_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unwritten, "back_off", lambda _: 0.01)

    async def work() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        await store.create("other")
        with _full(tmp_path / "oss.sqlite"):
            store.have("bkt")
            async with asyncio.timeout(20):
                while "not written down yet" not in caplog.text:
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            while not await store.index.read("SELECT 1 FROM buckets WHERE name = 'bkt'"):
                await asyncio.sleep(0.01)
        await store.close()

    asyncio.run(work())


def test_a_start_without_room_cuts_what_was_being_appended_and_forgets_it_later(tmp_path: Path) -> None:
    file = tmp_path / "buckets" / "bkt" / "in" / "log"

    async def begun() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        await store.create("bkt")
        await _append(b"whole", 0)(store)
        await store.index.write(lambda connection: begin_append(connection, "bkt", "in/log"))
        await store.close()

    async def again() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        with _full(tmp_path / "oss.sqlite"):
            await Appends(store).start()
        assert await store.index.appends() == [("bkt", "in/log")]
        assert (file.read_bytes(), (await store.head("bkt", "in/log")).type) == (b"whole", APPENDABLE)
        await Appends(store).start()
        assert await store.index.appends() == []
        await store.close()

    asyncio.run(begun())
    with file.open("ab") as opened:
        opened.write(b"ha")
    asyncio.run(again())


def test_a_folder_of_a_project_that_cannot_be_written_down_is_a_problem_that_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        store = Store(tmp_path / "buckets", tmp_path / "oss.sqlite")
        await store.create("other")
        with _full(tmp_path / "oss.sqlite"), pytest.raises(Unavailable, match="disk is full"):
            await declare(store, {"bkt": tmp_path / "photos"})
        await declare(store, {"bkt": tmp_path / "photos"})
        assert store.bucket("bkt").folder == str(tmp_path / "photos")
        await store.close()

    asyncio.run(work())
