"""Buckets that a trigger names are there at once; their rows are written as soon as there is room for them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from functools import partial

from pyfc.cloud.oss import index
from pyfc.cloud.oss.faults import Fault, no_such_bucket
from pyfc.cloud.oss.index import Index
from pyfc.cloud.oss.model import Bucket
from pyfc.model.policy import back_off
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)


class Unwritten:
    """The buckets of one store that have no row yet."""

    def __init__(self, rows: Index) -> None:
        self._index = rows
        self._buckets: dict[str, Bucket] = {}
        self._tasks = Tasks()

    def add(self, made: Bucket) -> None:
        """Write this one."""
        self._buckets[made.name] = made
        self._tasks.begin(f"writing bucket {made.name}", self._write(made))

    def forget(self, name: str) -> None:
        """The bucket is there no more."""
        self._buckets.pop(name, None)

    async def _write(self, made: Bucket) -> None:
        failures = 0
        while self._buckets.get(made.name) is made:
            try:
                await self._index.write(partial(self.have_row, made.name))
            except Fault as fault:
                failures += 1
                _log.warning("bucket %s is not written down yet: %s", made.name, fault.message)
                await asyncio.sleep(back_off(failures))

    def have_row(self, name: str, connection: sqlite3.Connection) -> None:
        """In a write: have a row of a bucket. Raises Fault NoSuchBucket; it may have gone in this very commit."""
        if index.has_bucket(connection, name):
            return
        made = self._buckets.pop(name, None)
        if made is None:
            raise no_such_bucket(name)
        self._index.effects.add(partial(self._buckets.setdefault, name, made))
        index.put_bucket(connection, made)

    async def close(self) -> None:
        """Try no longer."""
        await self._tasks.close()
