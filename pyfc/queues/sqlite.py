"""Queue in one SQLite file of its own: its commits and the registry's do not wait for each other.

1. Durable writes share commits (pyfc/sqlite.py).
2. The lease of this engine is the file itself: one process has it at a time (the data folder's lock), so what that
   process holds is a matter of its memory (leases.py), and what it held when it died waits again at once. So taking
   writes nothing; an event costs one write when it comes and one when it is settled.
3. Where there is nothing else to write, one statement with many rows (rows.py) is the whole transaction.
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
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from pyfc.data.version import QUEUE_TABLES, VERSION
from pyfc.errors import AlreadyExists, Internal, InvalidArgument, PyfcError
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target
from pyfc.queues import rows
from pyfc.queues.interface import NO_MARKS, Depth, Filter, Outcome
from pyfc.queues.leases import Leases
from pyfc.queues.steady import Mark, Steady
from pyfc.queues.usage import Bounds, Usage, size_of
from pyfc.sqlite import Database, transaction
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_CHECKED = 64 * 1024 * 1024
"""Bytes of a file that is looked through when it is opened."""


class _Job(NamedTuple):
    """Part of a commit: a write that is of no other kind, events that are new, and outcomes with the sizes of their
    events.
    """

    run: Callable[[sqlite3.Connection], object] | None = None
    new: Sequence[Event] = ()
    outcomes: Sequence[tuple[Outcome, int]] = ()
    marks: Mapping[str, str] = NO_MARKS
    now: float = 0.0
    """By the queue's clock."""

    @property
    def is_plain(self) -> bool:
        """Whether it is about events alone."""
        return self.run is None and not self.marks


class SqliteQueue:
    """See interface.Queue. Opening raises InvalidArgument for a file that is damaged or none of ours."""

    def __init__(self, path: Path, bounds: Bounds = Bounds()) -> None:  # noqa: B008  it is immutable
        self._leases = Leases()
        self._pruner: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        try:
            self._database: Database[_Job, object] = Database(
                path, "queue", QUEUE_TABLES, VERSION, _commit, failed=self._failed
            )
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
        for query, add in zip(rows.COUNTS, (self._usage.wait, self._usage.wait, self._usage.keep), strict=True):
            for service, function, count, size in connection.execute(query):
                add((service, function), size, count)

    def put(self, events: Sequence[Event], marks: Mapping[str, str] = NO_MARKS) -> asyncio.Future[bool]:
        """See Queue."""
        now, claim = self.now(), self._usage.claim
        for place, event in enumerate(events):
            self._number(event, now)
            try:
                claim(event)
            except PyfcError:
                self._usage.take_off(events[:place])
                raise
        return cast("asyncio.Future[bool]", self._database.write(_Job(new=events, marks=marks, now=now)))

    async def marks(self, prefix: str) -> dict[str, str]:
        """See Queue."""
        return dict(await self._database.read(*rows.marks_of(prefix)))

    def _number(self, event: Event, now: float) -> None:
        event.number, event.born, event.size = next(self._numbers), now, size_of(event)

    def _failed(self, job: _Job) -> None:
        self._usage.take_off(job.new)

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """See Queue."""
        if not outcomes:
            return
        now = self.now()
        for outcome in outcomes:
            self._leases.hold(outcome.event)
            for event in outcome.followers:
                self._number(event, now)
        job = _Job(outcomes=[(outcome, size_of(outcome.event)) for outcome in outcomes], now=now)
        written = cast("Sequence[tuple[Outcome, int]]", await self._database.write(job))
        for outcome, size in written:
            self._usage.settle(outcome, size)
        self._leases.give_back(outcome.event for outcome in outcomes)
        self._look_at_records()

    async def replace(self, outcome: Outcome, expected: Status) -> bool:
        """See Queue."""
        event, now, size = outcome.event, self.now(), size_of(outcome.event)
        while not self._leases.hold(event):
            if self._leases.holds(event):
                return False
            await self._leases.next_release()
        try:
            if not event.status.is_final:
                self._usage.claim(event)
                self._usage.take_off([event])
                event.born = now
            job = _Job(partial(rows.replace, outcome, size, expected, now), now=now)
            if not await self._database.write(job):
                return False
        finally:
            self._leases.give_back([event])
        self._usage.replace(outcome, size, expected)
        return True

    def _look_at_records(self) -> None:
        """Forget the oldest, where there is no room for all."""
        if self._pruner is None and self._usage.excess() is not None:
            self._pruner = self._tasks.begin("forgetting the oldest records of calls", self._prune())

    async def _prune(self) -> None:
        try:
            while (excess := self._usage.excess()) is not None:
                owner, size = excess
                job = _Job(partial(rows.forget, owner, size))
                count, freed = cast("tuple[int, int]", await self._database.write(job))
                if not count:
                    return
                self._usage.keep(owner, -freed, -count)
                _log.warning("the oldest %s records of calls of %s are gone: no room for more", count, "/".join(owner))
        except PyfcError as error:
            _log.warning("%s", error)
        finally:
            self._pruner = None

    async def take(self, lane: Target, limit: int, size: int = sys.maxsize) -> list[Event]:
        """See Queue."""
        is_free = partial(self._leases.is_free, lane)

        def pick(found: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
            """In the reader's thread, so that no more is read than is wanted."""
            picked, left = [], size
            for row in found:
                if is_free(row[0]):
                    picked.append(row)
                    left -= row[1]
                    if len(picked) == limit or left <= 0:
                        break
            return picked

        while True:
            with self._leases.reading():
                found = await self._database.read(rows.TAKE, lane, pick)
                fresh = [row for row in found if is_free(row[0])]
            if not found and self._leases.is_held_back(lane):
                await self._leases.next_release()
            elif fresh or not found:  # else all has been taken meanwhile
                break
        self._leases.hold_all(lane, (row[0] for row in fresh))
        return rows.read(fresh)

    def claim(self, event: Event) -> bool:
        """See Queue."""
        return self._leases.hold(event)

    async def lanes(self) -> list[Target]:
        """See Queue."""
        found = await self._database.read("SELECT DISTINCT service, function, qualifier FROM events WHERE state = 0")
        return [Target(*row) for row in found]

    async def next_due(self) -> float | None:
        """See Queue."""
        now = self.now()
        first = await self._first_due()
        if first is not None and first <= now:
            await self._database.write(_Job(partial(rows.awaken, now)))
            first = await self._first_due()
        return first

    async def _first_due(self) -> float | None:
        ((first,),) = await self._database.read("SELECT min(due) FROM events WHERE state = 1")
        return cast("float | None", first)

    async def get(self, service: str, function: str, name: str) -> Event | None:
        """See Queue."""
        where = "(request_id = ?)" if not service else "service = ? AND function = ? AND (id = ? OR request_id = ?)"
        arguments = (name,) if not service else (service, function, name, name)
        query = f"SELECT {rows.COLUMNS} FROM events WHERE {where} LIMIT 1"  # noqa: S608  no input
        return next(iter(rows.read(await self._database.read(query, arguments))), None)

    async def list(self, wanted: Filter) -> list[Event]:
        """See Queue."""
        return rows.read(await self._database.read(*rows.query_of(wanted)))

    async def sweep(self, before: float) -> int:
        """See Queue."""
        swept = cast("list[tuple[str, str, int]]", await self._database.write(_Job(partial(rows.sweep, before))))
        for service, function, size in swept:
            self._usage.keep((service, function), -size, -1)
        await self._database.write(_Job(partial(rows.keep_time, self._clock.mark)))
        return len(swept)

    async def depth(self) -> Depth:
        """See Queue."""
        counts = ", ".join(
            f"(SELECT count(*) FROM events WHERE state = {state})"  # noqa: S608  numbers
            for state in (rows.WAITING, rows.DELAYED, rows.GIVEN_UP)
        )
        return Depth(*(await self._database.read(f"SELECT {counts}"))[0])

    def unfinished(self) -> dict[tuple[str, str], int]:
        """See Queue."""
        return self._usage.counts()

    async def close(self) -> None:
        """See Queue."""
        if self._pruner is not None:
            self._pruner.cancel()
        with contextlib.suppress(PyfcError):
            await self._database.write(_Job(partial(rows.keep_time, self._clock.mark)))
        await self._database.close()


def _commit(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> Sequence[object | PyfcError]:
    """All jobs together, and each by itself if one of them cannot be."""
    try:
        return _at_once(connection, jobs)
    except sqlite3.OperationalError:
        raise  # the disk: it is the same for all
    except Exception:
        with transaction(connection):
            return [_attempt(connection, job) for job in jobs]


def _at_once(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> Sequence[object]:
    """With as few statements as can be. Raises what keeps any of them from being done; then none is."""
    new = [(event, job.now) for job in jobs for event in job.new]
    outcomes = [(*each, job.now) for job in jobs for each in job.outcomes]
    if not outcomes and len(new) <= rows.ROWS and all(job.is_plain for job in jobs):
        rows.insert(connection, new)
        return [True] * len(jobs)
    with transaction(connection):
        rows.insert(connection, new)
        rows.settle_all(connection, outcomes)
        return [_run(connection, job) for job in jobs]


def _run(connection: sqlite3.Connection, job: _Job) -> object:
    """What is told of a job whose events and outcomes are written."""
    if job.run is not None:
        return job.run(connection)
    rows.mark(connection, job.marks)
    return job.outcomes or True


def _attempt(connection: sqlite3.Connection, job: _Job) -> object | PyfcError:
    """One job of a commit: its failure is its own."""
    connection.execute("SAVEPOINT job")
    result: object = True
    try:
        rows.insert(connection, [(event, job.now) for event in job.new])
        settled = [each for each in job.outcomes if rows.settle(connection, *each, job.now)]
        result = settled if job.outcomes else _run(connection, job)
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


def _damaged(path: Path, what: str) -> str:
    return (
        f"the queue {path} is damaged ({what}): nothing was changed. `sqlite3 {path} .recover` gets out what can be "
        "read; move the file away to begin with an empty queue"
    )
