"""Files that people put into a bucket's folder, change there or take away: each becomes the row that it means, and what
has happened is told. What the store wrote itself has its row already.
"""

from __future__ import annotations

import asyncio
import fcntl
import mimetypes
import os
import secrets
import signal
import sqlite3
import stat
import threading
import time

from pyfc.cloud.oss import index
from pyfc.cloud.oss.files import Files, seen
from pyfc.cloud.oss.model import NORMAL, Cause, Description, Object, Place, Seen
from pyfc.cloud.oss.store import Store
from pyfc.cloud.oss.writing import measure
from pyfc.errors import InvalidArgument
from pyfc.model.bucket import DELETE, PUT

SMALL = 8 * 1024 * 1024
"""Bytes of a file that is measured at once; larger ones wait for each other alone."""
_SETTLED = 1.0
"""Seconds without a change after which a file counts as written where the kernel cannot say."""
_TICK = 0.02
"""Seconds by which the clock of files may be behind."""
_HERE = "127.0.0.1"


class Dropped:
    """Looks at such files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def look(self, place: Place, *, is_closed: bool, most: int | None = None) -> bool:
        """Make the row of a key be that of its file. `is_closed`: its writer has closed it, else that is found out.
        False if it is to be looked at again later, also if it has more than `most` bytes. Raises PyfcError, Fault,
        OSError.
        """
        known = await self._store.index.object(*place)
        if known is not None and known.is_aside:
            return True
        files = self._store.files_in(place.bucket)
        try:
            descriptor = files.open(place.key, is_aside=False)
        except (OSError, InvalidArgument):
            if known is not None:
                await self._lose(files, known)
            return True
        try:
            if most is not None and os.fstat(descriptor).st_size > most:
                return False
            return await self._compare(files, place, descriptor, is_closed=is_closed)
        finally:
            os.close(descriptor)

    async def _compare(self, files: Files, place: Place, descriptor: int, *, is_closed: bool) -> bool:
        known = await self._store.index.whole(lambda connection: index.find(connection, *place))
        if known is not None and known.seen == seen(descriptor):
            return True  # the store's own write
        if not is_closed and not _is_written(descriptor):
            return False
        await self._take(files, place, known, descriptor)
        return True

    async def _take(self, files: Files, place: Place, known: Object | None, descriptor: int) -> None:
        now = seen(descriptor)
        over = threading.Event()
        try:
            content = await asyncio.to_thread(measure, descriptor, over.is_set)
        finally:
            over.set()  # the server ends, and does not wait until the thread has read it all
        if seen(descriptor) != now or content.size != now.size:
            return  # it is being written again, and is noticed when that ends
        described = known.description if known is not None else _described(place.key)
        made = Object(*place, content, now, NORMAL, False, described)
        is_older = os.fstat(descriptor).st_ctime + _TICK < self._store.bucket(place.bucket).created
        cause = _cause("" if is_older else PUT)

        def job(connection: sqlite3.Connection) -> None:
            if index.find(connection, *place) == known and _seen(files, place.key) == now:
                index.put(connection, made)
                self._store.index.outbox.add(connection, cause, made, known)

        await self._store.index.whole(job)

    async def _lose(self, files: Files, known: Object) -> None:
        def job(connection: sqlite3.Connection) -> None:
            if index.find(connection, known.bucket, known.key) == known and _seen(files, known.key) is None:
                index.remove(connection, known.bucket, known.key)
                self._store.index.outbox.remove(connection, _cause(DELETE), known)

        await self._store.index.whole(job)


def _seen(files: Files, key: str) -> Seen | None:
    """By what a key's file is known now; None if there is none, or a link or anything else that is no file."""
    try:
        return files.seen(key, is_aside=False)
    except (OSError, InvalidArgument):
        return None


def _cause(event: str) -> Cause:
    """What somebody has done by hand. What was there before the bucket was is no news."""
    return Cause(event, secrets.token_hex(12).upper(), _HERE)


def _described(key: str) -> Description:
    """As clients describe what they upload: by the ending of its name."""
    kind = mimetypes.guess_type(key, strict=False)[0]
    return Description({"content-type": kind} if kind else {})


def _is_written(descriptor: int) -> bool:
    """Whether nobody has a file open for writing: only then the kernel grants a lease of it."""
    lease = getattr(fcntl, "F_SETLEASE", None)
    if lease is not None and stat.S_ISREG(os.fstat(descriptor).st_mode):
        try:
            fcntl.fcntl(descriptor, getattr(fcntl, "F_SETSIG", 10), signal.SIGURG)  # who opens it now must not kill us
            fcntl.fcntl(descriptor, lease, fcntl.F_RDLCK)
            fcntl.fcntl(descriptor, lease, fcntl.F_UNLCK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # somebody else's file, or a disk that has no leases
        else:
            return True
    return time.time() - os.fstat(descriptor).st_mtime > _SETTLED
