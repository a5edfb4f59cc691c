"""Small contents are durable before their files are.

A put that syncs its file, the file's folder and the index waits for the disk three times, and the next one waits behind
it. So a small content stands in the index too, in the commit that tells of its object, and its file is not synced:

1. The file is written and takes its place in that same write: who lists the folder sees it, and the death of the server
   takes nothing away.
2. Soon after, one call makes all such files durable, and their contents are forgotten.
3. Contents that are there at a start are those of a machine that lost its power, or of a server that was killed: a file
   that is not what its object's row says is written again, unless somebody has changed it since.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from pyfc.cloud.oss import index
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.files import Files, seen
from pyfc.cloud.oss.index import Index
from pyfc.cloud.oss.model import Object
from pyfc.cloud.oss.writing import Held, measure
from pyfc.errors import InvalidArgument, PyfcError
from pyfc.host.disks import CAN_SYNC_AT_ONCE, sync_file_system
from pyfc.tasks import Tasks

LARGEST = 64 * 1024 if CAN_SYNC_AT_ONCE else -1
"""Bytes of a content that is small."""
_SOON = 1.0
"""Seconds after which files are made durable."""
_MOST = 16 * 1024 * 1024
"""Bytes of contents that are made durable at once."""
_log = logging.getLogger(__name__)


class WriteAhead:
    """The small contents of one store."""

    def __init__(self, rows: Index, files_in: Callable[[str], Files]) -> None:
        self._index = rows
        self._files_in = files_in
        self._tasks = Tasks()
        self._size = 0
        """Bytes of contents that were kept since the last time, 0 if none were."""
        self._is_full = asyncio.Event()
        self._lock = asyncio.Lock()
        """Two that settle at once would forget by an old number what has come since."""

    def add(self, connection: sqlite3.Connection, made: Object, content: bytes) -> None:
        """In a write of the store: keep an object's content, whose file is in its place."""
        connection.execute(
            "INSERT INTO contents (bucket, key, content) VALUES (?, ?, ?)",
            (made.bucket, index.key_bytes(made.key), content),
        )

    def added(self, size: int) -> None:
        """A write that kept so many bytes is done."""
        if not self._size:
            self._is_full.clear()
            self._tasks.begin("making small objects durable", self._settle_soon())
        self._size += max(size, 1)
        if self._size > _MOST:
            self._is_full.set()

    async def _settle_soon(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SOON):
                await self._is_full.wait()
        self._size = 0  # what is added from now on has a task of its own
        try:
            await self.settle()
        except (PyfcError, Fault, OSError) as error:
            _log.warning("small objects are not durable in their files yet, but in the index: %s", error)

    async def settle(self) -> None:
        """Make the files durable whose contents are kept, and forget these. Raises OSError, Unavailable."""
        async with self._lock:
            rows = await self._index.read("SELECT bucket, max(number) FROM contents GROUP BY bucket")
            if rows:
                await asyncio.to_thread(_sync, list(self._descriptors(bucket for bucket, _ in rows)))
                last = max(number for _, number in rows)
                await self._index.write(partial(_forget, last=last))

    def _descriptors(self, buckets: Iterable[str]) -> Iterator[int]:
        """One of each file system that has some of these buckets, for the caller to close."""
        devices: set[int] = set()
        for bucket in buckets:
            with contextlib.suppress(Fault):  # it is gone, and its objects are
                descriptor = self._files_in(bucket).descriptor
                if (device := os.fstat(descriptor).st_dev) not in devices:
                    devices.add(device)
                    yield os.dup(descriptor)

    async def start(self) -> None:
        """Write again what was lost; what cannot be written now is kept for the next start. Raises Unavailable."""
        rows = await self._index.read("SELECT number FROM contents ORDER BY number")
        try:
            for (number,) in rows:
                await self._index.write(partial(self._write_again, number))
            await self.settle()
        except (Fault, OSError) as error:
            _log.warning("small objects that a machine has lost cannot be written again: %s", error)

    def _write_again(self, number: int, connection: sqlite3.Connection) -> None:
        query = "SELECT bucket, key, content FROM contents WHERE number = ?"
        bucket, key_bytes, content = connection.execute(query, (number,)).fetchone()
        key = key_bytes.decode()
        known = index.find(connection, bucket, key)
        if known is None or known.content.etag != hashlib.md5(content, usedforsecurity=False).hexdigest().upper():
            return  # removed, or written by a later put
        try:
            files = self._files_in(bucket)
        except Fault:
            return
        if _is_there(files, known):
            return
        _log.warning(
            "object %r of %s was not on the disk yet when the machine stopped: it is written again", key, bucket
        )
        with Held(files, content).file() as (name, descriptor):
            is_aside, now = files.keep(name, descriptor, key, self._index.effects)
            index.put(connection, known._replace(is_aside=is_aside, seen=now))

    async def close(self) -> None:
        """Make durable what is not."""
        await self._tasks.close()
        with contextlib.suppress(PyfcError, OSError):
            await self.settle()


def _is_there(files: Files, known: Object) -> bool:
    """Whether an object's file is what its row says, or was changed by somebody since."""
    try:
        descriptor = files.open(known.key, is_aside=known.is_aside)
    except (OSError, InvalidArgument):
        return False
    try:
        now = seen(descriptor)
        if now != known.seen:
            return now.modified > known.seen.modified
        return measure(descriptor) == known.content
    finally:
        os.close(descriptor)


def _sync(descriptors: Sequence[int]) -> None:
    try:
        for each in descriptors:
            sync_file_system(each)
    finally:
        for each in descriptors:
            os.close(each)


def _forget(connection: sqlite3.Connection, last: int) -> None:
    connection.execute("DELETE FROM contents WHERE number <= ?", (last,))
