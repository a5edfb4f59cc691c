"""What the log service keeps has a size and an age."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from pyfc.cloud.sls import aging
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.groups import Labels
from pyfc.cloud.sls.model import Logstore, Project
from pyfc.cloud.sls.store import Store
from pyfc.errors import InvalidArgument
from support import run_with

SIZE = 10_000
DAY = 86400
_FULL = """
CREATE TRIGGER no_room BEFORE INSERT ON groups WHEN NEW.topic = 'refused'
BEGIN SELECT RAISE(ROLLBACK, 'no room'); END
"""
"""Refuses one group, and its whole transaction with it, as SQLite does without room."""


def _run(path: Path, scenario: Callable[[Store], Awaitable[None]], most_bytes: int = 2**30, most_days: int = 7) -> None:
    run_with(lambda: Store(path / "sls.sqlite", most_bytes, most_days), scenario)


async def _logstore(store: Store, days: int = 30) -> Logstore:
    await store.put_project(Project("web", "", 0, 0), is_new=True)
    return await store.create_logstore("web", "access", {"ttl": days})


async def _put(store: Store, logstore: Logstore, count: int = 1) -> None:
    await asyncio.gather(*(store.put(logstore, Labels(), 1, bytes(SIZE)) for _ in range(count)))


async def _numbers(store: Store, logstore: Logstore) -> list[int]:
    return [each.number for each in await store.pull(logstore, 0, None, 10_000)]


def test_a_server_without_logs_has_no_file_of_them(tmp_path: Path) -> None:
    file = tmp_path / "sls.sqlite"

    async def before(store: Store) -> None:
        with pytest.raises(Fault, match="does not exist"):
            store.logstore("web", "access")
        assert not file.exists()
        logstore = await _logstore(store)
        number = await store.put(logstore, Labels(), 1, b"")
        assert number == store.newest > int(time.time()) * 1_000_000
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
        assert modes == dict.fromkeys(("sls.sqlite", "sls.sqlite-shm", "sls.sqlite-wal"), 0o600)

    async def after(store: Store) -> None:
        assert await _numbers(store, store.logstore("web", "access")) == [store.newest]

    _run(tmp_path, before)
    _run(tmp_path, after)


def test_a_damaged_file_is_told_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "sls.sqlite"
    file.write_bytes(b"no database" * 100)

    with pytest.raises(InvalidArgument, match=f"{file} cannot be opened"):
        Store(file, 2**30, 7)


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    async def scenario(store: Store) -> None:
        logstore = await _logstore(store)
        await _put(store, logstore, 500)
        first = await store.number_at(logstore, 0)
        assert first is not None
        left = await _numbers(store, logstore)

        assert SIZE * len(left) < 250 * SIZE + SIZE
        assert left == list(range(left[0], left[0] + len(left)))
        assert left[-1] + 1 == await store.end(logstore)
        assert left[0] == first

    _run(tmp_path, scenario, most_bytes=250 * SIZE)


def test_logs_that_could_not_be_kept_push_out_no_others(tmp_path: Path) -> None:
    async def scenario(store: Store) -> None:
        logstore = await _logstore(store)
        await _put(store, logstore, 10)
        kept = await _numbers(store, logstore)
        with closing(sqlite3.connect(tmp_path / "sls.sqlite")) as file:
            file.execute(_FULL)
            for _ in range(9):
                both = (store.put(logstore, Labels(topic), 1, bytes(SIZE)) for topic in ("", "refused"))
                assert all(isinstance(each, Fault) for each in await asyncio.gather(*both, return_exceptions=True))
            file.execute("DROP TRIGGER no_room")
        await _put(store, logstore, 2)

        found = await _numbers(store, logstore)
        assert (found[:-2], len(found)) == (kept, 12)

    _run(tmp_path, scenario, most_bytes=20 * SIZE)


def test_what_could_not_be_removed_still_counts(tmp_path: Path) -> None:
    async def scenario(store: Store) -> None:
        logstore = await _logstore(store)
        await _put(store, logstore, 20)
        with closing(sqlite3.connect(tmp_path / "sls.sqlite")) as file:
            file.execute(_FULL)
            with pytest.raises(Fault, match="no room"):
                await store.put(logstore, Labels("refused"), 1, bytes(SIZE))
            file.execute("DROP TRIGGER no_room")
        await _put(store, logstore)

        assert len(await _numbers(store, logstore)) == 1

    _run(tmp_path, scenario, most_bytes=20 * SIZE)


@pytest.mark.parametrize(("days", "most_days"), [(2, 7), (30, 2)])
def test_what_is_too_old_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, most_days: int) -> None:
    clock = time.time

    async def before(store: Store) -> None:
        await _put(store, await _logstore(store, days))

    async def after(store: Store) -> None:
        logstore = store.logstore("web", "access")
        old = await _numbers(store, logstore)
        await _put(store, logstore)
        assert len(await _numbers(store, logstore)) == 1
        assert old[0] not in await _numbers(store, logstore)

    _run(tmp_path, before, most_days=most_days)
    monkeypatch.setattr(time, "time", lambda: clock() + 2 * DAY + 60)
    _run(tmp_path, after, most_days=most_days)


def test_what_is_too_old_goes_also_when_nothing_is_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = time.time
    monkeypatch.setattr(aging, "_LONGEST", 0.02)

    async def before(store: Store) -> None:
        await _put(store, await _logstore(store, 2))
        monkeypatch.setattr(time, "time", lambda: clock() + DAY)
        await _put(store, store.logstore("web", "access"))
        monkeypatch.setattr(time, "time", lambda: clock() + 2 * DAY + 60)
        await _until(store, 1)

    async def after(store: Store) -> None:
        store.aging.watch()
        await _until(store, 1)
        monkeypatch.setattr(time, "time", lambda: clock() + 3 * DAY + 60)
        await _until(store, 0)
        async with asyncio.timeout(10):
            while store.aging.is_watching:  # nothing is kept, so nothing waits
                await asyncio.sleep(0.01)

    _run(tmp_path, before)
    _run(tmp_path, after)


async def _until(store: Store, count: int) -> None:
    async with asyncio.timeout(10):
        while len(await _numbers(store, store.logstore("web", "access"))) != count:
            await asyncio.sleep(0.01)


def test_a_clock_that_is_set_back_does_not_mix_up_cursors_and_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = time.time

    async def scenario(store: Store) -> None:
        logstore = await _logstore(store)
        await _put(store, logstore)
        monkeypatch.setattr(time, "time", lambda: clock() - DAY)
        await _put(store, logstore)
        first, second = await store.pull(logstore, 0, None, 10)
        assert second.received >= first.received

    _run(tmp_path, scenario)


def test_a_pull_is_not_larger_than_ten_megabytes(tmp_path: Path) -> None:
    async def scenario(store: Store) -> None:
        logstore = await _logstore(store)
        await asyncio.gather(*(store.put(logstore, Labels(), 1, bytes(size * 2**20)) for size in (6, 6, 6, 20)))
        sizes = []
        begin = 0
        while found := await store.pull(logstore, begin, None, 100):
            sizes.append(len(found))
            begin = found[-1].number + 1
        assert sizes == [1, 1, 1, 1]

    _run(tmp_path, scenario)
