"""The object store: buckets as folders, and what its operations do to them. It knows nothing of HTTP.

1. An object is its file and its row. Both are replaced in one step of the thread that writes: first the file, then the
   row; a file that is not the one its row tells of was changed by somebody else and is measured anew.
2. Content is written to a file of its own and is durable before it takes its place, so an object is whole or as before;
   a small content is durable in the index first (see write_ahead.py).
3. Where the row cannot be written, since the disk is full, the file is as before again (see SideEffects).
4. Files that people put into a bucket's folder are objects too, by their content alone.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TypeVar

from pyfc.calls.paths import RESERVED
from pyfc.cloud.oss import index
from pyfc.cloud.oss.faults import Fault, bucket_exists, invalid_bucket, no_such_bucket, no_such_key, no_such_upload
from pyfc.cloud.oss.files import Files, path_of, seen
from pyfc.cloud.oss.index import Index
from pyfc.cloud.oss.model import (
    BUCKET_ACLS,
    NORMAL,
    PRIVATE,
    TEMPORARY,
    Bucket,
    Cause,
    Content,
    Description,
    Object,
    Place,
    Seen,
)
from pyfc.cloud.oss.unwritten import Unwritten
from pyfc.cloud.oss.write_ahead import LARGEST as SMALL
from pyfc.cloud.oss.write_ahead import WriteAhead
from pyfc.cloud.oss.writing import Held, Incoming, begin, check_digest, measure, resumed
from pyfc.errors import InvalidArgument

_BUCKET = re.compile("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
DECLARED = ".declared"
"""A folder that no bucket has; in it lies one for each bucket that is a folder of a project."""
_TRIES = 5
"""Looks at an object that is replaced meanwhile."""
T = TypeVar("T")


class Store:
    """The buckets of one server."""

    def __init__(self, folder: Path, path: Path) -> None:
        """`folder`: new buckets are folders in it. `path`: the index. Raises InvalidArgument for a damaged one."""
        self.folder = folder
        self._index = Index(path)
        self._files: dict[str, Files] = {}
        self._unwritten = Unwritten(self._index)
        self._ahead = WriteAhead(self._index, self.files_in)
        self.changed = asyncio.Event()
        """Set when a bucket has come or gone."""

    @property
    def index(self) -> Index:
        """What is known of everything."""
        return self._index

    async def start(self) -> None:
        """Before anything is asked for: write again what a machine that lost its power has lost."""
        await self._ahead.start()

    async def close(self) -> None:
        """Write what waits, and close everything."""
        await self._unwritten.close()
        await self._ahead.close()
        await self._index.close()
        for files in self._files.values():
            files.close()

    # buckets

    def bucket(self, name: str) -> Bucket:
        """Raises Fault NoSuchBucket."""
        if name not in self._index.buckets:
            raise no_such_bucket(name)
        return self._index.buckets[name]

    def buckets(self) -> list[Bucket]:
        """All, by name."""
        return sorted(self._index.buckets.values())

    async def create(self, name: str, acl: str = PRIVATE, folder: Path | None = None) -> Bucket:
        """A new bucket, in `folder` or in one of its own. Raises Fault BucketAlreadyExists, InvalidBucketName."""
        made = self._new(name, acl, folder)
        await self._index.write(lambda connection: index.put_bucket(connection, made))
        self._index.buckets[name] = made
        self.changed.set()
        return made

    def _new(self, name: str, acl: str, folder: Path | None) -> Bucket:
        """A bucket that is a folder, and nowhere written down."""
        if not is_bucket(name):
            raise invalid_bucket(name)
        check_acl(acl, BUCKET_ACLS)
        if name in self._index.buckets:
            raise bucket_exists(name)
        made = Bucket(name, time.time(), acl, str(folder or self.folder / name))
        self.files(made)
        return made

    def have(self, name: str) -> None:
        """Have a bucket from now on, a new one if there is none. Raises InvalidArgument if it cannot be."""
        check_name(name)
        if name in self._index.buckets:
            return
        try:
            made = self._new(name, PRIVATE, None)
        except Fault as fault:
            raise InvalidArgument(message=f"bucket {name[:100]!r}: {fault.message}") from fault
        self._index.buckets[name] = made
        self.changed.set()
        self._unwritten.add(made)

    def has(self, name: str) -> bool:
        """Whether a bucket is there."""
        return name in self._index.buckets

    async def set_acl(self, bucket: Bucket, acl: str) -> None:
        """Who may read and write it without a key."""
        check_acl(acl, BUCKET_ACLS)
        made = bucket._replace(acl=acl)
        await self._index.write(lambda connection: index.put_bucket(connection, made))
        self._index.buckets[bucket.name] = made

    async def delete_bucket(self, bucket: Bucket, *, forgets: bool = False) -> None:
        """Raises Fault BucketNotEmpty, unless it `forgets` what is in it. The folder stays with what is no object."""
        if not forgets and await asyncio.to_thread(self.files(bucket).has_any):
            raise index.not_empty(bucket.name)
        change = index.forget_bucket if forgets else index.remove_bucket
        await self._index.write(lambda connection: change(connection, bucket.name))
        self._index.buckets.pop(bucket.name, None)
        self._unwritten.forget(bucket.name)
        self.changed.set()
        if (files := self._files.pop(bucket.name, None)) is not None:
            files.close()
            await asyncio.to_thread(files.remove_if_empty)

    def files_in(self, name: str) -> Files:
        """The folder of the bucket with this name. Raises Fault NoSuchBucket."""
        return self.files(self.bucket(name))

    def files(self, bucket: Bucket) -> Files:
        """The bucket's folder. Raises Fault if it cannot be used."""
        found = self._files.get(bucket.name)
        if found is None:
            try:
                home = home_of(self.folder, bucket.name)
                found = self._files[bucket.name] = Files(Path(bucket.folder), home if home.is_dir() else None)
            except OSError as error:
                why = f"The folder of bucket {bucket.name} cannot be used: {error.strerror}."
                raise Fault("ServiceUnavailable", why) from error
        return found

    # objects

    async def head(self, bucket: str, key: str) -> Object:
        """An object as its file is now. Raises Fault NoSuchKey."""
        found, descriptor = await self.open(bucket, key)
        os.close(descriptor)
        return found

    async def open(self, bucket: str, key: str) -> tuple[Object, int]:
        """An object and its content, open for the caller to close. Raises Fault NoSuchKey."""
        files = self.files_in(bucket)
        for _ in range(_TRIES):
            known = await self._index.object(bucket, key)
            try:
                descriptor = files.open(key, is_aside=_is_aside(known, key))
            except (OSError, InvalidArgument):
                break
            try:
                found = await self._measured(bucket, key, known, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if found is not None:
                return found, descriptor
            os.close(descriptor)  # replaced between the look at the row and that at the file
        raise no_such_key(key)

    async def _measured(self, bucket: str, key: str, known: Object | None, descriptor: int) -> Object | None:
        """What an open file is as an object; None if it has changed meanwhile."""
        now = seen(descriptor)
        if known is not None and known.seen == now:
            return known
        again = await self._index.object(bucket, key)
        if again != known:
            return None
        content = await asyncio.to_thread(measure, descriptor)
        if seen(descriptor) != now or content.size != now.size:
            return None
        return Object(bucket, key, content, now, NORMAL, _is_aside(known, key), _described(known))

    async def put(
        self, place: Place, chunks: AsyncIterator[bytes], described: Description, *,
        cause: Cause, stated: str = "", may_replace: bool = True,
    ) -> Object:  # fmt: skip
        """Keep content. `stated`: its Content-MD5. Raises Fault InvalidDigest, FileAlreadyExists, EntityTooLarge."""
        files = self.files_in(place.bucket)
        first, is_all = await begin(chunks, SMALL)
        if is_all:
            held = Held(files, first)
            check_digest(stated, held.digest)
            return await self.keep(held, new_object(place, held.content, described), cause, may_replace=may_replace)
        async with Incoming(files) as new:
            content = await new.take(resumed(first, chunks))
            check_digest(stated, new.digest)
            return await self.keep(new, new_object(place, content, described), cause, may_replace=may_replace)

    async def keep(
        self, new: Incoming | Held, made: Object, cause: Cause, *, may_replace: bool = True, upload: str = ""
    ) -> Object:
        """Make new content the object. `upload`: of whose parts it is made; that ends in the same step."""
        files, is_small, effects = self.files_in(made.bucket), isinstance(new, Held), self._index.effects

        def job(connection: sqlite3.Connection) -> Object:
            self._unwritten.have_row(made.bucket, connection)
            if upload and not index.has_upload(connection, upload):
                raise no_such_upload(upload)
            before = index.find(connection, made.bucket, made.key)
            if before is not None and not may_replace:
                raise Fault("FileAlreadyExists", "The object you specified already exists and can not be overwritten.")
            with new.file() as (name, descriptor):
                is_aside, now = files.keep(name, descriptor, made.key, effects, is_durable=not is_small)
                kept = made._replace(is_aside=is_aside, seen=now)
            if before is not None and before.is_aside != is_aside:
                files.remove(made.key, effects, is_aside=before.is_aside)
            index.put(connection, kept)
            if isinstance(new, Held):
                self._ahead.add(connection, kept, new.data)
            self._index.outbox.add(connection, cause, kept, before)
            if upload:
                index.remove_upload(connection, upload)
            return kept

        kept = await self._index.whole(job)
        if is_small:
            self._ahead.added(kept.content.size)
        return kept

    async def copy(
        self, source: Place, place: Place, described: Description | None, *,
        cause: Cause, check: Callable[[Object], None], may_replace: bool = True,
    ) -> Object:  # fmt: skip
        """Keep the content of another object, with its description if none is given. `check` raises what speaks
        against the source.
        """
        files = self.files_in(place.bucket)
        found, descriptor = await self.open(*source)
        try:
            check(found)
            async with Incoming(files) as new:
                await asyncio.to_thread(new.add, descriptor)
                await asyncio.to_thread(new.finish)
                described = described or found.description._replace(acl="default")
                made = new_object(place, found.content, described)
                return await self.keep(new, made, cause, may_replace=may_replace)
        finally:
            os.close(descriptor)

    async def delete(self, bucket: str, key: str, cause: Cause) -> None:
        """Remove an object if it is there."""
        files = self.files_in(bucket)

        def job(connection: sqlite3.Connection) -> None:
            before = index.find(connection, bucket, key)
            is_aside = _is_aside(before, key)
            found = files.seen(key, is_aside=is_aside)
            if before is None and found is None:
                return
            files.remove(key, self._index.effects, is_aside=is_aside)
            index.remove(connection, bucket, key)
            self._index.outbox.remove(connection, cause, before or _unmeasured(bucket, key, found))

        await self._index.write(job)

    async def describe(self, bucket: str, key: str, change: Callable[[Description], Description], cause: Cause) -> None:
        """Change what is said of an object. Raises Fault NoSuchKey."""
        found = await self.head(bucket, key)

        def job(connection: sqlite3.Connection) -> None:
            before = index.find(connection, bucket, key) or found
            now = before._replace(description=change(before.description))
            index.put(connection, now)
            self._index.outbox.add(connection, cause, now, before)

        await self._index.write(job)


def new_object(place: Place, content: Content, described: Description, kind: str = NORMAL) -> Object:
    """An object whose file is not in its place yet."""
    return Object(*place, content, Seen(0, 0, 0), kind, False, described)


def _unmeasured(bucket: str, key: str, found: Seen | None) -> Object:
    """A file that somebody has put into the folder, of which no more is known than its size."""
    size = found.size if found is not None else 0
    return new_object(Place(bucket, key), Content(size, "", 0), Description())


def _is_aside(known: Object | None, key: str) -> bool:
    return known.is_aside if known is not None else path_of(key) is None


def _described(known: Object | None) -> Description:
    return known.description if known is not None else Description()


def home_of(folder: Path, name: str) -> Path:
    """Where what belongs to a bucket and is no object lies, if its folder is one of a project. `folder`: of all."""
    return folder / DECLARED / name


def is_bucket(name: str) -> bool:
    """Whether a text can be the name of a bucket."""
    return _BUCKET.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raises InvalidArgument for what can be no bucket of a trigger or a project: its path is one of the server's, or
    it is the one of packages, or there is none with such a name.
    """
    if name in {*RESERVED, TEMPORARY}:
        raise InvalidArgument(message=f"the server itself uses the name {name!r}: give the bucket another one")
    if not is_bucket(name):
        raise InvalidArgument(
            message=f"{name[:100]!r} cannot be the name of a bucket: it has 3 to 63 small letters, digits and -, and"
            " neither begins nor ends with -"
        )


def check_acl(acl: str, known: AbstractSet[str]) -> None:
    """Raises Fault for what is none of those that a bucket, or an object, can have."""
    if acl not in known:
        raise Fault("InvalidArgument", f"The ACL is none of {', '.join(sorted(known))}.")
