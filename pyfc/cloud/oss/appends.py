"""Objects that grow: what is appended is written at the end of the file that is there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from weakref import WeakValueDictionary

from pyfc.cloud.oss import index
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.files import Files, seen
from pyfc.cloud.oss.model import APPENDABLE, Cause, Content, Description, Object, Place
from pyfc.cloud.oss.store import Store, new_object
from pyfc.cloud.oss.writing import LARGEST, Incoming, append, check_digest, combined
from pyfc.errors import InvalidArgument

_log = logging.getLogger(__name__)


class Appends:
    """The appends to one store's objects, one after the other where they are for one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks: WeakValueDictionary[Place, asyncio.Lock] = WeakValueDictionary()

    async def start(self) -> None:
        """Cut what a server that died was appending. That needs no room on the disk; to forget it does."""
        for bucket, key in await self._store.index.appends():
            if bucket in self._store.index.buckets:
                try:
                    await self._store.index.write(partial(self._cut, bucket, key))
                except Fault as fault:
                    _log.warning("what was being appended to %r of %s is cut at each start: %s", key, bucket, fault)

    def _cut(self, bucket: str, key: str, connection: sqlite3.Connection) -> None:
        known, files = index.find(connection, bucket, key), self._store.files_in(bucket)
        if known is not None:
            with contextlib.suppress(OSError, InvalidArgument):  # removed meanwhile, or something else is there
                now = files.seen(key, is_aside=known.is_aside)
                if now is not None and now.inode == known.seen.inode and now.size > known.content.size:
                    files.cut(key, known)
        index.end_append(connection, bucket, key)

    async def put(
        self, place: Place, position: int, chunks: AsyncIterator[bytes], described: Description, *,
        cause: Cause, stated: str = "",
    ) -> Object:  # fmt: skip
        """Write at the end of an object, which is new at position 0. Raises Fault PositionNotEqualToLength,
        ObjectNotAppendable, EntityTooLarge.
        """
        bucket, key = place
        files = self._store.files_in(bucket)
        async with Incoming(files) as new:
            content = await new.take(chunks)
            check_digest(stated, new.digest)
            async with self._lock(place):
                before = await self._appendable(bucket, key, position)
                if before is None:
                    return await self._store.keep(new, new_object(place, content, described, APPENDABLE), cause)
                if before.content.size + content.size > LARGEST:
                    raise Fault("EntityTooLarge", f"An object that is appended to has at most {LARGEST} bytes.")
                return await self._append(files, before, new, content, cause)

    def _lock(self, place: Place) -> asyncio.Lock:
        found = self._locks.get(place)
        if found is None:
            found = self._locks[place] = asyncio.Lock()
        return found

    async def _appendable(self, bucket: str, key: str, position: int) -> Object | None:
        """What is appended to, None for a new object."""
        try:
            before = await self._store.head(bucket, key)
        except Fault as fault:
            if fault.code != "NoSuchKey":
                raise
            before = None
        if before is not None and before.type != APPENDABLE:
            raise Fault("ObjectNotAppendable", "The object is not appendable.")
        length = before.content.size if before is not None else 0
        if position != length:
            headers = {"x-oss-next-append-position": str(length)}
            if before is not None:
                headers["x-oss-hash-crc64ecma"] = str(before.content.crc)
            raise Fault("PositionNotEqualToLength", "Position is not equal to file length.", headers)
        return before

    async def _append(self, files: Files, before: Object, new: Incoming, content: Content, cause: Cause) -> Object:
        """The file grows where it is. That it may is written down first: a server that dies in between cuts it."""
        bucket, key = before.bucket, before.key
        await self._store.index.write(lambda connection: index.begin_append(connection, bucket, key))
        crc = combined(before.content.crc, content.crc, content.size)

        def job(connection: sqlite3.Connection) -> Object:
            if index.find(connection, bucket, key) != before:
                raise Fault("PositionNotEqualToLength", "The object was changed by somebody else.")
            self._store.index.effects.add(partial(files.cut, key, before))
            with files.writing(key, is_aside=before.is_aside) as descriptor:
                os.lseek(descriptor, before.content.size, os.SEEK_SET)
                append(descriptor, new.descriptor)
                os.fsync(descriptor)
                etag = _etag_of(before.content.etag, content.etag)
                made = before._replace(
                    content=Content(before.content.size + content.size, etag, crc), seen=seen(descriptor)
                )
            index.put(connection, made)
            self._store.index.outbox.add(connection, cause, made, before)
            index.end_append(connection, bucket, key)
            return made

        try:
            return await self._store.index.whole(job)
        except Fault:
            with contextlib.suppress(Fault):  # else it is cut at the next start, if there is anything to cut
                await self._store.index.write(lambda connection: index.end_append(connection, bucket, key))
            raise


def _etag_of(*etags: str) -> str:
    """That of an object which is no MD5 of its content."""
    return hashlib.md5("".join(etags).encode(), usedforsecurity=False).hexdigest().upper()
