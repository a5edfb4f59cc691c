"""What is still to be told of the objects of buckets: a row beside the object's, written in the same step.

1. There is no row for what nobody is to be told of, so a bucket without a trigger costs nothing.
2. Rows have numbers that grow in the order of the commits, and are forgotten when everybody has been told.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from pyfc.cloud.database import SideEffects
from pyfc.cloud.oss.model import TEMPORARY, Cause, Object
from pyfc.model.bucket import Happened, Rule, fitting

Read = Callable[[str, tuple[Any, ...]], Awaitable[list[tuple[Any, ...]]]]
Write = Callable[[Callable[[sqlite3.Connection], object]], Awaitable[object]]

_RECENT = 1000
"""Changes of all buckets that people may look at, whether or not anybody is told of them."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Happened).decode


class Outbox:
    """The outbox of one store."""

    def __init__(self, read: Read, write: Write, effects: SideEffects) -> None:
        self._query = read
        self._write = write
        self._effects = effects
        self._rules: Mapping[str, Sequence[Rule]] = {}
        self._last = 0
        """The number that was given last, perhaps in a commit that is not done."""
        self._durable = 0
        """The highest number that was given since the start in a commit that is done."""
        self._seen = 0
        self._recent: deque[Happened] = deque(maxlen=_RECENT)
        self.arrived = asyncio.Event()
        """Set when there may be more to read."""
        self._fed: int | None = None
        self.passed = asyncio.Event()
        """The same for who follows everything."""

    def begin(self, connection: sqlite3.Connection) -> None:
        """The file is open."""
        (self._last,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()

    def want(self, rules: Mapping[str, Sequence[Rule]]) -> None:
        """Keep what these are for from now on. They are sorted by bucket."""
        self._rules = rules

    def follow(self, cursor: int | None) -> None:
        """Keep everything from now on for who has read up to this number, whatever the rules say; None: for nobody."""
        self._fed = cursor

    @property
    def last(self) -> int:
        """No row of before has a higher number."""
        return self._last

    def is_wanted(self, bucket: str, event: str, key: str) -> bool:
        """Whether anybody is to be told of this. For every thread."""
        is_followed = self._fed is not None and bucket != TEMPORARY
        return is_followed or (bool(self._rules) and fitting(self._rules, bucket, event, key))

    def add(self, connection: sqlite3.Connection, cause: Cause, now: Object, before: Object | None) -> None:
        """In a write of the store: an object has come, or is another one than before."""
        delta = now.content.size - (before.content.size if before is not None else 0)
        self._add(connection, cause, now, now.content.size, delta)

    def remove(self, connection: sqlite3.Connection, cause: Cause, before: Object) -> None:
        """In a write of the store: an object has gone."""
        self._add(connection, cause, before, 0, -before.content.size)

    def _add(self, connection: sqlite3.Connection, cause: Cause, told: Object, size: int, delta: int) -> None:
        happened = Happened(
            told.bucket, told.key, cause.event, time.time(), size, delta, told.content.etag,
            told.description.headers.get("content-type", ""), cause.request_id, cause.address, cause.depth,
        )  # fmt: skip
        self._recent.append(happened)
        self._effects.add(partial(self._forget_recent, happened))
        if not self.is_wanted(told.bucket, cause.event, told.key):
            return
        done = connection.execute("INSERT INTO outbox (happened) VALUES (?)", (_encode(happened),))
        self._last = done.lastrowid or 0
        self._effects.add(lambda: None, partial(self._is_durable, self._last))

    def _is_durable(self, number: int) -> None:
        self._durable = number

    def _forget_recent(self, happened: Happened) -> None:
        """It has not happened: it could not be written."""
        with contextlib.suppress(ValueError):
            self._recent.remove(happened)

    def recent(self, bucket: str) -> list[Happened]:
        """The last that has happened in a bucket since the server's start, for people; the newest last."""
        return [each for each in self._recent.copy() if each.bucket == bucket]

    def committed(self) -> None:
        """A write of the store is durable."""
        if self._durable > self._seen:
            self.arrived.set()
        if self._fed is not None and self._durable > self._fed:
            self.passed.set()

    def saw(self, number: int) -> None:
        """Who waits for `arrived` has read up to this number."""
        self._seen = number

    async def rows(self, after: int, limit: int) -> list[tuple[int, Happened]]:
        """The first `limit` rows whose numbers are higher than `after`, by number."""
        query = "SELECT number, happened FROM outbox WHERE number > ? ORDER BY number LIMIT ?"
        return [(number, _decode(row)) for number, row in await self._query(query, (after, limit))]

    async def forget(self, last: int) -> None:
        """Forget the rows up to this number, but for what who follows everything has not read."""
        last = last if self._fed is None else min(last, self._fed)
        query = "DELETE FROM outbox WHERE number <= ?"
        await self._write(lambda connection: connection.execute(query, (last,)))
