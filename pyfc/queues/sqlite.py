"""Queue in one SQLite file of its own: its commits and the registry's do not wait for each other.

1. Durable writes share commits (pyfc/sqlite.py).
2. A lease is this process's memory: there is one dispatcher, and what was taken when it died is waiting again at once.
   So taking writes nothing; an event costs one write when it comes and one when it is settled.
3. A step of SQLite gives up Python's lock and has to wait for it again, while requests want it too: so many rows go
   into one statement, and where there is nothing else to write that statement is the whole transaction.
4. Partial indexes hold what waits, what is delayed and what is past, so that none costs the others anything; they hold
   the sizes too, so that all is counted at a start without a look at the events.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from pyfc.errors import AlreadyExists, Internal, InvalidArgument, PyfcError
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target
from pyfc.queues.interface import Depth, Filter, Outcome
from pyfc.queues.steady import Mark, Steady
from pyfc.queues.usage import Bounds, Owner, Usage, size_of
from pyfc.sqlite import Database, transaction
from pyfc.tasks import Tasks

T = TypeVar("T")
_log = logging.getLogger(__name__)
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
_SIZES = """
ALTER TABLE events ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE events SET size = 1024 + length(payload) + length(event);
DROP INDEX waiting;
DROP INDEX delayed;
CREATE INDEX waiting ON events (service, function, qualifier, number, size, state) WHERE state = 0;
CREATE INDEX delayed ON events (due, service, function, size, state) WHERE state = 1;
CREATE INDEX records ON events (service, function, state, number, size, ended) WHERE state IN (2, 3);
CREATE TABLE clock (boot TEXT NOT NULL, offset REAL NOT NULL, latest REAL NOT NULL);
"""
_SCHEMA = (_TABLES, _SIZES)
_WAITING, _DELAYED, _PAST, _KEPT = range(4)
_COLUMNS = "number, size, event, payload"
_ROW = f"({', '.join('?' * 14)})"
_ROWS = 64
"""Most rows of one statement; those of each number are kept prepared."""
_UPDATE = "UPDATE events SET state = ?, due = ?, ended = ?, status = ?, size = ?, event = ? WHERE number = ?"
_TAKE = f"""
SELECT {_COLUMNS} FROM events WHERE state = 0 AND service = ? AND function = ? AND qualifier = ? ORDER BY number
"""  # noqa: S608
_PRUNED = 256
"""Records that are forgotten in one go."""
_COUNTS = [
    "SELECT service, function, count(*), sum(size) FROM events"  # noqa: S608  words of our own
    f" INDEXED BY {index} WHERE {condition} GROUP BY service, function"
    for index, condition in (("waiting", "state = 0"), ("delayed", "state = 1"), ("records", "state IN (2, 3)"))
]


class _Job(NamedTuple):
    """Part of a commit: a write that is of no other kind, events that are new, and some that are to be forgotten."""

    run: Callable[[sqlite3.Connection], object] | None = None
    new: Sequence[Event] = ()
    forgotten: Sequence[Event] = ()
    now: float = 0.0
    """By the queue's clock."""


class SqliteQueue:
    """See interface.Queue. Opening raises InvalidArgument for a file that is damaged or none of ours."""

    def __init__(self, path: Path, bounds: Bounds = Bounds()) -> None:  # noqa: B008  it is immutable
        self._taken: defaultdict[Target, set[int]] = defaultdict(set)
        self._takes: dict[object, list[Event]] = {}
        """Those that are reading, in their order, with what was settled meanwhile."""
        self._released: asyncio.Future[None] | None = None
        """Done when one of them has read, if somebody waits for that."""
        self._pruner: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        try:
            self._database: Database[_Job, object] = Database(path, "queue", _SCHEMA, _commit, failed=self._failed)
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
        mark = connection.execute("SELECT boot, offset, latest FROM clock").fetchone()
        self._clock = Steady(Mark(*mark) if mark is not None else None)
        self.now = self._clock.now
        self._usage = Usage(bounds)
        for query, add in zip(_COUNTS, (self._usage.wait, self._usage.wait, self._usage.keep), strict=True):
            for service, function, count, size in connection.execute(query):
                add((service, function), size, count)
        path.chmod(0o600)

    def put(self, events: Sequence[Event]) -> asyncio.Future[bool]:
        """See Queue."""
        now, claim = self.now(), self._usage.claim
        for place, event in enumerate(events):
            event.number, event.born, event.size = next(self._numbers), now, size_of(event)
            try:
                claim(event)
            except PyfcError:
                self._take_off(events[:place])
                raise
        return cast("asyncio.Future[bool]", self._database.write(_Job(new=events, now=now)))

    def _failed(self, job: _Job) -> None:
        self._take_off(job.new)

    def _take_off(self, events: Sequence[Event]) -> None:
        """They do not wait after all."""
        for event in events:
            self._usage.wait(event.lane[:2], -event.size, -1)

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """See Queue."""
        if not outcomes:
            return
        now, events = self.now(), [outcome.event for outcome in outcomes]
        also = [event for outcome in outcomes for event in outcome.followers]
        sizes = [size_of(event) for event in events]
        for event in also:
            event.number, event.born, event.size = next(self._numbers), now, size_of(event)
        forgotten = [each.event for each in outcomes if each.forget and each.event.status.is_final]
        kept = [
            (each.event, size)
            for each, size in zip(outcomes, sizes, strict=True)
            if not (each.forget and each.event.status.is_final)
        ]
        for event in events:
            self._taken[event.lane].add(event.number)
        await self._database.write(_Job(partial(_update, kept, also, now), (), forgotten, now))
        self._count(kept, also, forgotten)
        if self._takes:
            next(reversed(self._takes.values())).extend(events)  # one thread reads: the newest ends last
        else:
            self._release(events)
        self._look_at_records()

    def _count(self, kept: Sequence[tuple[Event, int]], new: Sequence[Event], forgotten: Sequence[Event]) -> None:
        """They are written now."""
        usage = self._usage
        self._take_off(forgotten)
        for event, size in kept:
            usage.wait(event.lane[:2], -event.size, -1)
            (usage.keep if event.status.is_final else usage.wait)(event.lane[:2], size)
            event.size = size
        for event in new:
            usage.wait(event.lane[:2], event.size)

    async def replace(self, outcome: Outcome, expected: Status) -> bool:
        """See Queue."""
        event, now, size = outcome.event, self.now(), size_of(outcome.event)
        if not event.status.is_final:
            self._usage.claim(event)
            self._take_off([event])
            event.born = now
        taken, was_taken = self._taken[event.lane], event.number in self._taken[event.lane]
        taken.add(event.number)
        try:
            done = await self._database.write(_Job(partial(_replace, outcome, size, expected, now), now=now))
        finally:
            if not was_taken:
                taken.discard(event.number)
        if not done:
            return False
        (self._usage.keep if expected.is_final else self._usage.wait)(event.lane[:2], -event.size, -1)
        event.size = size
        if not outcome.forget:
            (self._usage.keep if event.status.is_final else self._usage.wait)(event.lane[:2], size)
        return True

    def _look_at_records(self) -> None:
        """Forget the oldest, where there is no room for all."""
        if self._pruner is None and self._usage.excess() is not None:
            self._pruner = self._tasks.begin("forgetting the oldest records of calls", self._prune())

    async def _prune(self) -> None:
        try:
            while (excess := self._usage.excess()) is not None:
                owner, size = excess
                count, freed = cast("tuple[int, int]", await self._database.write(_Job(partial(_forget, owner, size))))
                if not count:
                    return
                self._usage.keep(owner, -freed, -count)
                _log.warning("the oldest %s records of calls of %s are gone: no room for more", count, "/".join(owner))
        except PyfcError as error:
            _log.warning("%s", error)
        finally:
            self._pruner = None

    def _release(self, events: Sequence[Event]) -> None:
        for event in events:
            self._taken[event.lane].discard(event.number)

    async def take(self, lane: Target, limit: int, size: int = sys.maxsize) -> list[Event]:
        """See Queue."""
        taken = self._taken[lane]

        def pick(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
            """In the reader's thread, so that no more is read than is wanted."""
            found, left = [], size
            for row in rows:
                if row[0] not in taken:
                    found.append(row)
                    left -= row[1]
                    if len(found) == limit or left <= 0:
                        break
            return found

        while True:
            with self._taking():
                rows = await self._database.read(_TAKE, lane, pick)
                fresh = [row for row in rows if row[0] not in taken]
            if not rows and self._is_held_back(lane):
                await self._next_release()
            elif fresh or not rows:  # else all has been taken meanwhile
                break
        taken.update(row[0] for row in fresh)
        return _events(fresh)

    @contextmanager
    def _taking(self) -> Iterator[None]:
        """What is settled inside counts as taken until the end: it may have been read as it was before."""
        take = object()
        self._takes[take] = []
        try:
            yield
        finally:
            self._release(self._takes.pop(take))
            released, self._released = self._released, None
            if released is not None:
                released.set_result(None)

    def _is_held_back(self, lane: Target) -> bool:
        """Whether something of this lane is free again as soon as others have read: who takes now would miss it, and
        be told of it by nobody.
        """
        return any(event.lane == lane for events in self._takes.values() for event in events)

    async def _next_release(self) -> None:
        if self._released is None:
            self._released = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._released)

    def claim(self, event: Event) -> bool:
        """See Queue."""
        taken = self._taken[event.lane]
        if event.number in taken:
            return False
        taken.add(event.number)
        return True

    async def lanes(self) -> list[Target]:
        """See Queue."""
        rows = await self._database.read("SELECT DISTINCT service, function, qualifier FROM events WHERE state = 0")
        return [Target(*row) for row in rows]

    async def next_due(self) -> float | None:
        """See Queue."""
        now = self.now()
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
        return next(iter(_events(rows)), None)

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
        return _events(await self._database.read(query, (*arguments, wanted.limit)))

    async def sweep(self, before: float) -> int:
        """See Queue."""
        swept = cast("list[tuple[str, str, int]]", await self._database.write(_Job(partial(_sweep, before))))
        for service, function, size in swept:
            self._usage.keep((service, function), -size, -1)
        await self._database.write(_Job(partial(_keep_time, self._clock.mark)))
        return len(swept)

    async def depth(self) -> Depth:
        """See Queue."""
        counts = ", ".join(
            f"(SELECT count(*) FROM events WHERE state = {state})"  # noqa: S608  numbers
            for state in (_WAITING, _DELAYED, _KEPT)
        )
        return Depth(*(await self._database.read(f"SELECT {counts}"))[0])

    async def close(self) -> None:
        """See Queue."""
        if self._pruner is not None:
            self._pruner.cancel()
        with contextlib.suppress(PyfcError):
            await self._database.write(_Job(partial(_keep_time, self._clock.mark)))
        await self._database.close()


def _commit(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> Sequence[object | PyfcError]:
    """All jobs together, and each by itself if one of them can not be."""
    new = [(event, job.now) for job in jobs for event in job.new]
    try:
        if len(new) <= _ROWS and all(job.run is None and not job.forgotten for job in jobs):
            _insert(connection, new)
            return [True] * len(jobs)
        with transaction(connection):
            _insert(connection, new)
            _delete(connection, [event.number for job in jobs for event in job.forgotten])
            return [job.run(connection) if job.run is not None else True for job in jobs]
    except sqlite3.OperationalError:
        raise  # the disk: it is the same for all
    except Exception:
        with transaction(connection):
            return [_attempt(connection, job) for job in jobs]


def _awaken(now: float, connection: sqlite3.Connection) -> None:
    """Delayed events that are due wait like others."""
    connection.execute("UPDATE events SET state = 0 WHERE state = 1 AND due <= ?", (now,))


def _attempt(connection: sqlite3.Connection, job: _Job) -> object | PyfcError:
    """One job of a commit: its failure is its own."""
    connection.execute("SAVEPOINT job")
    result: object = True
    try:
        _insert(connection, [(event, job.now) for event in job.new])
        _delete(connection, [event.number for event in job.forgotten])
        if job.run is not None:
            result = job.run(connection)
    except sqlite3.OperationalError:
        raise
    except Exception as error:
        connection.execute("ROLLBACK TO job")
        result = _reason(error)
    connection.execute("RELEASE job")
    return result


def _reason(error: Exception) -> PyfcError:
    if isinstance(error, sqlite3.IntegrityError):
        return AlreadyExists(message="there is a call of this function with the same id already")
    _log.error("something can not be written to the queue", exc_info=error)
    return Internal(detail=f"it can not be written to the queue: {error}")


def _update(
    events: Sequence[tuple[Event, int]], also: Sequence[Event], now: float, connection: sqlite3.Connection
) -> None:
    """Write what has become of events, with their sizes, and new ones."""
    for event, size in events:
        connection.execute(_UPDATE, _values(event, size, now))
    _insert(connection, [(event, now) for event in also])


def _values(event: Event, size: int, now: float) -> tuple[Any, ...]:
    ended = now if event.status.is_final else 0.0
    return (_state(event, now), event.due, ended, event.status.value, size, _packed(event), event.number)


def _replace(outcome: Outcome, size: int, expected: Status, now: float, connection: sqlite3.Connection) -> bool:
    """Write another state of an event, or forget it, if it has the expected one."""
    event = outcome.event
    condition = "AND status = ? AND state IN (2, 3)" if expected.is_final else "AND status = ? AND state IN (0, 1)"
    if outcome.forget:
        done = connection.execute(f"DELETE FROM events WHERE number = ? {condition}", (event.number, expected.value))  # noqa: S608
    else:
        done = connection.execute(f"{_UPDATE} {condition}", (*_values(event, size, now), expected.value))
    return done.rowcount > 0


def _forget(owner: Owner, excess: int, connection: sqlite3.Connection) -> tuple[int, int]:
    """Forget the oldest records of a function, those that are no dead letters first: their number and size."""
    rows = connection.execute(
        "SELECT number, size FROM events WHERE state IN (2, 3) AND service = ? AND function = ?"
        " ORDER BY state, number LIMIT ?",
        (*owner, _PRUNED),
    ).fetchall()
    freed, numbers = 0, []
    for number, size in rows:
        if freed >= excess:
            break
        numbers.append(number)
        freed += size
    _delete(connection, numbers)
    return len(numbers), freed


def _sweep(before: float, connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Forget records that are no dead letters: of whom, and their sizes."""
    rows = connection.execute(
        "SELECT number, service, function, size FROM events WHERE state IN (2, 3) AND state = 2 AND ended < ?",
        (before,),
    ).fetchall()
    _delete(connection, [row[0] for row in rows])
    return [row[1:] for row in rows]


def _keep_time(mark: Mark, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM clock")
    connection.execute("INSERT INTO clock VALUES (?, ?, ?)", mark)


def _insert(connection: sqlite3.Connection, events: Sequence[tuple[Event, float]]) -> None:
    """New events, each with the queue's time."""
    for part in _parts(events):
        values: list[Any] = []
        for event, now in part:
            values += (event.number, event.id, event.request_id, *event.lane, _state(event, now), event.due)
            values += (event.enqueued, 0.0, event.status.value, _packed(event), event.payload, event.size)
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


def _state(event: Event, now: float) -> int:
    if not event.status.is_final:
        return _DELAYED if event.due > now else _WAITING
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
    born: float = 0.0


_DECODE = msgspec.msgpack.Decoder(_Kept).decode


def _packed(event: Event) -> bytes:
    return _ENCODE((
        event.id, event.request_id, tuple(event.target), event.http, event.enqueued, event.due, event.is_stateful,
        event.address, event.depth, event.status.value, event.attempts, event.started, event.ended, event.error,
        event.result, event.instance_id, event.version, event.log, event.condition, event.history, event.born,
    ))  # fmt: skip


def _events(rows: Sequence[tuple[Any, ...]]) -> list[Event]:
    """What can be read of rows; what can not is named."""
    found = []
    for row in rows:
        try:
            found.append(_event(*row))
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            _log.error("the record %s of the queue can not be read and is left alone: %s", row[0], error)
    return found


def _event(number: int, size: int, data: bytes, payload: bytes) -> Event:
    kept = _DECODE(data)
    return Event(
        id=kept.id, request_id=kept.request_id, target=Target(*kept.target), payload=payload, http=kept.http,
        enqueued=kept.enqueued, due=kept.due, is_stateful=kept.is_stateful, address=kept.address, depth=kept.depth,
        number=number, status=Status(kept.status), attempts=kept.attempts, started=kept.started, ended=kept.ended,
        error=kept.error, result=kept.result, instance_id=kept.instance_id, version=kept.version, log=kept.log,
        condition=kept.condition, history=kept.history, born=kept.born or kept.enqueued, size=size,
    )  # fmt: skip


def _damaged(path: Path, what: str) -> str:
    return (
        f"the queue {path} is damaged ({what}): nothing was changed. `sqlite3 {path} .recover` gets out what can be "
        "read; move the file away to begin with an empty queue"
    )
