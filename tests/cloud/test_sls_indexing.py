"""The full-text index is made of what the log service keeps, and made again when it is of no use."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from pyfc.cloud.sls import indexing, searching
from pyfc.cloud.sls.groups import Labels, Log, write_group
from pyfc.cloud.sls.indexing import Index, remove, seen_of
from pyfc.cloud.sls.model import Project
from pyfc.cloud.sls.searching import Search, histogram, page
from pyfc.cloud.sls.store import Store
from pyfc.cloud.sls.view import Snapshot, View

LOGS = [Log(1000 + number, 0, [("message", f"line {number}")]) for number in range(10)]
SEARCH = Search(1, 0, 2000, "line")


def _put(path: Path, groups: int, most_bytes: int = 2**30) -> None:
    """Groups of ten logs into a file of the log service."""

    async def put() -> None:
        store = Store(path / "sls.sqlite", most_bytes, 7)
        if not store.projects:
            await store.put_project(Project("web", "", 0, 0), is_new=True)
            await store.create_logstore("web", "access", {"ttl": 30})
        data = write_group(Labels(), LOGS)
        logstore = store.logstore("web", "access")
        await asyncio.gather(*(store.put(logstore, Labels(), len(LOGS), data) for _ in range(groups)))
        await store.close()

    asyncio.run(put())


def _open(path: Path) -> Index:
    return Index(sqlite3.connect(path / "sls.sqlite", isolation_level=None), path / "index.sqlite")


def _close(index: Index) -> None:
    index.close()
    index.data.close()


def _page(index: Index, search: Search, skipped: int, most: int, *, newest_first: bool) -> list[Mapping[str, str]]:
    """What is found in the index alone."""
    snapshot = Snapshot(index.connection, index.data, 0, 0, is_complete=True)
    return page(snapshot, search, skipped, most, newest_first=newest_first)


def _view(path: Path) -> View:
    return View(sqlite3.connect(path / "sls.sqlite", isolation_level=None), path / "index.sqlite")


def _count(path: Path) -> int:
    """How many logs are found when all is indexed."""
    index = _open(path)
    while index.step():
        pass
    found = len(_page(index, SEARCH, 0, 10_000, newest_first=False))
    _close(index)
    return found


def test_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_STEP", 1000)
    _put(tmp_path, 20)
    index = _open(tmp_path)
    index.step()
    assert seen_of(index.connection) < index.data.execute("SELECT max(number) FROM groups").fetchone()[0]
    _close(index)

    assert _count(tmp_path) == 200
    _put(tmp_path, 1)
    assert _count(tmp_path) == 210


def test_one_of_another_file_is_made_again(tmp_path: Path) -> None:
    _put(tmp_path, 2)
    assert _count(tmp_path) == 20
    with sqlite3.connect(tmp_path / "index.sqlite") as connection:
        connection.execute("UPDATE progress SET grp = grp + 1000000")
    connection.close()

    assert _count(tmp_path) == 20


def test_one_of_another_version_is_made_again(tmp_path: Path) -> None:
    _put(tmp_path, 2)
    _count(tmp_path)
    with sqlite3.connect(tmp_path / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    assert _count(tmp_path) == 20


def test_logs_that_are_gone_are_found_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_LEAST", 100)
    _put(tmp_path, 300)
    assert _count(tmp_path) == 3000
    _put(tmp_path, 1, most_bytes=100_000)
    left = _count(tmp_path)
    with sqlite3.connect(tmp_path / "sls.sqlite") as connection:
        (kept,) = connection.execute("SELECT sum(logs) FROM groups").fetchone()
    connection.close()
    index = _open(tmp_path)
    (rows,) = index.connection.execute("SELECT line FROM progress").fetchone()
    _close(index)

    assert left == kept < 3000
    assert rows < 3000, "it was not made anew"


@pytest.mark.parametrize("query", ["line", "7", "line not 3", "*"])
def test_many_logs_are_read_in_the_order_of_their_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    _put(tmp_path, 5)
    _count(tmp_path)
    index = _open(tmp_path)
    by_words = _page(index, SEARCH._replace(query=query), 3, 20, newest_first=True)
    monkeypatch.setattr("pyfc.cloud.sls.searching._MANY", 0)
    by_time = _page(index, SEARCH._replace(query=query), 3, 20, newest_first=True)
    _close(index)

    assert by_words == by_time
    assert by_words


def test_the_index_is_asked_before_the_logs(tmp_path: Path) -> None:
    _put(tmp_path, 1)
    index = _open(tmp_path)
    query = f"EXPLAIN QUERY PLAN {searching._BY_WORDS.format('DESC')}"
    plan = [row[3] for row in index.connection.execute(query, ("line", 1, 0, 2000))]
    _close(index)

    assert plan[0].startswith("SCAN words"), plan


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("query", ["line", "7 or 3", "*"])
def test_what_is_not_indexed_yet_is_found_in_the_same_order(tmp_path: Path, query: str, newest_first: bool) -> None:
    _put(tmp_path, 3)
    _count(tmp_path)
    _put(tmp_path, 2)
    view = _view(tmp_path)
    search = SEARCH._replace(query=query)
    with view.snapshot(1, 2**62) as snapshot:
        half = page(snapshot, search, 3, 20, newest_first=newest_first)
        counts = histogram(snapshot, search._replace(begin=1000, end=1010), 5)
        assert snapshot.is_complete
    assert _count(tmp_path) == 50
    with view.snapshot(1, 2**62) as snapshot:
        whole = page(snapshot, search, 3, 20, newest_first=newest_first)
        assert histogram(snapshot, search._replace(begin=1000, end=1010), 5) == counts
    view.close()
    view.data.close()

    assert half == whole
    assert half


def test_without_an_index_everything_is_looked_through(tmp_path: Path) -> None:
    _put(tmp_path, 3)
    view = _view(tmp_path)
    with view.snapshot(1, 2**62) as snapshot:
        assert len(page(snapshot, SEARCH, 0, 100, newest_first=True)) == 30
    view.close()
    view.data.close()


def test_an_index_that_lags_far_behind_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfc.cloud.sls.view._MOST", 1000)
    monkeypatch.setattr("pyfc.cloud.sls.view._PATIENCE", 0.1)
    _put(tmp_path, 3)
    _count(tmp_path)
    _put(tmp_path, 30)
    view = _view(tmp_path)
    with view.snapshot(1, 2**62) as snapshot:
        assert not snapshot.is_complete
        assert len(page(snapshot, SEARCH, 0, 1000, newest_first=True)) == 30
    _count(tmp_path)
    with view.snapshot(1, 2**62) as snapshot:
        assert snapshot.is_complete
        assert len(page(snapshot, SEARCH, 0, 1000, newest_first=True)) == 330
    view.close()
    view.data.close()


def test_one_that_was_removed_is_made_again_by_who_writes_it(tmp_path: Path) -> None:
    _put(tmp_path, 3)
    index = _open(tmp_path)
    index.step()
    remove(tmp_path / "index.sqlite")
    while index.step():
        pass
    _close(index)

    view = _view(tmp_path)
    with view.snapshot(1, 0) as snapshot:
        assert len(page(snapshot, SEARCH, 0, 1000, newest_first=True)) == 30
    view.close()
    view.data.close()
