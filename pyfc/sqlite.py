"""A SQLite file as the store, the queue and the stand-ins of the cloud's services use it.

1. Writes are durable before they are answered: WAL with synchronous=FULL. Those that wait meanwhile share the next
   commit, so that a hundred at once cost a few of them.
2. One thread writes, another reads, each with a connection of its own: a reader sees what was committed and waits for
   nobody.
3. A file is of the version of its data folder (data/version.py): a new one gets its tables, another one is refused.
4. No other user reads it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from pyfc.errors import Internal, InvalidArgument, PyfcError, Unavailable
from pyfc.tasks import Tasks

J = TypeVar("J")
"""Part of a commit."""
R = TypeVar("R")
"""What has become of it."""
_STATEMENTS = 256
"""Statements that are kept prepared."""
_log = logging.getLogger(__name__)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """What is done inside is written as a whole, or not at all if it raises. One statement by itself needs none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Database(Generic[J, R]):
    """One file, called `name` in messages. `commit`: does some jobs, in a transaction, and tells their outcomes.

    Opening raises InvalidArgument for a file of another version, sqlite3.Error for one that is damaged or none at all,
    Unavailable where this machine has no thread left; an open one needs no further thread.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        tables: str,
        version: int,
        commit: Callable[[sqlite3.Connection, Sequence[J]], Sequence[R | PyfcError]],
        told: Callable[[R], None] = lambda _: None,
        failed: Callable[[J], None] = lambda _: None,
    ) -> None:
        """`tables`: what makes the file of that version out of an empty one. `told` hears an outcome before who waits
        for it; `failed` of a job that was not done.
        """
        self._path = path
        self._name = name
        self._commit = commit
        self._told = told
        self._failed = failed
        self._waiting: list[tuple[J, asyncio.Future[R]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._writer, self._reader = _started(name, "writer"), _started(name, "reader")
        self._write_connection, self.connection = self._open(tables, version), self._open(tables, version)
        """`connection` is the reader's: for others only before the first `read`."""
        self._file = identity(path)

    def _open(self, tables: str, version: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
        )
        connection.execute("PRAGMA busy_timeout=5000")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in {0, version}:
            advice = "use that one" if found > version else "start a server on its folder, which takes it over"
            whose = "a newer" if found > version else "an older"
            raise InvalidArgument(message=f"the {self._name} {self._path} was written by {whose} pyfc: {advice}")
        self._path.chmod(0o600)  # it is ours; before SQLite makes the files beside it, which get its mode
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if not found:
            connection.executescript(f"BEGIN; {tables} PRAGMA user_version={version}; COMMIT;")
        return connection

    async def read(
        self,
        query: str,
        arguments: tuple[Any, ...] = (),
        pick: Callable[[Iterable[tuple[Any, ...]]], list[tuple[Any, ...]]] | None = None,
    ) -> list[tuple[Any, ...]]:
        """The rows of a query, or what `pick` takes of them in the reader's thread. Raises Unavailable."""

        def run() -> list[tuple[Any, ...]]:
            with closing(self.connection.execute(query, arguments)) as rows:
                return rows.fetchall() if pick is None else pick(rows)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, run)
        except sqlite3.Error as error:
            raise Unavailable(message=f"the {self._name} can not be read: {error}") from error

    def write(self, job: J) -> asyncio.Future[R]:
        """Do it in the next commit: done when that is durable. Raises Unavailable, Internal, what `commit` tells."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[R] = loop.create_future()
        self._waiting.append((job, done))
        if self._flushing is None or self._flushing.done():
            self._flushing = self._tasks.begin(f"writing the {self._name}", self._flush())
        return done

    def _commit_now(self, jobs: Sequence[J]) -> Sequence[R | PyfcError]:
        """In the writer's thread. Raises Unavailable if the file is another one than was opened, or none: what is
        written to it would be promised and lost.
        """
        if identity(self._path) != self._file:
            raise Unavailable(
                message=f"the {self._name} {self._path} was removed or replaced under the running server: restart it"
            )
        return self._commit(self._write_connection, jobs)

    async def _flush(self) -> None:
        """Commit whatever waits, until nothing does."""
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            jobs = [job for job, _ in waiting]
            outcomes: Sequence[R | PyfcError]
            try:
                outcomes = await asyncio.get_running_loop().run_in_executor(self._writer, self._commit_now, jobs)
            except PyfcError as error:
                outcomes = [error] * len(jobs)
            except sqlite3.Error as error:
                outcomes = [Unavailable(message=f"the {self._name} can not be written: {error}")] * len(jobs)
            except Exception:
                _log.exception("a commit of the %s has failed", self._name)
                outcomes = [Internal(detail="see the server's log")] * len(jobs)
            for (job, done), outcome in zip(waiting, outcomes, strict=True):
                self._tell(job, done, outcome)

    def _tell(self, job: J, done: asyncio.Future[R], outcome: R | PyfcError) -> None:
        """What became of a job. Those who want to know beside the one who waits must not keep others waiting."""
        try:
            if isinstance(outcome, PyfcError):
                self._failed(job)
            else:
                self._told(outcome)
        except Exception:
            _log.exception("what was written to the %s could not be told", self._name)
        if done.cancelled():
            return
        if isinstance(outcome, PyfcError):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)

    async def close(self) -> None:
        """Write what waits, and close the file."""
        while self._flushing is not None and not self._flushing.done():
            await asyncio.wait({self._flushing})
        for executor in (self._writer, self._reader):
            await asyncio.to_thread(executor.shutdown)
        self._write_connection.close()
        self.connection.close()


def _started(name: str, role: str) -> ThreadPoolExecutor:
    """One thread that runs already. An executor that cannot start its thread keeps what it was given and refused, and
    does it when the next one starts: a write that was told as failed, and tried again, would be done twice.
    """
    executor = ThreadPoolExecutor(1, f"pyfc-{name}-{role}")
    try:
        executor.submit(int).result()
    except RuntimeError as error:
        raise Unavailable(message=f"this machine has no thread left for the {name}'s {role}") from error
    return executor


def identity(path: Path) -> tuple[int, int] | None:
    """Which file or folder this is; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
