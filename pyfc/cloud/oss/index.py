"""What is known of buckets, objects and uploads: one SQLite file, see cloud/database.py."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pyfc.cloud.database import LazyDatabase, SideEffects
from pyfc.cloud.oss.faults import Fault, internal
from pyfc.cloud.oss.model import Bucket, Content, Description, Object, Part, Seen, Upload, encode, headers_of
from pyfc.cloud.oss.outbox import Outbox
from pyfc.data.version import OSS_TABLES
from pyfc.errors import InvalidArgument, Unavailable

_log = logging.getLogger(__name__)
T = TypeVar("T")
_OBJECT = "bucket, key, size, etag, crc, modified, inode, type, aside, headers, tags, acl"
_FIND = f"SELECT {_OBJECT} FROM objects WHERE bucket = ? AND key = ?"  # noqa: S608  words of our own
_UPLOAD = "id, bucket, key, created, headers, tags, acl"


class Index:
    """The file."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidArgument for a file that is none of ours."""
        self.effects = SideEffects()
        """For writes that change files."""
        self.outbox = Outbox(self.read, self._write, self.effects)
        """What is still to be told of objects."""
        self._buckets: dict[str, Bucket] = {}
        self._database = LazyDatabase(
            path, "object store", OSS_TABLES, self._opened, _fault, lambda _: self.outbox.committed(), self.effects
        )

    def _opened(self, connection: sqlite3.Connection) -> None:
        self.outbox.begin(connection)
        # a bucket may be known before the write that makes the file: see Store.have
        self._buckets.update({row[0]: Bucket(*row) for row in connection.execute("SELECT * FROM buckets")})

    @property
    def buckets(self) -> dict[str, Bucket]:
        """All buckets, by name."""
        return self._buckets

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in the next commit. Raises the Fault that it raises; nothing is written then. Raises Fault
        ServiceUnavailable if the file cannot be made or written: the disk is full.
        """
        try:
            return await self._write(job)
        except (InvalidArgument, Unavailable) as error:
            raise Fault("ServiceUnavailable", f"Nothing can be kept: {error}.") from error

    async def whole(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """The same; who is cancelled meanwhile ends when it is written, since the job uses what he has open."""
        writing = asyncio.ensure_future(self.write(job))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._database.write(job)

    async def read(self, query: str, arguments: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return await self._database.read(query, arguments)

    async def object(self, bucket: str, key: str) -> Object | None:
        """An object."""
        rows = await self.read(_FIND, (bucket, key_bytes(key)))
        return _object(rows[0]) if rows else None

    async def objects(self, bucket: str, begin: bytes, end: bytes, limit: int) -> list[Object]:
        """The first `limit` objects whose keys are not before `begin` and before `end`, in order; b"" is no end."""
        bound = "AND key < ?" if end else "AND ? = x''"
        query = f"SELECT {_OBJECT} FROM objects WHERE bucket = ? AND key >= ? {bound} ORDER BY key LIMIT ?"  # noqa: S608
        return [_object(row) for row in await self.read(query, (bucket, begin, end, limit))]

    async def seen(self, bucket: str, keys: Sequence[str]) -> dict[str, Seen]:
        """By what the files of those keys are known that have objects at their places."""
        query = f"""
            SELECT key, modified, inode, size FROM objects
            WHERE bucket = ? AND NOT aside AND key IN ({", ".join("?" * len(keys))})
        """  # noqa: S608  no input
        rows = await self.read(query, (bucket, *map(key_bytes, keys)))
        return {key.decode(): Seen(modified, inode, size) for key, modified, inode, size in rows}

    async def upload(self, name: str) -> Upload | None:
        """An upload that is not complete."""
        rows = await self.read(f"SELECT {_UPLOAD} FROM uploads WHERE id = ?", (name,))  # noqa: S608
        return _upload(rows[0]) if rows else None

    async def uploads(self, bucket: str) -> list[Upload]:
        """All uploads to a bucket that are not complete, by key and id."""
        query = f"SELECT {_UPLOAD} FROM uploads WHERE bucket = ? ORDER BY key, id"  # noqa: S608
        return [_upload(row) for row in await self.read(query, (bucket,))]

    async def parts(self, upload: str) -> list[Part]:
        """The parts of an upload that are there, in order."""
        query = "SELECT number, size, etag, crc, modified FROM parts WHERE upload = ? ORDER BY number"
        rows = await self.read(query, (upload,))
        return [Part(number, Content(size, etag, int(crc)), modified) for number, size, etag, crc, modified in rows]

    async def appends(self) -> list[tuple[str, str]]:
        """Bucket and key of what was being appended to."""
        rows = await self.read("SELECT bucket, key FROM appends")
        return [(bucket, key.decode()) for bucket, key in rows]

    async def statistics(self, bucket: str) -> tuple[int, int]:
        """How many objects a bucket has, and their bytes."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE bucket = ?"
        ((count, size),) = await self.read(query, (bucket,))
        return count, size

    async def close(self) -> None:
        """Write what waits, and close the file."""
        await self._database.close()


# what a job does with the connection that it is given


def find(connection: sqlite3.Connection, bucket: str, key: str) -> Object | None:
    """An object, as it is at this place in the order of writes."""
    row = connection.execute(_FIND, (bucket, key_bytes(key))).fetchone()
    return _object(row) if row else None


def put(connection: sqlite3.Connection, made: Object) -> None:
    """Write an object's row over the one of before."""
    content, described = made.content, made.description
    connection.execute(
        f"INSERT OR REPLACE INTO objects ({_OBJECT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            made.bucket, key_bytes(made.key), content.size, content.etag, str(content.crc), made.seen.modified,
            made.seen.inode, made.type, made.is_aside, encode(described.headers), encode(described.tags),
            described.acl,
        ),
    )  # fmt: skip


def remove(connection: sqlite3.Connection, bucket: str, key: str) -> None:
    """Forget an object."""
    connection.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key_bytes(key)))


def begin_append(connection: sqlite3.Connection, bucket: str, key: str) -> None:
    """From now on the object's file may be longer than its row says."""
    connection.execute("INSERT OR REPLACE INTO appends VALUES (?, ?)", (bucket, key_bytes(key)))


def end_append(connection: sqlite3.Connection, bucket: str, key: str) -> None:
    """File and row agree again."""
    connection.execute("DELETE FROM appends WHERE bucket = ? AND key = ?", (bucket, key_bytes(key)))


def add_upload(connection: sqlite3.Connection, made: Upload) -> None:
    """Remember an upload that begins."""
    described = made.description
    connection.execute(
        f"INSERT INTO uploads ({_UPLOAD}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  no input
        (
            made.id, made.bucket, key_bytes(made.key), made.created, encode(described.headers),
            encode(described.tags), described.acl,
        ),
    )  # fmt: skip


def has_upload(connection: sqlite3.Connection, name: str) -> bool:
    """Whether an upload is not complete, nor given up."""
    return connection.execute("SELECT 1 FROM uploads WHERE id = ?", (name,)).fetchone() is not None


def put_part(connection: sqlite3.Connection, upload: str, part: Part) -> None:
    """Write a part's row over the one of before."""
    size, etag, crc = part.content
    connection.execute(
        "INSERT OR REPLACE INTO parts (upload, number, size, etag, crc, modified) VALUES (?, ?, ?, ?, ?, ?)",
        (upload, part.number, size, etag, str(crc), part.modified),
    )


def remove_upload(connection: sqlite3.Connection, name: str) -> None:
    """Forget an upload and its parts."""
    connection.execute("DELETE FROM parts WHERE upload = ?", (name,))
    connection.execute("DELETE FROM uploads WHERE id = ?", (name,))


def put_bucket(connection: sqlite3.Connection, made: Bucket) -> None:
    """Write a bucket's row over the one of before."""
    connection.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?)", made)


def remove_bucket(connection: sqlite3.Connection, name: str) -> None:
    """Forget a bucket. Raises Fault if something is in it."""
    for query in ("SELECT 1 FROM objects WHERE bucket = ?", "SELECT 1 FROM uploads WHERE bucket = ?"):
        if connection.execute(f"{query} LIMIT 1", (name,)).fetchone():
            raise not_empty(name)
    connection.execute("DELETE FROM buckets WHERE name = ?", (name,))


def has_bucket(connection: sqlite3.Connection, name: str) -> bool:
    """Whether there is a bucket, at this place in the order of writes."""
    return connection.execute("SELECT 1 FROM buckets WHERE name = ?", (name,)).fetchone() is not None


def forget_bucket(connection: sqlite3.Connection, name: str) -> None:
    """Forget a bucket and all that is known of what is in it."""
    connection.execute("DELETE FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?)", (name,))
    for table, column in (
        ("objects", "bucket"),
        ("uploads", "bucket"),
        ("appends", "bucket"),
        ("contents", "bucket"),
        ("buckets", "name"),
    ):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))  # noqa: S608  words of our own


def not_empty(name: str) -> Fault:
    """There is something in the bucket of this name."""
    return Fault("BucketNotEmpty", "The bucket you tried to delete is not empty.", more={"BucketName": name})


def key_bytes(key: str) -> bytes:
    """A key as it is kept: its UTF-8 bytes, whose order is that of OSS's lists."""
    return key.encode()


def _object(row: tuple[Any, ...]) -> Object:
    bucket, key, size, etag, crc, modified, inode, kind, aside, headers, tags, acl = row
    content, described = Content(size, etag, int(crc)), Description(headers_of(headers), headers_of(tags), acl)
    return Object(bucket, key.decode(), content, Seen(modified, inode, size), kind, bool(aside), described)


def _upload(row: tuple[Any, ...]) -> Upload:
    name, bucket, key, created, headers, tags, acl = row
    return Upload(name, bucket, key.decode(), created, Description(headers_of(headers), headers_of(tags), acl))


def _fault(error: Exception) -> Fault:
    """What is told of a write that has failed."""
    if isinstance(error, OSError):
        return Fault("ServiceUnavailable", f"The object cannot be kept: {error.strerror}.")
    _log.error("a write of the object store has failed", exc_info=error)
    return internal()
