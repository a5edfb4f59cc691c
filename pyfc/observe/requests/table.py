"""Records of requests in a SQLite file, as the process that keeps them works with it.

A commit is safe from the end of any process; of a failure of power it may lose the last ones. Freed pages are used
again, so the file does not grow beyond its limit.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pyfc.data.version import REQUESTS_TABLES, VERSION
from pyfc.errors import InvalidArgument

_PRUNED = 60.0
"""Seconds after which it is looked for what is too old."""
_MANY = 10_000
"""New records after which it is looked for what is too much."""
_PART = 8
"""What is too much goes by this part of all."""
_INSERT = "INSERT INTO requests VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
_LEFT_OUT = (
    "INSERT INTO left_out VALUES (?, ?, ?, ?) ON CONFLICT (service, function, time) DO UPDATE "
    "SET count = count + excluded.count"
)
MOST = 1000
"""Records of an answer."""


class Wanted(NamedTuple):
    """Which records; what is '' or 0 says nothing."""

    id: str = ""
    service: str = ""
    function: str = ""
    since: float = 0.0
    """Seconds since the epoch."""
    until: float = 0.0
    status: int = 0
    error: str = ""
    """Its type; `*` for any."""
    slowest: bool = False
    """Those that took longest come first, else the newest."""
    limit: int = MOST


class Limits(NamedTuple):
    """For how many seconds records are kept, and how many bytes of them."""

    retention: float
    size: int


class Records:
    """The file. Making one raises InvalidArgument for one of another version, sqlite3.Error for one that is damaged."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._limits = limits
        self._pruned = 0.0
        self._new = 0
        self._connection = connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA busy_timeout=5000")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in {0, VERSION}:
            raise InvalidArgument(message=f"the records {path} were written by another pyfc")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA journal_size_limit=16777216")
        if not found:
            connection.executescript(f"BEGIN; {REQUESTS_TABLES} PRAGMA user_version={VERSION}; COMMIT;")

    def _transaction(self) -> sqlite3.Connection:
        """Begin one, which ends with the context. That of sqlite.py would load asyncio, 9 MB for nothing here."""
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def keep(self, rows: Sequence[Sequence[Any]], left_out: Sequence[Sequence[Any]]) -> None:
        """Rows of record.py, and how many calls have none. Raises sqlite3.Error."""
        encode = msgspec.msgpack.encode
        with self._transaction():
            self._connection.executemany(_INSERT, [(*row[:7], encode(row[7])) for row in rows])
            self._connection.executemany(_LEFT_OUT, left_out)
        self._new += len(rows)
        now = time.time()
        if self._new >= _MANY or not 0 <= now - self._pruned < _PRUNED:
            self._pruned, self._new = now, 0
            self._prune(now - self._limits.retention)

    def _prune(self, before: float) -> None:
        with self._transaction():
            self._connection.execute("DELETE FROM requests WHERE time < ?", (before,))
            self._connection.execute("DELETE FROM left_out WHERE time < ?", (before - 60,))
        while self._size() > self._limits.size:
            with self._transaction():
                count = self._connection.execute("SELECT count(*) FROM requests").fetchone()[0]
                if not count:
                    return
                oldest = "SELECT number FROM requests ORDER BY number LIMIT ?"
                part = (max(count // _PART, 1),)
                self._connection.execute(f"DELETE FROM requests WHERE number IN ({oldest})", part)  # noqa: S608

    def _size(self) -> int:
        """Bytes of the pages that are used."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def find(self, wanted: Wanted) -> tuple[list[dict[str, Any]], int]:
        """Records, and how many calls have none of the same functions and time. Raises sqlite3.Error."""
        where, values = _where(wanted)
        order = "total DESC" if wanted.slowest else "time DESC, number DESC"
        query = f"SELECT record FROM requests WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608  our own words
        rows = self._connection.execute(query, (*values, min(wanted.limit, MOST))).fetchall()
        return [found for (data,) in rows if (found := _record(data))], self._left_out(wanted)

    def _left_out(self, wanted: Wanted) -> int:
        query = (
            "SELECT coalesce(sum(count), 0) FROM left_out WHERE (? = '' OR service = ?) AND (? = '' OR function = ?) "
            "AND time + 60 > ? AND (? = 0 OR time < ?)"
        )
        until, names = wanted.until, (wanted.service,) * 2 + (wanted.function,) * 2
        return int(self._connection.execute(query, (*names, wanted.since, until, until)).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _where(wanted: Wanted) -> tuple[str, list[Any]]:
    """The condition, and its values. What is slowest is found by the order of its index, not by time."""
    time = "+time" if wanted.slowest else "time"
    conditions = {
        "id = ?": wanted.id,
        "service = ?": wanted.service,
        "function = ?": wanted.function,
        f"{time} >= ?": wanted.since,
        f"{time} < ?": wanted.until,
        "status = ?": wanted.status,
        "error = ?": "" if wanted.error == "*" else wanted.error,
    }
    chosen = {text: value for text, value in conditions.items() if value}
    texts = [*chosen, "error <> ''"] if wanted.error == "*" else list(chosen)
    return " AND ".join(texts) or "1", list(chosen.values())


def _record(data: bytes) -> dict[str, Any]:
    """One that is damaged counts as none."""
    try:
        found = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
