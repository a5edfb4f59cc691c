"""A SQLite file on a machine that has no thread left."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyfc.errors import Unavailable
from pyfc.sqlite import Database, transaction


def commit(connection: sqlite3.Connection, jobs: Sequence[str]) -> Sequence[None]:
    with transaction(connection):
        connection.executemany("INSERT INTO words VALUES (?)", [(each,) for each in jobs])
    return [None] * len(jobs)


def opened(path: Path) -> Database[str, None]:
    return Database(path, "dictionary", "CREATE TABLE words (word TEXT);", 1, commit)


async def kept(database: Database[str, None], word: str) -> list[tuple[str]]:
    await database.write(word)
    return await database.read("SELECT word FROM words")


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_file_that_gets_no_thread_is_refused_with_a_reason_and_opens_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(Unavailable, match="no thread left for the dictionary's writer"):
            opened(tmp_path / "words.sqlite")

    assert asyncio.run(kept(opened(tmp_path / "words.sqlite"), "again")) == [("again",)]


def test_an_open_file_is_written_and_read_once_without_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = opened(tmp_path / "words.sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        rows = asyncio.run(kept(database, "once"))
    assert rows == [("once",)]
