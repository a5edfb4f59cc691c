"""Projects, logstores and the groups of logs in them: one SQLite file, see cloud/database.py. What is answered is
durable.

The file has a size and an age: with every group that comes the oldest that are too much go. Where none comes, one task
sleeps until the next that is kept is too old.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from pyfc.cloud.database import LazyDatabase, SideEffects
from pyfc.cloud.sls.aging import Aging
from pyfc.cloud.sls.depths import Depths
from pyfc.cloud.sls.faults import Fault, internal, no_logstore, no_project
from pyfc.cloud.sls.groups import Labels
from pyfc.cloud.sls.model import DEFAULT_DAYS, Kept, Logstore, Project, check_logstore, check_project
from pyfc.data.version import SLS_TABLES
from pyfc.errors import PyfcError, Unavailable

_log = logging.getLogger(__name__)
T = TypeVar("T")
_DAY = 86400
_OVERHEAD = 256
"""Bytes that a group takes beside its own."""
_TOO_MUCH = 0.05
"""Of the most that is kept: what goes at once when there is more."""
_AGES = 60
"""Seconds between two looks at the age of what is kept."""
_BATCH = 100
_PUT = "INSERT INTO groups (logstore, received, topic, source, tags, logs, size, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PULL = "SELECT number, received, data FROM groups WHERE logstore = ? AND number >= ? AND number < ? ORDER BY number"
_END = """
SELECT coalesce(max(number), (SELECT seq FROM sqlite_sequence WHERE name = 'groups')) + 1
FROM groups WHERE logstore = ?
"""
_OLDEST = f"number IN (SELECT number FROM groups ORDER BY number LIMIT {_BATCH})"  # noqa: S608  a number of ours
_MOST_PULLED = 10 * 1024 * 1024
"""Bytes of groups that are pulled at once; one group may have more."""


class Store:
    """The file. Opening raises InvalidArgument for one that is none of ours."""

    def __init__(self, path: Path, most_bytes: int, most_days: int) -> None:
        self._most_bytes, self._most_days = most_bytes, most_days
        self.projects: dict[str, Project] = {}
        self.logstores: dict[tuple[str, str], Logstore] = {}
        self._size = self._received = self.newest = 0
        """`newest`: the number of the group that came last."""
        self.depths = Depths()
        self._looked = 0.0
        self.aging = Aging(self, most_days)
        self._making = asyncio.Lock()
        self._effects = SideEffects()
        self._database = LazyDatabase(path, "log service", SLS_TABLES, self._opened, _fault, effects=self._effects)

    def _opened(self, connection: sqlite3.Connection) -> None:
        self.projects = {row[0]: Project(*row) for row in connection.execute("SELECT * FROM projects")}
        found = [_logstore(row) for row in connection.execute("SELECT * FROM logstores")]
        self.logstores = {(each.project, each.name): each for each in found}
        (self._size,) = connection.execute("SELECT coalesce(sum(size), 0) FROM groups").fetchone()
        (self._received,) = connection.execute("SELECT coalesce(max(received), 0) FROM groups").fetchone()
        (self.newest,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'groups'").fetchone()

    def project(self, name: str) -> Project:
        """Raises Fault ProjectNotExist."""
        found = self.projects.get(name)
        if found is None:
            raise no_project(name)
        return found

    def logstore(self, project: str, name: str) -> Logstore:
        """Raises Fault ProjectNotExist, LogStoreNotExist."""
        self.project(project)
        found = self.logstores.get((project, name))
        if found is None:
            raise no_logstore(name)
        return found

    async def have(self, project: str, name: str, reason: str) -> Logstore:
        """A logstore, which is made if it is missing, as its project is. `reason`: what describes that. Raises Fault
        for what can be none.
        """
        check_project(project)
        check_logstore(name)
        async with self._making:
            if project not in self.projects:
                now = int(time.time())
                await self.put_project(Project(project, reason, now, now), is_new=True)
            found = self.logstores.get((project, name))
            return found or await self.create_logstore(project, name, {"ttl": DEFAULT_DAYS})

    async def put_project(self, made: Project, *, is_new: bool) -> None:
        """Write a project. Raises Fault ProjectAlreadyExist."""

        def write(connection: sqlite3.Connection) -> None:
            if is_new and connection.execute("SELECT 1 FROM projects WHERE name = ?", (made.name,)).fetchone():
                raise Fault("ProjectAlreadyExist", f"Project {made.name} already exist.")
            connection.execute("INSERT OR REPLACE INTO projects VALUES (?, ?, ?, ?)", made)

        await self.write(write)
        self.projects[made.name] = made

    async def delete_project(self, name: str) -> None:
        """Forget a project and all that is in it."""
        gone = [each for each in self.logstores.values() if each.project == name]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM projects WHERE name = ?", (name,))
            self._forget(connection, [each.number for each in gone])

        await self.write(write)
        self.projects.pop(name, None)
        for each in gone:
            self.logstores.pop((name, each.name), None)

    async def create_logstore(self, project: str, name: str, settings: dict[str, Any]) -> Logstore:
        """A new logstore. Raises Fault LogStoreAlreadyExist, ProjectNotExist."""
        now = int(time.time())

        def write(connection: sqlite3.Connection) -> int:
            if not connection.execute("SELECT 1 FROM projects WHERE name = ?", (project,)).fetchone():
                raise no_project(project)
            if connection.execute("SELECT 1 FROM logstores WHERE project = ? AND name = ?", (project, name)).fetchone():
                raise Fault("LogStoreAlreadyExist", f"logstore {name} already exists")
            query = "INSERT INTO logstores (project, name, settings, created, modified) VALUES (?, ?, ?, ?, ?)"
            return cast("int", connection.execute(query, (project, name, _encoded(settings), now, now)).lastrowid)

        number = await self.write(write)
        made = self.logstores[project, name] = Logstore(number, project, name, settings, None, now, now)
        return made

    async def change_logstore(self, made: Logstore) -> None:
        """Write a logstore's settings and index over those of before."""
        changed = made._replace(modified=int(time.time()))
        values = (_encoded(made.settings), None if made.indexed is None else _encoded(made.indexed))

        def write(connection: sqlite3.Connection) -> None:
            query = "UPDATE logstores SET settings = ?, keys = ?, modified = ? WHERE number = ?"
            if not connection.execute(query, (*values, changed.modified, changed.number)).rowcount:
                raise no_logstore(made.name)

        await self.write(write)
        self.logstores[made.project, made.name] = changed

    async def delete_logstore(self, gone: Logstore) -> None:
        """Forget a logstore and its logs."""
        await self.write(lambda connection: self._forget(connection, [gone.number]))
        self.logstores.pop((gone.project, gone.name), None)

    def _forget(self, connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._remove(connection, "logstore = ?", (number,))
            connection.execute("DELETE FROM logstores WHERE number = ?", (number,))
            connection.execute("DELETE FROM consumer_groups WHERE logstore = ?", (number,))
            connection.execute("DELETE FROM checkpoints WHERE logstore = ?", (number,))

    async def put(self, logstore: Logstore, labels: Labels, logs: int, data: bytes, depth: int = 0) -> int:
        """Keep a group that was checked; its number. `depth`: how many calls have led to it. Raises Fault
        LogStoreNotExist.
        """
        size = len(data) + _OVERHEAD
        values = (labels.topic, labels.source, _encoded(labels.tags), logs, size, data)

        def write(connection: sqlite3.Connection) -> int:
            if not connection.execute("SELECT 1 FROM logstores WHERE number = ?", (logstore.number,)).fetchone():
                raise no_logstore(logstore.name)
            self._trim(connection)
            self._received = max(self._received, int(time.time()))
            number = connection.execute(_PUT, (logstore.number, self._received, *values)).lastrowid
            self._resize(self._size + size)
            if depth:  # before it can be seen
                self.depths.note(logstore.number, depth, cast("int", number))
            return cast("int", number)

        number = await self.write(write)
        self.newest = max(self.newest, number)
        self.aging.watch()
        return number

    async def trim(self) -> None:
        """Remove what is too much or too old now. Raises Fault ServerBusy."""

        def trim(connection: sqlite3.Connection) -> None:
            self._looked = 0.0
            self._trim(connection)

        await self.write(trim)

    def _trim(self, connection: sqlite3.Connection) -> None:
        """Remove what is too much or too old."""
        now = time.monotonic()
        if not self._looked or now - self._looked > _AGES:
            self._looked = now
            for each in list(self.logstores.values()):
                oldest = int(time.time()) - min(each.days, self._most_days) * _DAY
                self._remove(connection, "logstore = ? AND received < ?", (each.number, oldest))
            self._resize(connection.execute("SELECT coalesce(sum(size), 0) FROM groups").fetchone()[0])
        if self._size > self._most_bytes:
            while self._size > self._most_bytes * (1 - _TOO_MUCH) and self._remove(connection, _OLDEST):
                pass

    def _remove(self, connection: sqlite3.Connection, which: str, values: tuple[Any, ...] = ()) -> int:
        (size,) = connection.execute(f"SELECT coalesce(sum(size), 0) FROM groups WHERE {which}", values).fetchone()  # noqa: S608
        if size:
            connection.execute(f"DELETE FROM groups WHERE {which}", values)  # noqa: S608  words of our own
            self._resize(self._size - size)
        return cast("int", size)

    def _resize(self, size: int) -> None:
        """What is not written does not count, nor is what was not removed gone."""
        self._effects.add(partial(setattr, self, "_size", self._size))
        self._size = size

    async def pull(self, logstore: Logstore, begin: int, end: int | None, most: int) -> list[Kept]:
        """The first `most` groups from one number on and before another, as far as they are not too large together."""

        def pick(rows: Any) -> list[tuple[Any, ...]]:
            found: list[tuple[Any, ...]] = []
            size = 0
            for row in rows:
                size += len(row[2])
                if found and size > _MOST_PULLED:
                    break
                found.append(row)
            return found

        limit = 2**63 - 1 if end is None else end
        return [Kept(*row) for row in await self.read(f"{_PULL} LIMIT ?", (logstore.number, begin, limit, most), pick)]

    async def number_at(self, logstore: Logstore, received: int) -> int | None:
        """The first group that came at this time or later; None if none has."""
        query = "SELECT min(number) FROM groups WHERE logstore = ? AND received >= ?"
        ((number,),) = await self.read(query, (logstore.number, received))
        return cast("int | None", number)

    async def end(self, logstore: Logstore) -> int:
        """A number that every group has which comes from now on, or a larger one, and none that is there."""
        ((number,),) = await self.read(_END, (logstore.number,))
        return cast("int", number)

    async def received(self, logstore: Logstore, number: int) -> int | None:
        """When the first group from this number on came; None if there is none."""
        query = "SELECT received FROM groups WHERE logstore = ? AND number >= ? ORDER BY number LIMIT 1"
        rows = await self.read(query, (logstore.number, number))
        return rows[0][0] if rows else None

    async def read(self, query: str, values: tuple[Any, ...], pick: Any = None) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises Fault ServerBusy."""
        try:
            return await self._database.read(query, values, pick)
        except Unavailable as error:
            raise Fault("ServerBusy", str(error)) from error

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in the next commit. Raises the Fault that it raises; nothing is written then."""
        try:
            return await self._database.write(job)
        except PyfcError as error:
            raise Fault("ServerBusy", str(error)) from error

    async def close(self) -> None:
        """Write what waits, and close the file."""
        await self.aging.close()
        await self._database.close()


def _logstore(row: tuple[Any, ...]) -> Logstore:
    number, project, name, settings, index, created, modified = row
    return Logstore(number, project, name, json.loads(settings), index and json.loads(index), created, modified)


def _encoded(value: Any) -> str:
    return json.dumps(value)


def _fault(error: Exception) -> Fault:
    """What is told of a write that has failed."""
    _log.error("a write of the log service has failed", exc_info=error)
    return internal()
