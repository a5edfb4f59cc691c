"""Files that people put into a bucket's folder are objects, and what becomes of them is told once."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pyfc.cloud.oss import dropped, watching
from pyfc.cloud.oss.appends import Appends
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.files import key_of
from pyfc.cloud.oss.model import Cause, Description, Place
from pyfc.cloud.oss.store import Store
from pyfc.cloud.oss.watching import Watcher
from pyfc.host.inotify import Inotify
from pyfc.model import bucket
from pyfc.model.bucket import EVENTS, Rule
from support import DEADLINE, wait_until

BY = Cause(bucket.PUT, "OWN")
PUT, DELETE = bucket.PUT, bucket.DELETE


class Bench:
    """A store with a bucket whose folder is watched."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "buckets", folder / "oss.sqlite")
        self.root = folder / "buckets" / "bkt"
        self.store.have("bkt")
        self.store.index.outbox.want({"bkt": [Rule("bkt", EVENTS)]})
        self.watcher = Watcher(self.store)

    async def events(self) -> list[tuple[str, str]]:
        return [(each.event, each.key) for _, each in await self.store.index.outbox.rows(0, 10_000)]

    async def until(self, *expected: tuple[str, str]) -> None:
        """Wait for these events, in any order, and for no more."""
        try:
            async with asyncio.timeout(DEADLINE):
                while sorted(await self.events()) != sorted(expected):
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(await self.events()) from None

    async def settled(self) -> None:
        """Wait until a file that is dropped now has been seen: what came before it has been too."""
        name = f"end{time.monotonic_ns()}"
        (self.root / name).write_bytes(b"")
        async with asyncio.timeout(DEADLINE):
            while (PUT, name) not in await self.events():
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)

    async def events_but_ends(self) -> list[tuple[str, str]]:
        await self.settled()
        return [each for each in await self.events() if not each[1].startswith("end")]

    async def put(self, key: str, content: bytes = b"x") -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        await self.store.put(Place("bkt", key), pieces(), Description(), cause=BY)


def run(folder: Path, work: Callable[[Bench], Awaitable[None]], *, starts: bool = True) -> None:
    async def whole() -> None:
        bench = Bench(folder)
        try:
            if starts:
                bench.watcher.start()
            await work(bench)
        finally:
            await bench.watcher.close()
            await bench.store.close()

    asyncio.run(whole())


def test_a_file_that_is_closed_or_renamed_into_the_folder_is_an_object_and_an_event(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        begun = time.monotonic()
        (bench.root / "a.png").write_bytes(b"hello")
        await bench.until((PUT, "a.png"))
        assert time.monotonic() - begun < 1.0
        (tmp_path / "outside").write_bytes(b"hello")
        (tmp_path / "outside").rename(bench.root / "b.txt")
        await bench.until((PUT, "a.png"), (PUT, "b.txt"))
        found = await bench.store.index.object("bkt", "a.png")
        assert found is not None
        assert (found.content.size, found.content.etag) == (5, "5D41402ABC4B2A76B9719D911017C592")
        assert found.description.headers == {"content-type": "image/png"}
        ((_, first), *_) = await bench.store.index.outbox.rows(0, 1)
        assert (first.size, first.delta, first.etag, first.mime, len(first.request_id)) == (
            5, 5, "5D41402ABC4B2A76B9719D911017C592", "image/png", 24,
        )  # fmt: skip

    run(tmp_path, work)


def test_a_file_that_is_written_for_long_is_one_event_with_its_last_size(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        (bench.root / "sub").mkdir()
        for path in (bench.root / "slow", bench.root / "sub" / "slow"):
            with path.open("wb") as file:
                for _ in range(5):
                    file.write(b"x" * 1000)
                    file.flush()
                    await bench.settled()
                assert await bench.events_but_ends() == [(PUT, "slow")] * (path.parent != bench.root)
        await bench.settled()
        sizes = [each.size for _, each in await bench.store.index.outbox.rows(0, 100) if "slow" in each.key]
        assert sizes == [5000, 5000]

    run(tmp_path, work)


def test_what_the_store_writes_itself_makes_exactly_its_own_event(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"more"

        await asyncio.gather(*(bench.put(f"{number % 10}/{number}") for number in range(50)))
        await bench.put("0/0", b"other")
        appends = Appends(bench.store)
        for position in (0, 4, 8):
            await appends.put(Place("bkt", "log"), position, pieces(), Description(), cause=Cause(bucket.APPEND))
        await bench.store.delete("bkt", "0/0", Cause(DELETE))
        expected = [(PUT, f"{number % 10}/{number}") for number in range(50)]
        expected += [(PUT, "0/0"), *[(bucket.APPEND, "log")] * 3, (DELETE, "0/0")]
        assert sorted(await bench.events_but_ends()) == sorted(expected)

    run(tmp_path, work)


def test_small_files_wait_neither_for_one_of_100_gb_nor_does_the_servers_end(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        with (bench.root / "huge").open("wb") as file:
            file.truncate(100 * 1024**3)
        (bench.root / "small").write_bytes(b"x")
        await bench.until((PUT, "small"))
        (bench.root / "later").write_bytes(b"x")
        await bench.until((PUT, "small"), (PUT, "later"))

    began = time.monotonic()
    run(tmp_path, work)
    assert time.monotonic() - began < DEADLINE


def test_changes_removals_and_renames_by_hand_are_told(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.put("a", b"hello")
        (bench.root / "a").write_bytes(b"hello, world")
        await bench.until((PUT, "a"), (PUT, "a"))
        (bench.root / "a").rename(bench.root / "b")
        await bench.until((PUT, "a"), (PUT, "a"), (DELETE, "a"), (PUT, "b"))
        (bench.root / "b").unlink()
        await bench.until((PUT, "a"), (PUT, "a"), (DELETE, "a"), (PUT, "b"), (DELETE, "b"))
        deltas = [each.delta for _, each in await bench.store.index.outbox.rows(0, 100)]
        assert sorted(deltas) == [-12, -12, 5, 7, 12]
        assert await bench.store.index.objects("bkt", b"", b"", 10) == []

    run(tmp_path, work)


def test_folders_in_folders_are_watched_from_their_first_file_on_and_when_they_move(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        keys = [f"{one}/{two}/{three}" for one in "abcde" for two in "fghij" for three in "klmno"]
        for key in keys:
            (bench.root / key).parent.mkdir(parents=True, exist_ok=True)
            (bench.root / key).write_bytes(b"x")
        await bench.until(*[(PUT, key) for key in keys])
        (bench.root / "a").rename(bench.root / "z")
        moved = [key for key in keys if key.startswith("a/")]
        expected = [*[(PUT, key) for key in keys], *[(DELETE, key) for key in moved]]
        expected += [(PUT, f"z{key[1:]}") for key in moved]
        await bench.until(*expected)
        (bench.root / "z" / "f" / "new").write_bytes(b"x")
        await bench.until(*expected, (PUT, "z/f/new"))
        shutil.rmtree(bench.root / "b")
        gone = [(DELETE, key) for key in keys if key.startswith("b/")]
        await bench.until(*expected, (PUT, "z/f/new"), *gone)

    run(tmp_path, work)


@pytest.mark.parametrize(
    "path", [".hidden", "a/.b.swp", "a~", "a/b.part", "c.crdownload", ".pyfc/new/x", ".pyfc", "x" * 300, "ab\udcff", ""]
)
def test_what_programs_write_for_themselves_is_no_object(path: str) -> None:
    assert key_of(path) is None


@pytest.mark.parametrize("path", ["a", "a/b.txt", "ü/ß", ".git/config", "part", "a.partial"])
def test_every_other_file_is(path: str) -> None:
    assert key_of(path) == path


def test_temporaries_links_and_pipes_are_neither_told_nor_listed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_bytes(b"secret")

    async def work(bench: Bench) -> None:
        for name in (".hidden", "a~", "a.part"):
            (bench.root / name).write_bytes(b"x")
        (bench.root / "link").symlink_to(secret / "file")
        (bench.root / "folder").symlink_to(secret)
        os.mkfifo(bench.root / "pipe")
        (secret / "other").write_bytes(b"x")
        (bench.root / "a.part").rename(bench.root / "whole")
        assert await bench.events_but_ends() == [(PUT, "whole")]
        await bench.put("was")
        (bench.root / "was").unlink()
        (bench.root / "was").symlink_to(secret / "file")
        assert (await bench.events_but_ends())[1:] == [(PUT, "was"), (DELETE, "was")]

    run(tmp_path, work)


def test_what_changed_while_the_server_was_down_fires_once_after_the_start(tmp_path: Path) -> None:
    async def before(bench: Bench) -> None:
        await bench.put("kept")
        await bench.put("changed")
        await bench.put("gone/deep")

    run(tmp_path, before, starts=False)
    root = tmp_path / "buckets" / "bkt"
    (root / "changed").write_bytes(b"other")
    shutil.rmtree(root / "gone")
    (root / "new" / "deep").mkdir(parents=True)
    (root / "new" / "deep" / "file").write_bytes(b"x")
    expected = [(PUT, "kept"), (PUT, "changed"), (PUT, "gone/deep"),
                (PUT, "changed"), (DELETE, "gone/deep"), (PUT, "new/deep/file")]  # fmt: skip

    async def after(bench: Bench) -> None:
        await bench.until(*expected)

    run(tmp_path, after)

    async def again(bench: Bench) -> None:
        assert sorted(await bench.events_but_ends()) == sorted(expected)

    run(tmp_path, again)


def test_what_was_in_a_folder_before_it_became_a_bucket_is_listed_and_no_event(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "old").write_bytes(b"x")
    wait_until(lambda: time.time() > (folder / "old").stat().st_ctime + 0.05, "a bucket that is younger than its file")

    async def work(bench: Bench) -> None:
        bench.store.index.outbox.want({"photos": [Rule("photos", EVENTS)]})
        await bench.store.create("photos", folder=folder)
        async with asyncio.timeout(DEADLINE):
            while not await bench.store.index.objects("photos", b"", b"", 10):
                await asyncio.sleep(0.005)
        (folder / "new").write_bytes(b"x")
        await bench.until((PUT, "new"))

    run(tmp_path, work)


def test_too_many_notices_at_once_lead_to_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        await bench.put("first")
        await bench.settled()
        read = Inotify.read
        monkeypatch.setattr(
            Inotify, "read", lambda self: [each._replace(watch=-1, mask=0x4000) for each in read(self)][:1]
        )
        for number in range(20):
            (bench.root / f"k{number}").write_bytes(b"x")
        (bench.root / "first").unlink()
        expected = {*[(PUT, f"k{number}") for number in range(20)], (DELETE, "first")}
        async with asyncio.timeout(DEADLINE):
            while not expected <= set(await bench.events()):
                await asyncio.sleep(0.005)

    run(tmp_path, work)


def test_without_the_kernels_notices_folders_are_compared_and_files_count_when_they_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(_: Inotify) -> None:
        raise OSError("there is no inotify here")

    monkeypatch.setattr(Inotify, "__init__", none)
    monkeypatch.setattr(watching, "_SCAN", 0.05)
    monkeypatch.setattr(watching, "_AGAIN", 0.05)
    monkeypatch.setattr(dropped.fcntl, "F_SETLEASE", None)
    monkeypatch.setattr(dropped, "_SETTLED", 0.5)

    async def work(bench: Bench) -> None:
        with (bench.root / "slow").open("wb") as file:
            for _ in range(8):
                file.write(b"x" * 100)
                file.flush()
                await asyncio.sleep(0.1)
        await bench.until((PUT, "slow"))
        (bench.root / "slow").unlink()
        await bench.until((PUT, "slow"), (DELETE, "slow"))
        assert [each.size for _, each in await bench.store.index.outbox.rows(0, 9)] == [800, 0]

    run(tmp_path, work)
    assert "there is no inotify here" in caplog.text


def test_a_bucket_with_files_of_people_is_not_deleted(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        (bench.root / "deep").mkdir()
        (bench.root / "deep" / "file").write_bytes(b"x")
        with pytest.raises(Fault, match="not empty"):
            await bench.store.delete_bucket(bench.store.bucket("bkt"))
        (bench.root / "deep" / "file").rename(bench.root / "deep" / ".hidden")
        await bench.store.delete_bucket(bench.store.bucket("bkt"))
        assert (bench.root / "deep" / ".hidden").exists(), "what is no object stays"
        with pytest.raises(Fault, match="does not exist"):
            bench.store.bucket("bkt")

    run(tmp_path, work, starts=False)
