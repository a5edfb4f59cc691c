"""Points in a SQLite file: of 10 s for six hours, of a minute for 31 days, of an hour for a year. Of an instance there
are those of 10 s and of a minute, for six hours: many come and go.

What was counted in 10 s is written in one transaction, which puts it to the point of each step that it falls into:
after a kill everything but the last 10 s is there, once. The file is made by the first write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pyfc.data.version import METRICS_TABLES, VERSION
from pyfc.errors import InvalidArgument, PyfcError
from pyfc.observe.metrics.point import Point, Series
from pyfc.sqlite import Database, transaction

STEPS = {10: 6 * 3600, 60: 31 * 86400, 3600: 366 * 86400}
"""Seconds of a point, and for which points are kept."""
OF_INSTANCES = {10: 6 * 3600, 60: 6 * 3600}
"""The same, of an instance."""
STEP = min(STEPS)
_PRUNED = 600
"""Seconds after which it is looked for points that are too old."""
_EMPTY = "DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM points WHERE points.series = number)"
_FIND = "SELECT number FROM series WHERE service = ? AND function = ? AND qualifier = ? AND instance = ?"


class Counted(NamedTuple):
    """What was counted in 10 s."""

    time: int
    """When they began, in seconds since the epoch."""
    points: dict[Series, Point]


class Wanted(NamedTuple):
    """Which points: of `step` seconds each, that begin from `start` on and before `end`; '' for any name. `instance`:
    '' for the points of calls, `*` for those of any instance.
    """

    step: int
    start: float
    end: float
    service: str = ""
    function: str = ""
    qualifier: str = ""
    instance: str = ""
    has_buckets: bool = True
    """Whether points are to have theirs, which cost more to read than all the rest."""


class Found(NamedTuple):
    """A point, and whose it is."""

    series: Series
    time: int
    point: Point


class Store:
    """The file. Making one raises InvalidArgument for a file that is none of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pruned = 0
        self._database = self._open() if path.exists() else None

    def _open(self) -> Database[Counted, None]:
        try:
            return Database(self._path, "metrics", METRICS_TABLES, VERSION, self._commit)
        except sqlite3.Error as error:
            raise InvalidArgument(message=f"the metrics {self._path} cannot be opened: {error}") from error

    async def write(self, counted: Counted) -> None:
        """Keep it: done when it is durable. Raises Unavailable, InvalidArgument; then nothing of it is kept."""
        if self._database is None:
            self._database = self._open()
        await self._database.write(counted)

    async def read(self, wanted: Wanted) -> list[Found]:
        """The points, in order of time. Raises Unavailable."""
        if self._database is None:
            return []
        query, arguments = _query(wanted)
        decoded = partial(_decoded, has_buckets=wanted.has_buckets)
        rows = await self._database.read(query, arguments, decoded)
        return [Found(Series(*row[:4]), row[4], row[5]) for row in rows]

    async def close(self) -> None:
        """Write what waits, and close the file."""
        if self._database is not None:
            await self._database.close()

    def _commit(self, connection: sqlite3.Connection, jobs: Sequence[Counted]) -> Sequence[PyfcError | None]:
        with transaction(connection):
            for counted in jobs:
                for series, point in counted.points.items():
                    _put(connection, series, counted.time, point)
                if not 0 <= counted.time - self._pruned < _PRUNED:
                    self._pruned = counted.time
                    _prune(connection, counted.time)
        return [None] * len(jobs)


def _put(connection: sqlite3.Connection, series: Series, time: int, point: Point) -> None:
    found = connection.execute(_FIND, series).fetchone()
    if found is None:
        found = connection.execute("INSERT INTO series VALUES (NULL, ?, ?, ?, ?) RETURNING number", series).fetchone()
    for step in OF_INSTANCES if series.instance else STEPS:
        key = (found[0], step, time - time % step)
        before = connection.execute("SELECT point FROM points WHERE series = ? AND step = ? AND time = ?", key)
        row = before.fetchone()
        whole = _point(row[0]) if row is not None else Point()
        whole.merge(point)
        connection.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", (*key, whole.pack()))


def _prune(connection: sqlite3.Connection, now: int) -> None:
    series = connection.execute("SELECT number, instance FROM series").fetchall()
    old = [
        (number, step, now - kept)
        for number, instance in series
        for step, kept in (OF_INSTANCES if instance else STEPS).items()
    ]
    connection.executemany("DELETE FROM points WHERE series = ? AND step = ? AND time < ?", old)
    connection.execute(_EMPTY)


def _point(data: bytes, *, has_buckets: bool = True) -> Point:
    """One that is damaged counts as nothing."""
    try:
        return Point.unpack(data, has_buckets=has_buckets)
    except (msgspec.MsgspecError, ValueError):
        return Point()


def _query(wanted: Wanted) -> tuple[str, tuple[Any, ...]]:
    names = {"service": wanted.service, "function": wanted.function, "qualifier": wanted.qualifier}
    chosen = {name: value for name, value in names.items() if value}
    instance = "instance <> ''" if wanted.instance == "*" else "instance = ?"
    where = " AND ".join([*(f"{name} = ?" for name in chosen), instance])
    query = (  # CROSS: series come first, each of which has its points in order of time; else all points are looked at
        "SELECT service, function, qualifier, instance, time, point FROM series CROSS JOIN points ON series = number "  # noqa: S608  our own words
        f"WHERE {where} AND step = ? AND time >= ? AND time < ? ORDER BY time, number"
    )
    named = [*chosen.values(), *([] if wanted.instance == "*" else [wanted.instance])]
    return query, (*named, wanted.step, wanted.start, wanted.end)


def _decoded(rows: Iterable[tuple[Any, ...]], *, has_buckets: bool) -> list[tuple[Any, ...]]:
    return [(*row[:5], _point(row[5], has_buckets=has_buckets)) for row in rows]
