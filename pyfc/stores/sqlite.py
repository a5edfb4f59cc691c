"""Store in one SQLite file.

1. Writes are durable before they are answered: WAL with synchronous=FULL. Those that wait meanwhile share the next
   commit, so that a hundred at once cost a few of them.
2. One thread writes, another reads, each with a connection of its own: a reader sees what was committed and waits for
   nobody.
3. A file of a newer schema is refused, not touched.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pyfc.errors import Conflict, Internal, InvalidArgument, PyfcError, Unavailable
from pyfc.stores.interface import NOTHING, Change, Entry
from pyfc.stores.watching import Watches

_log = logging.getLogger(__name__)
_SCHEMA = 1
_TABLES = """
CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (revision INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
_END = "\U0010ffff"
"""Comes after every character of a key."""


_Outcome = PyfcError | tuple[int, Sequence[Change]]
_Outcomes = list[_Outcome]


class _Job(NamedTuple):
    values: Mapping[str, bytes | None]
    expect: Mapping[str, int]
    done: asyncio.Future[int]


class SqliteStore:
    """See interface.Store. Opening raises InvalidArgument for a file that is none of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = ThreadPoolExecutor(1, "pyfc-store-writer")
        self._reader = ThreadPoolExecutor(1, "pyfc-store-reader")
        self._watches = Watches()
        self._waiting: list[_Job] = []
        self._flushing: asyncio.Task[None] | None = None
        try:
            self._write_connection = self._open()
            self._read_connection = self._open()
        except sqlite3.Error as error:
            raise InvalidArgument(message=f"the store {path} can not be opened: {error}") from error
        path.chmod(0o600)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=5000")
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if schema > _SCHEMA:
            raise InvalidArgument(message=f"the store {self._path} was written by a newer pyfc: use that one")
        if schema < _SCHEMA:
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={_SCHEMA}; COMMIT;")
        return connection

    async def get(self, key: str) -> Entry | None:
        """See Store."""
        found = await self._read("SELECT key, value, revision FROM entries WHERE key = ?", (key,))
        return found[0] if found else None

    async def list(self, prefix: str, *, after: str = "", limit: int = 100) -> Sequence[Entry]:
        """See Store."""
        where = "key > ? AND key < ?" if after >= prefix else "key >= ? AND key < ?"
        query = f"SELECT key, value, revision FROM entries WHERE {where} ORDER BY key LIMIT ?"  # noqa: S608  no input
        return await self._read(query, (max(prefix, after), prefix + _END, limit))

    async def _read(self, query: str, arguments: tuple[object, ...]) -> Sequence[Entry]:
        def run() -> Sequence[Entry]:
            return [Entry(*row) for row in self._read_connection.execute(query, arguments)]

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, run)
        except sqlite3.Error as error:
            raise Unavailable(message=f"the store can not be read: {error}") from error

    async def write(self, values: Mapping[str, bytes | None], expect: Mapping[str, int] = NOTHING) -> int:
        """See Store."""
        loop = asyncio.get_running_loop()
        job = _Job(values, expect, loop.create_future())
        self._waiting.append(job)
        if self._flushing is None:
            self._flushing = loop.create_task(self._flush())
        return await job.done

    async def _flush(self) -> None:
        """Commit whatever waits, until nothing does."""
        while self._waiting:
            jobs, self._waiting = self._waiting, []
            outcomes: Sequence[_Outcome]
            try:
                outcomes = await asyncio.get_running_loop().run_in_executor(self._writer, self._commit, jobs)
            except sqlite3.Error as error:
                outcomes = [Unavailable(message=f"the store can not be written: {error}")] * len(jobs)
            except Exception:
                _log.exception("a commit of the store has failed")
                outcomes = [Internal(detail="see the server's log")] * len(jobs)
            for job, outcome in zip(jobs, outcomes, strict=True):
                if isinstance(outcome, PyfcError):
                    if not job.done.cancelled():
                        job.done.set_exception(outcome)
                    continue
                revision, changes = outcome
                self._watches.tell(changes)
                if not job.done.cancelled():
                    job.done.set_result(revision)
        self._flushing = None

    def _commit(self, jobs: Sequence[_Job]) -> Sequence[_Outcome]:
        connection = self._write_connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            (revision,) = connection.execute("SELECT revision FROM counter").fetchone()
            outcomes: _Outcomes = []
            for job in jobs:
                wrong = self._unexpected(job.expect)
                if wrong:
                    outcomes.append(Conflict(message=f"'{wrong}' was changed by somebody else: read it again"))
                    continue
                revision += 1
                outcomes.append((revision, self._apply(job.values, revision)))
            connection.execute("UPDATE counter SET revision = ?", (revision,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _unexpected(self, expect: Mapping[str, int]) -> str:
        """The first key that has another revision than expected; '' if there is none."""
        for key, revision in expect.items():
            row = self._write_connection.execute("SELECT revision FROM entries WHERE key = ?", (key,)).fetchone()
            if revision != (row[0] if row else 0):
                return key
        return ""

    def _apply(self, values: Mapping[str, bytes | None], revision: int) -> Sequence[Change]:
        changes = []
        for key, value in values.items():
            if value is None:
                cursor = self._write_connection.execute("DELETE FROM entries WHERE key = ?", (key,))
            else:
                cursor = self._write_connection.execute(
                    "INSERT INTO entries VALUES (?, ?, ?)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
                    (key, value, revision),
                )
            if cursor.rowcount:
                changes.append(Change(key, value, revision))
        return changes

    def watch(self, prefix: str) -> AsyncIterator[Sequence[Change]]:
        """See Store."""
        return self._watches.add(prefix)

    async def close(self) -> None:
        """See Store."""
        if self._flushing is not None:
            await self._flushing
        self._watches.end()
        for executor in (self._writer, self._reader):
            await asyncio.to_thread(executor.shutdown)
        self._write_connection.close()
        self._read_connection.close()
