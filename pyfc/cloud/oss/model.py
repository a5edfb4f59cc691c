"""What the object store keeps: buckets, objects, uploads of many parts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

PRIVATE, PUBLIC_READ, PUBLIC_READ_WRITE = "private", "public-read", "public-read-write"
BUCKET_ACLS = frozenset({PRIVATE, PUBLIC_READ, PUBLIC_READ_WRITE})
OBJECT_ACLS = BUCKET_ACLS | {"default"}
NORMAL, APPENDABLE, MULTIPART = "Normal", "Appendable", "Multipart"
_NONE: Mapping[str, str] = MappingProxyType({})
TEMPORARY = "fc-temp"
"""The bucket of packages, see temporary.py."""


class Place(NamedTuple):
    """Bucket and key: what a request is about. '' for none."""

    bucket: str = ""
    key: str = ""

    @property
    def resource(self) -> str:
        """As RAM's policies name it."""
        return f"acs:oss:*:*:{self.bucket or '*'}{f'/{self.key}' if self.key else ''}"


class Cause(NamedTuple):
    """By what an object changes."""

    event: str
    """What OSS calls that, see model/bucket.py."""
    request_id: str = ""
    """Of the request, and where that came from."""
    address: str = ""
    depth: int = 0
    """How many calls led to it."""


class Bucket(NamedTuple):
    """A bucket, and the folder that is one."""

    name: str
    created: float
    """Seconds since the epoch."""
    acl: str
    folder: str


class Description(NamedTuple):
    """What a client says of an object beside its content."""

    headers: Mapping[str, str] = _NONE
    """Headers of every answer with it: Content-Type and its like, x-oss-meta-*; names in lower case."""
    tags: Mapping[str, str] = _NONE
    acl: str = "default"


class Content(NamedTuple):
    """Bytes in a file, as they were measured."""

    size: int
    etag: str
    """MD5 in upper-case hexadecimal; of an object of N parts something else that ends in -N."""
    crc: int
    """CRC-64/XZ."""


NOTHING = Content(0, "", 0)


class Seen(NamedTuple):
    """By what a file is known to be the one that was measured."""

    modified: int
    """Nanoseconds since the epoch."""
    inode: int
    size: int


class Object(NamedTuple):
    """An object."""

    bucket: str
    key: str
    content: Content
    seen: Seen
    type: str
    """NORMAL, APPENDABLE or MULTIPART."""
    is_aside: bool
    """Its key is no path, so its file is not at its key's place."""
    description: Description

    @property
    def modified(self) -> int:
        """Seconds since the epoch."""
        return self.seen.modified // 10**9


class Upload(NamedTuple):
    """An upload of many parts that is not complete."""

    id: str
    bucket: str
    key: str
    created: float
    description: Description


class Part(NamedTuple):
    """A part of an upload."""

    number: int
    content: Content
    modified: float


def encode(fields: Mapping[str, str]) -> bytes:
    """Headers or tags as they are kept."""
    return msgspec.json.encode(dict(fields))


headers_of = msgspec.json.Decoder(dict[str, str]).decode
