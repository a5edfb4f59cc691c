"""Queues, topics and what is in them: one SQLite file, see cloud/database.py. What is answered is durable.

Times are those of a clock that nobody moves, also over restarts: a message is hidden for as long as its receiver was
told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from pyfc.cloud.database import LazyDatabase
from pyfc.cloud.mns.faults import Fault, internal
from pyfc.cloud.mns.model import NAMED, Kind, Resource, Settings, settings_of
from pyfc.data.version import MNS_TABLES
from pyfc.errors import PyfcError
from pyfc.queues.steady import Mark, Steady

_log = logging.getLogger(__name__)
T = TypeVar("T")
_MARKS = 1.0
"""Seconds between two marks of the clock that are kept."""
_WITH: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "queues": ("DELETE FROM messages WHERE queue = ?",),
        "topics": ("DELETE FROM subscriptions WHERE topic = ?", "DELETE FROM deliveries WHERE topic = ?"),
    }
)
"""What goes with a resource."""
_RESOURCE = "number, name, settings, created, modified"


class Store:
    """The file. Opening raises InvalidArgument for one that is none of ours."""

    def __init__(self, path: Path) -> None:
        self._resources: dict[tuple[Kind, str], Resource] = {}
        self._made: defaultdict[tuple[Kind, str], asyncio.Event] = defaultdict(asyncio.Event)
        """Set when there is one of a name for which somebody waits."""
        self._clock = Steady(None)
        self._marked = 0.0
        self._database = LazyDatabase(path, "message service", MNS_TABLES, self._opened, _fault)

    def _opened(self, connection: sqlite3.Connection) -> None:
        kinds: tuple[Kind, ...] = ("queues", "topics")
        for kind in kinds:
            for row in connection.execute(f"SELECT {_RESOURCE} FROM {kind}"):  # noqa: S608
                self._resources[kind, row[1]] = _resource(kind, row)
        self._clock = Steady(Mark(*connection.execute("SELECT boot, offset, latest FROM clock").fetchone()))

    @property
    def now(self) -> float:
        """Seconds since the epoch, by the clock that nobody moves."""
        return self._clock.now()

    def resource(self, kind: Kind, name: str) -> Resource:
        """Raises Fault QueueNotExist, TopicNotExist."""
        found = self._resources.get((kind, name))
        if found is None:
            raise not_there(kind)
        return found

    def check(self, resource: Resource) -> None:
        """Raises Fault QueueNotExist, TopicNotExist for one that was deleted, even if there is another of its name."""
        found = self._resources.get((resource.kind, resource.name))
        if found is None or found.number != resource.number:
            raise not_there(resource.kind)

    async def there(self, kind: Kind, name: str) -> Resource:
        """The one of a name, when there is one."""
        while not self.has(kind, name):
            await self._made[kind, name].wait()
        return self._resources[kind, name]

    def has(self, kind: Kind, name: str) -> bool:
        """Whether it is there."""
        return (kind, name) in self._resources

    def resources(self, kind: Kind) -> list[Resource]:
        """All of them, by name."""
        return sorted((each for each in self._resources.values() if each.kind == kind), key=lambda each: each.name)

    async def create(self, kind: Kind, name: str, settings: Settings) -> bool:
        """Whether it is new. Raises Fault QueueAlreadyExist, TopicAlreadyExist for one with other settings."""
        now = int(self.now)

        def job(connection: sqlite3.Connection) -> Resource | None:
            row = connection.execute(f"SELECT settings FROM {kind} WHERE name = ?", (name,)).fetchone()  # noqa: S608
            if row is not None and json.loads(row[0]) != settings:
                message = f"The {NAMED[kind].lower()} you want to create is already exist, with other attributes."
                raise Fault(f"{NAMED[kind]}AlreadyExist", message)
            if row is not None:
                return None
            query = f"INSERT INTO {kind} (name, settings, created, modified) VALUES (?, ?, ?, ?)"  # noqa: S608
            done = connection.execute(query, (name, json.dumps(settings), now, now))
            return Resource(kind, cast("int", done.lastrowid), name, settings, now, now)

        made = await self.write(job)
        if made is not None:
            self._resources[kind, name] = made
            self._made.pop((kind, name), asyncio.Event()).set()
        return made is not None

    async def have(self, kind: Kind, name: str) -> None:
        """Make one with MNS's own settings if it is not there."""
        if not self.has(kind, name):
            with contextlib.suppress(Fault):  # somebody else has made it, otherwise
                await self.create(kind, name, settings_of(kind, {}))

    async def change(self, before: Resource, settings: Settings) -> None:
        """It has these settings from now on. Raises Fault QueueNotExist, TopicNotExist."""
        kind, now = before.kind, int(self.now)

        def job(connection: sqlite3.Connection) -> None:
            query = f"UPDATE {kind} SET settings = ?, modified = ? WHERE number = ?"  # noqa: S608
            if not connection.execute(query, (json.dumps(settings), now, before.number)).rowcount:
                raise not_there(kind)

        await self.write(job)
        self._resources[kind, before.name] = before._replace(settings=settings, modified=now)

    async def delete(self, kind: Kind, name: str) -> Resource | None:
        """Forget it with what it has, if it is there: the one that is gone now."""
        gone = self._resources.get((kind, name))
        if gone is None:
            return None

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(f"DELETE FROM {kind} WHERE number = ?", (gone.number,))  # noqa: S608
            for query in _WITH[kind]:
                connection.execute(query, (gone.number,))

        await self.write(job)
        if self._resources.get((kind, name)) is gone:
            del self._resources[kind, name]
        return gone

    async def read(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises Fault ServiceUnavailable."""
        try:
            return await self._database.read(query, values)
        except PyfcError as error:
            raise Fault("ServiceUnavailable", str(error)) from error

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in the next commit. Raises the Fault that it raises; nothing is written then."""

        def marked(connection: sqlite3.Connection) -> T:
            now = time.monotonic()
            if now - self._marked > _MARKS:
                connection.execute("UPDATE clock SET boot = ?, offset = ?, latest = ?", self._clock.mark)
                self._marked = now
            return job(connection)

        try:
            return await self._database.write(marked)
        except PyfcError as error:
            raise Fault("ServiceUnavailable", str(error)) from error

    async def close(self) -> None:
        """Write what waits, and close the file."""
        await self._database.close()


def resource_of(connection: sqlite3.Connection, kind: Kind, name: str) -> Resource | None:
    """The queue or topic of a name, in a write of the store."""
    row = connection.execute(f"SELECT {_RESOURCE} FROM {kind} WHERE name = ?", (name,)).fetchone()  # noqa: S608
    return _resource(kind, row) if row is not None else None


def _resource(kind: Kind, row: Sequence[Any]) -> Resource:
    number, name, settings, created, modified = row
    return Resource(kind, number, name, json.loads(settings), created, modified)


def not_there(kind: Kind) -> Fault:
    """There is no such queue or topic."""
    name = NAMED[kind]
    return Fault(f"{name}NotExist", f"The {name.lower()} name you provided is not exist.")


def _fault(error: Exception) -> Fault:
    """What is told of a write that has failed."""
    _log.error("a write of the message service has failed", exc_info=error)
    return internal()
