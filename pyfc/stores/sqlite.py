"""Store in one SQLite file (pyfc/sqlite.py)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pyfc.data.version import STORE_TABLES, VERSION
from pyfc.errors import Conflict, InvalidArgument, PyfcError
from pyfc.sqlite import Database, transaction
from pyfc.stores.interface import NOTHING, Change, Entry
from pyfc.stores.watching import Watches

_END = "\U0010ffff"
"""Comes after every character of a key."""


class _Job(NamedTuple):
    values: Mapping[str, bytes | None]
    expect: Mapping[str, int]


class _Outcome(NamedTuple):
    revision: int
    changes: Sequence[Change]


class SqliteStore:
    """See interface.Store. Opening raises InvalidArgument for a file that is none of ours."""

    def __init__(self, path: Path) -> None:
        self._watches = Watches()
        try:
            self._database = Database(path, "store", STORE_TABLES, VERSION, _commit, self._tell)
        except sqlite3.Error as error:
            raise InvalidArgument(message=f"the store {path} can not be opened: {error}") from error

    def _tell(self, outcome: _Outcome) -> None:
        self._watches.tell(outcome.changes)

    async def get(self, key: str) -> Entry | None:
        """See Store."""
        found = await self._database.read("SELECT key, value, revision FROM entries WHERE key = ?", (key,))
        return Entry(*found[0]) if found else None

    async def list(self, prefix: str, *, after: str = "", limit: int = 100) -> Sequence[Entry]:
        """See Store."""
        where = "key > ? AND key < ?" if after >= prefix else "key >= ? AND key < ?"
        query = f"SELECT key, value, revision FROM entries WHERE {where} ORDER BY key LIMIT ?"  # noqa: S608  no input
        return [Entry(*row) for row in await self._database.read(query, (max(prefix, after), prefix + _END, limit))]

    async def write(self, values: Mapping[str, bytes | None], expect: Mapping[str, int] = NOTHING) -> int:
        """See Store."""
        return (await self._database.write(_Job(values, expect))).revision

    def watch(self, prefix: str) -> AsyncIterator[Sequence[Change]]:
        """See Store."""
        return self._watches.add(prefix)

    async def close(self) -> None:
        """See Store."""
        await self._database.close()
        self._watches.end()


def entries_of(path: Path) -> dict[str, bytes]:
    """Every key of a store with its value, while a server may use it; nothing is written. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
            return {}
        return dict(connection.execute("SELECT key, value FROM entries"))


def _commit(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> Sequence[_Outcome | PyfcError]:
    outcomes: list[_Outcome | PyfcError] = []
    with transaction(connection):
        (revision,) = connection.execute("SELECT revision FROM counter").fetchone()
        for job in jobs:
            wrong = _unexpected(connection, job.expect)
            if wrong:
                outcomes.append(Conflict(message=f"'{wrong}' was changed by somebody else: read it again"))
                continue
            changes = _apply(connection, job.values, revision + 1)
            revision += bool(changes)
            outcomes.append(_Outcome(revision if changes else 0, changes))
        connection.execute("UPDATE counter SET revision = ?", (revision,))
    return outcomes


def _unexpected(connection: sqlite3.Connection, expect: Mapping[str, int]) -> str:
    """The first key that has another revision than expected; '' if there is none."""
    for key, revision in expect.items():
        row = connection.execute("SELECT revision FROM entries WHERE key = ?", (key,)).fetchone()
        if revision != (row[0] if row else 0):
            return key
    return ""


def _apply(connection: sqlite3.Connection, values: Mapping[str, bytes | None], revision: int) -> Sequence[Change]:
    changes = []
    for key, value in values.items():
        if value is None:
            cursor = connection.execute("DELETE FROM entries WHERE key = ?", (key,))
        else:
            cursor = connection.execute(
                "INSERT INTO entries VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
                (key, value, revision),
            )
        if cursor.rowcount:
            changes.append(Change(key, value, revision))
    return changes
