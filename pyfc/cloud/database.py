"""What a stand-in keeps: one SQLite file, which is made by the first write, so a server that keeps nothing opens none.

A write is a job: a function of the connection that runs in the one thread that writes, so what it looks at does not
change under it. One that is refused has written nothing, and the others of its commit do not suffer. What a job changes
beside the file is undone with it: see SideEffects.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from pyfc.cloud.faults import ServiceFault
from pyfc.data.version import VERSION
from pyfc.errors import InvalidArgument, PyfcError
from pyfc.sqlite import Database, transaction

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], object]
_log = logging.getLogger(__name__)


class SideEffects:
    """What jobs have changed beside the file, such as other files, as long as their commit may fail: the disk may have
    no room for it. For the thread that writes.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[[], object], Callable[[], object]]] = []

    def add(self, undo: Callable[[], object], done: Callable[[], object] = lambda: None) -> None:
        """Something is changed. `undo` makes it as it was before, `done` is called when the commit is durable; both
        may raise OSError.
        """
        self._steps.append((undo, done))

    @contextlib.contextmanager
    def undone_if_it_fails(self) -> Iterator[None]:
        """Undo what is added inside, the last first, if it raises."""
        first = len(self._steps)
        try:
            yield
        except BaseException:
            while len(self._steps) > first:
                _tried(self._steps.pop()[0])
            raise

    def finish(self) -> None:
        """The commit is durable."""
        steps, self._steps = self._steps, []
        for _, done in steps:
            _tried(done)


def _tried(step: Callable[[], object]) -> None:
    try:
        step()
    except OSError as error:
        _log.warning("what a write has changed beside its file stays so: %s", error)


class _Refused(PyfcError):
    """Carries what is told of a job through the database, which hands out this package's errors only."""

    status, code = 500, "Internal"

    def __init__(self, fault: ServiceFault) -> None:
        super().__init__(message=str(fault))
        self.fault = fault


class LazyDatabase:
    """The file, called `name` in messages. Making one raises InvalidArgument for a file that is none of ours."""

    def __init__(
        self,
        path: Path,
        name: str,
        tables: str,
        opened: Callable[[sqlite3.Connection], None],
        fault: Callable[[Exception], ServiceFault],
        told: Callable[[object], None] = lambda _: None,
        effects: SideEffects | None = None,
    ) -> None:
        """`tables`, `told`: see Database. `effects`: what jobs add to. `opened` reads what is wanted in memory.
        `fault`: what a writer is told for what its job has raised, unless that is a fault itself.
        """
        self._path = path
        self._name = name
        self._tables = tables
        self._opened = opened
        self._fault = fault
        self._told = told
        self._effects = effects or SideEffects()
        self._database = self._open() if path.exists() else None

    def _open(self) -> Database[Job, object]:
        """Raises InvalidArgument."""
        try:
            database: Database[Job, object] = Database(
                self._path, self._name, self._tables, VERSION, self._commit, told=self._told
            )
            self._opened(database.connection)
        except sqlite3.Error as error:
            raise InvalidArgument(message=f"the {self._name} {self._path} cannot be opened: {error}") from error
        return database

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in the next commit. Raises what `fault` says, Unavailable, InvalidArgument for no file."""
        if self._database is None:
            self._database = self._open()
        try:
            return cast("T", await self._database.write(job))
        except _Refused as refused:
            raise refused.fault from None

    async def read(
        self,
        query: str,
        arguments: tuple[Any, ...] = (),
        pick: Callable[[Iterable[tuple[Any, ...]]], list[tuple[Any, ...]]] | None = None,
    ) -> list[tuple[Any, ...]]:
        """See Database; no rows without a file."""
        return [] if self._database is None else await self._database.read(query, arguments, pick)

    async def close(self) -> None:
        """Write what waits, and close the file."""
        if self._database is not None:
            await self._database.close()

    def _commit(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> Sequence[object | PyfcError]:
        with self._effects.undone_if_it_fails(), transaction(connection):
            outcomes = [self._outcome(connection, job) for job in jobs]
        self._effects.finish()
        return outcomes

    def _outcome(self, connection: sqlite3.Connection, job: Job) -> object | PyfcError:
        connection.execute("SAVEPOINT job")
        outcome: object
        try:
            with self._effects.undone_if_it_fails():
                outcome = job(connection)
        except sqlite3.Error:  # of the whole commit
            raise
        except Exception as error:
            outcome = _Refused(error if isinstance(error, ServiceFault) else self._fault(error))
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return outcome
