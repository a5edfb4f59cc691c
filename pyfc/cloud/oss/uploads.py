"""Uploads of many parts: parts come in any order and beside each other, and become an object in one step."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack

from pyfc.cloud.oss import index
from pyfc.cloud.oss.faults import Fault, no_such_upload
from pyfc.cloud.oss.files import Files
from pyfc.cloud.oss.model import MULTIPART, NOTHING, Cause, Content, Description, Object, Part, Place, Upload
from pyfc.cloud.oss.store import Store, new_object
from pyfc.cloud.oss.writing import Incoming, check_digest, combined

_SMALLEST = 100 * 1024
"""Bytes of a part that is not the last."""
MOST_PARTS = 10_000
"""The highest number of a part."""
_LARGEST = 48 * 1024**4 + 800 * 1024**3
"""Bytes of an object of many parts."""


class Uploads:
    """The uploads to one store's buckets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, place: Place, described: Description, cause: Cause) -> Upload:
        """A new upload. Raises Fault NoSuchBucket."""
        self._store.files_in(place.bucket)
        made = Upload(secrets.token_hex(16).upper(), *place, time.time(), described)
        begun = new_object(place, NOTHING, described)

        def job(connection: sqlite3.Connection) -> None:
            index.add_upload(connection, made)
            self._store.index.outbox.add(connection, cause, begun, begun)

        await self._store.index.write(job)
        return made

    async def find(self, place: Place, name: str) -> Upload:
        """Raises Fault NoSuchUpload."""
        found = await self._store.index.upload(name)
        if found is None or (found.bucket, found.key) != place:
            raise no_such_upload(name)
        return found

    async def put(
        self, place: Place, name: str, number: int, chunks: AsyncIterator[bytes], *, cause: Cause, stated: str = ""
    ) -> Part:
        """Keep a part, over one that has its number. Raises Fault NoSuchUpload, InvalidDigest."""
        await self.find(place, name)
        async with Incoming(self._store.files_in(place.bucket)) as new:
            content = await new.take(chunks)
            check_digest(stated, new.digest)
            return await self._keep(place, name, new, Part(number, content, time.time()), cause)

    async def _keep(self, place: Place, name: str, new: Incoming, part: Part, cause: Cause) -> Part:
        files = self._store.files_in(place.bucket)

        def job(connection: sqlite3.Connection) -> Part:
            if not index.has_upload(connection, name):
                raise no_such_upload(name)
            files.keep_part(new.name, name, part.number, self._store.index.effects)
            index.put_part(connection, name, part)
            self._store.index.outbox.add(connection, cause, new_object(place, part.content, Description()), None)
            return part

        return await self._store.index.whole(job)

    async def parts(self, place: Place, name: str) -> list[Part]:
        """What has come. Raises Fault NoSuchUpload."""
        await self.find(place, name)
        return await self._store.index.parts(name)

    async def abort(self, place: Place, name: str, cause: Cause) -> None:
        """Give an upload up. Raises Fault NoSuchUpload."""
        upload = await self.find(place, name)

        def job(connection: sqlite3.Connection) -> None:
            index.remove_upload(connection, name)
            self._store.index.outbox.remove(connection, cause, new_object(place, NOTHING, upload.description))

        await self._store.index.write(job)
        await asyncio.to_thread(self._store.files_in(place.bucket).remove_parts, name)

    async def complete(
        self, place: Place, name: str, wanted: Sequence[tuple[int, str]] | None, *,
        cause: Cause, may_replace: bool = True,
    ) -> Object:  # fmt: skip
        """Make an object of parts, which are named by number and ETag; None: of all. Raises Fault NoSuchUpload,
        InvalidPart, InvalidPartOrder, EntityTooSmall, FileAlreadyExists.
        """
        upload, there = await self.find(place, name), await self._store.index.parts(name)
        parts = there if wanted is None else _chosen(there, wanted)
        if not parts:
            raise Fault("InvalidPart", "An upload without a part cannot be completed.")
        if any(part.content.size < _SMALLEST for part in parts[:-1]):
            raise Fault("EntityTooSmall", f"A part that is not the last has at least {_SMALLEST} bytes.")
        if sum(part.content.size for part in parts) > _LARGEST:
            raise Fault("EntityTooLarge", f"An object has at most {_LARGEST} bytes.")
        files = self._store.files_in(place.bucket)
        async with Incoming(files) as new:
            await asyncio.to_thread(_join, files, name, parts, new)
            made = new_object(place, _content(parts), upload.description, MULTIPART)
            kept = await self._store.keep(new, made, cause, may_replace=may_replace, upload=name)
        await asyncio.to_thread(files.remove_parts, name)
        return kept


def _join(files: Files, name: str, parts: Sequence[Part], new: Incoming) -> None:
    for part in parts:
        with ExitStack() as stack:
            try:
                descriptor = files.open_part(name, part.number)
            except FileNotFoundError:
                raise no_such_upload(name) from None
            stack.callback(os.close, descriptor)
            if os.fstat(descriptor).st_size != part.content.size:
                raise Fault("InvalidPart", f"Part {part.number} has changed meanwhile.")
            new.add(descriptor)
    new.finish()


def _chosen(there: Sequence[Part], wanted: Sequence[tuple[int, str]]) -> list[Part]:
    known, last = {part.number: part for part in there}, 0
    found = []
    for number, etag in wanted:
        if number <= last:
            raise Fault("InvalidPartOrder", "The list of parts was not in ascending order.")
        part = known.get(number)
        if part is None or etag.strip('"').upper() != part.content.etag:
            raise Fault("InvalidPart", f"Part {number} was not found, or its entity tag is another one.")
        found.append(part)
        last = number
    return found


def _content(parts: Sequence[Part]) -> Content:
    md5 = hashlib.md5(usedforsecurity=False)
    crc = 0
    for part in parts:
        md5.update(bytes.fromhex(part.content.etag))
        crc = combined(crc, part.content.crc, part.content.size)
    size = sum(part.content.size for part in parts)
    return Content(size, f"{md5.hexdigest().upper()}-{len(parts)}", crc)
