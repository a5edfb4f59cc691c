"""Queue in one SQLite file of its own: its commits and the registry's do not wait for each other.

1. Durable writes share commits (pyfc/sqlite.py).
2. A lease is this process's memory: there is one dispatcher, and what was taken when it died is waiting again at once.
   So taking writes nothing; an event costs one write when it comes and one when it is settled.
3. A step of SQLite gives up Python's lock and has to wait for it again, while requests want it too: so many rows go
   into one statement, and where there is nothing else to write that statement is the whole transaction.
4. Partial indexes hold what waits and what is delayed alone, so that records of the past cost the queue nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from pyfc.errors import AlreadyExists, InvalidArgument, PyfcError
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target
from pyfc.queues.interface import Depth, Filter
from pyfc.sqlite import Database, transaction

T = TypeVar("T")
_log = logging.getLogger(__name__)
_SCHEMA = 1
_CHECKED = 64 * 1024 * 1024
"""Bytes of a file that is looked through when it is opened."""
_TABLES = """
CREATE TABLE events (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL, request_id TEXT NOT NULL,
  service TEXT NOT NULL, function TEXT NOT NULL, qualifier TEXT NOT NULL,
  state INTEGER NOT NULL, due REAL NOT NULL, enqueued REAL NOT NULL, ended REAL NOT NULL,
  status TEXT NOT NULL, event BLOB NOT NULL, payload BLOB NOT NULL
);
CREATE UNIQUE INDEX names ON events (service, function, id);
CREATE INDEX requests ON events (request_id);
CREATE INDEX waiting ON events (service, function, qualifier, number) WHERE state = 0;
CREATE INDEX delayed ON events (due) WHERE state = 1;
CREATE INDEX kept ON events (number) WHERE state = 3;
"""
_WAITING, _DELAYED, _PAST, _KEPT = range(4)
_COLUMNS = "number, event, payload"
_ROW = f"({', '.join('?' * 13)})"
_ROWS = 64
"""Most rows of one statement; those of each number are kept prepared."""
_UPDATE = "UPDATE events SET state = ?, due = ?, ended = ?, status = ?, event = ? WHERE number = ?"


class _Job(NamedTuple):
    """Part of a commit: a write that is of no other kind, events that are new, and some that are to be forgotten."""

    run: Callable[[sqlite3.Connection], None] | None = None
    new: Sequence[Event] = ()
    forgotten: Sequence[Event] = ()


class SqliteQueue:
    """See interface.Queue. Opening raises InvalidArgument for a file that is damaged or none of ours."""

    def __init__(self, path: Path) -> None:
        self._taken: defaultdict[Target, set[int]] = defaultdict(set)
        self._takes: dict[object, list[Event]] = {}
        """Those that are reading, in their order, with what was settled meanwhile."""
        try:
            self._database: Database[_Job, None] = Database(path, "queue", (_SCHEMA, _TABLES), _commit)
            is_small = path.stat().st_size < _CHECKED
            connection = self._database.connection
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone() if is_small else ("ok",)
        except sqlite3.Error as error:
            raise InvalidArgument(message=_damaged(path, str(error))) from error
        if state != "ok":
            raise InvalidArgument(message=_damaged(path, state))
        (last,) = connection.execute("SELECT max(number) FROM events").fetchone()
        self._numbers = itertools.count(max(last or 0, time.time_ns() // 1000))
        """Larger than any that was ever given: by the clock, or by what is kept."""
        path.chmod(0o600)

    def put(self, events: Sequence[Event]) -> asyncio.Future[None]:
        """See Queue."""
        for event in events:
            event.number = next(self._numbers)
        return self._database.write(_Job(new=events))

    async def settle(self, events: Sequence[Event], also: Sequence[Event] = (), *, forget: bool = False) -> None:
        """See Queue."""
        if not events and not also:
            return
        for event in also:
            event.number = next(self._numbers)
        forgotten = [event for event in events if forget and event.status.is_final]
        kept = [event for event in events if not (forget and event.status.is_final)]
        run = partial(_update, kept, also) if kept else None
        for event in events:
            self._taken[event.lane].add(event.number)
        await self._database.write(_Job(run, () if kept else also, forgotten))
        if self._takes:
            next(reversed(self._takes.values())).extend(events)  # one thread reads: the newest ends last
        else:
            self._release(events)

    def _release(self, events: Sequence[Event]) -> None:
        for event in events:
            self._taken[event.lane].discard(event.number)

    async def take(self, lane: Target, limit: int) -> list[Event]:
        """See Queue."""
        query = (
            f"SELECT {_COLUMNS} FROM events WHERE state = 0 AND service = ? AND function = ? AND qualifier = ?"  # noqa: S608
            " ORDER BY number LIMIT ?"
        )
        taken = self._taken[lane]
        while True:
            wanted = limit + len(taken)
            with self._taking():
                rows = await self._database.read(query, (*lane, wanted))
                fresh = [row for row in rows if row[0] not in taken][:limit]
            if len(fresh) == limit or len(rows) < wanted:  # else more has been taken meanwhile
                break
        taken.update(row[0] for row in fresh)
        return [_event(*row) for row in fresh]

    @contextmanager
    def _taking(self) -> Iterator[None]:
        """What is settled inside counts as taken until the end: it may have been read as it was before."""
        take = object()
        self._takes[take] = []
        try:
            yield
        finally:
            self._release(self._takes.pop(take))

    def claim(self, event: Event) -> None:
        """See Queue."""
        self._taken[event.lane].add(event.number)

    async def lanes(self) -> list[Target]:
        """See Queue."""
        rows = await self._database.read("SELECT DISTINCT service, function, qualifier FROM events WHERE state = 0")
        return [Target(*row) for row in rows]

    async def next_due(self) -> float | None:
        """See Queue."""
        now = time.time()
        rows = await self._database.read("SELECT min(due) FROM events WHERE state = 1")
        first: float | None = rows[0][0]
        if first is not None and first <= now:
            await self._database.write(_Job(partial(_awaken, now)))
            rows = await self._database.read("SELECT min(due) FROM events WHERE state = 1")
            first = rows[0][0]
        return first

    async def get(self, service: str, function: str, name: str) -> Event | None:
        """See Queue."""
        where = "(request_id = ?)" if not service else "service = ? AND function = ? AND (id = ? OR request_id = ?)"
        arguments = (name,) if not service else (service, function, name, name)
        rows = await self._database.read(f"SELECT {_COLUMNS} FROM events WHERE {where} LIMIT 1", arguments)  # noqa: S608
        return _event(*rows[0]) if rows else None

    async def list(self, wanted: Filter) -> list[Event]:
        """See Queue."""
        conditions = ["enqueued >= ?", "enqueued <= ?"]
        arguments: Any = [wanted.begin, min(wanted.end, 1e12)]
        for column in ("service", "function", "qualifier"):
            if value := getattr(wanted, column):
                conditions.append(f"{column} = ?")
                arguments.append(value)
        if wanted.statuses:
            conditions.append(f"status IN ({','.join('?' * len(wanted.statuses))})")
            arguments += [status.value for status in wanted.statuses]
        if wanted.prefix:
            conditions.append("substr(id, 1, ?) = ?")
            arguments += [len(wanted.prefix), wanted.prefix]
        if wanted.only_kept:
            conditions.append("state = 3")
        if wanted.after:
            conditions.append("number < ?" if wanted.newest_first else "number > ?")
            arguments.append(wanted.after)
        order = "DESC" if wanted.newest_first else "ASC"
        where = " AND ".join(conditions)
        query = f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY number {order} LIMIT ?"  # noqa: S608
        return [_event(*row) for row in await self._database.read(query, (*arguments, wanted.limit))]

    async def sweep(self, before: float) -> int:
        """See Queue."""
        count = 0

        def run(connection: sqlite3.Connection) -> None:
            nonlocal count
            count = connection.execute("DELETE FROM events WHERE state = 2 AND ended < ?", (before,)).rowcount

        await self._database.write(_Job(run))
        return count

    async def depth(self) -> Depth:
        """See Queue."""
        rows = await self._database.read(
            "SELECT state, count(*) FROM events WHERE state IN (0, 1, 3) GROUP BY state", ()
        )
        counts = dict(rows)
        return Depth(counts.get(_WAITING, 0), counts.get(_DELAYED, 0), counts.get(_KEPT, 0))

    async def close(self) -> None:
        """See Queue."""
        await self._database.close()


def _commit(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> Sequence[PyfcError | None]:
    """All jobs together, and each by itself if one of them can not be."""
    new = [event for job in jobs for event in job.new]
    try:
        if len(new) <= _ROWS and all(job.run is None and not job.forgotten for job in jobs):
            _insert(connection, new)
        else:
            with transaction(connection):
                _insert(connection, new)
                _delete(connection, [event.number for job in jobs for event in job.forgotten])
                for job in jobs:
                    if job.run is not None:
                        job.run(connection)
    except sqlite3.IntegrityError:
        with transaction(connection):
            return [_attempt(connection, job) for job in jobs]
    return [None] * len(jobs)


def _awaken(now: float, connection: sqlite3.Connection) -> None:
    """Delayed events that are due wait like others."""
    connection.execute("UPDATE events SET state = 0 WHERE state = 1 AND due <= ?", (now,))


def _attempt(connection: sqlite3.Connection, job: _Job) -> PyfcError | None:
    """One job of a commit: its failure is its own."""
    connection.execute("SAVEPOINT job")
    try:
        _insert(connection, job.new)
        _delete(connection, [event.number for event in job.forgotten])
        if job.run is not None:
            job.run(connection)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return AlreadyExists(message="there is a call of this function with the same id already")
    connection.execute("RELEASE job")
    return None


def _update(events: Sequence[Event], also: Sequence[Event], connection: sqlite3.Connection) -> None:
    """Write what has become of events, and new ones."""
    for event in events:
        values = (_state(event), event.due, event.ended, event.status.value, _packed(event), event.number)
        connection.execute(_UPDATE, values)
    _insert(connection, also)


def _insert(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    for part in _parts(events):
        values: list[Any] = []
        for event in part:
            values += (event.number, event.id, event.request_id, *event.lane, _state(event), event.due, event.enqueued)
            values += (event.ended, event.status.value, _packed(event), event.payload)
        connection.execute(_inserting(len(part)), values)


@cache
def _inserting(rows: int) -> str:
    return f"INSERT INTO events VALUES {', '.join([_ROW] * rows)}"  # noqa: S608  question marks


def _delete(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    for part in _parts(numbers):
        marks = ", ".join("?" * len(part))
        connection.execute(f"DELETE FROM events WHERE number IN ({marks})", part)  # noqa: S608  question marks


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), _ROWS):
        yield items[at : at + _ROWS]


def _state(event: Event) -> int:
    if not event.status.is_final:
        return _DELAYED if event.due > time.time() else _WAITING
    return _PAST if event.status in {Status.SUCCEEDED, Status.STOPPED} else _KEPT


_ENCODE = msgspec.msgpack.Encoder().encode


class _Kept(msgspec.Struct, array_like=True):
    """An event as it is kept, but for its payload, which never changes."""

    id: str
    request_id: str
    target: tuple[str, str, str]
    http: Any
    enqueued: float
    due: float
    is_stateful: bool
    address: str
    depth: int
    status: str
    attempts: int
    started: float
    ended: float
    error: str
    result: bytes
    instance_id: str
    version: str
    log: bytes
    condition: str
    history: list[tuple[str, float, str]]


_DECODE = msgspec.msgpack.Decoder(_Kept).decode


def _packed(event: Event) -> bytes:
    return _ENCODE((
        event.id, event.request_id, tuple(event.target), event.http, event.enqueued, event.due, event.is_stateful,
        event.address, event.depth, event.status.value, event.attempts, event.started, event.ended, event.error,
        event.result, event.instance_id, event.version, event.log, event.condition, event.history,
    ))  # fmt: skip


def _event(number: int, data: bytes, payload: bytes) -> Event:
    kept = _DECODE(data)
    return Event(
        id=kept.id, request_id=kept.request_id, target=Target(*kept.target), payload=payload, http=kept.http,
        enqueued=kept.enqueued, due=kept.due, is_stateful=kept.is_stateful, address=kept.address, depth=kept.depth,
        number=number, status=Status(kept.status), attempts=kept.attempts, started=kept.started, ended=kept.ended,
        error=kept.error, result=kept.result, instance_id=kept.instance_id, version=kept.version, log=kept.log,
        condition=kept.condition, history=kept.history,
    )  # fmt: skip


def _damaged(path: Path, what: str) -> str:
    return (
        f"the queue {path} is damaged ({what}): nothing was changed. `sqlite3 {path} .recover` gets out what can be "
        "read; move the file away to begin with an empty queue"
    )
