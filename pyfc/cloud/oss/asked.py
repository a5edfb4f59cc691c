"""One request to an operation of the object store, and its answer."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl

from pyfc.auth.keys import Key
from pyfc.auth.signature import seconds_of
from pyfc.cloud.markup import Node, document
from pyfc.cloud.oss.appends import Appends
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.model import OBJECT_ACLS, Cause, Description, Object, Place
from pyfc.cloud.oss.request import Sent
from pyfc.cloud.oss.store import Store, check_acl
from pyfc.cloud.oss.temporary import Temporary
from pyfc.cloud.oss.uploads import Uploads
from pyfc.cloud.oss.writing import LARGEST
from pyfc.cloud.request import body_of
from pyfc.outgoing.client import Outgoing

_KEPT = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-oss-storage-class",
)
"""Headers of a put that come back with a get, beside x-oss-meta-*."""
_META = "x-oss-meta-"
_MOST_META = 8 * 1024
_MOST_TAGS = 10
_LONGEST_TAG, _LONGEST_VALUE = 128, 256
_DEFAULT_TYPE = "application/octet-stream"
_SMALL, _PIECE = 64 * 1024, 1024 * 1024
_NONE: Mapping[str, str] = MappingProxyType({})


class File(NamedTuple):
    """Content of an answer: a part of an open file, which is closed when it is sent."""

    descriptor: int
    begin: int
    length: int


async def pieces(file: File) -> AsyncIterator[bytes]:
    """What is in it; a piece is read while the one before is used. Small ones are read at once: they are in memory."""
    place, end = file.begin, file.begin + file.length
    if file.length <= _SMALL:
        yield os.pread(file.descriptor, file.length, place)
        return
    coming = _read(file.descriptor, place, end)
    try:
        while place < end:
            piece = await coming
            if not piece:
                raise OSError("the file has become shorter")
            place += len(piece)
            if place < end:
                coming = _read(file.descriptor, place, end)
            yield piece
    finally:
        await asyncio.wait([coming])  # the file is closed after this


def _read(descriptor: int, place: int, end: int) -> asyncio.Future[bytes]:
    return asyncio.ensure_future(asyncio.to_thread(os.pread, descriptor, min(_PIECE, end - place), place))


class Answer(NamedTuple):
    """What is answered."""

    status: int = 200
    headers: Mapping[str, str] = _NONE
    body: bytes = b""
    file: File | None = None


class Environment(NamedTuple):
    """What every operation works with."""

    store: Store
    uploads: Uploads
    appends: Appends
    temporary: Temporary
    account: str
    region: str
    led_by: Callable[[Key], int]
    """How many calls have led to what the holder of a key does, as far as that can be known."""
    outgoing: Outgoing


May = Callable[[str, Place], Awaitable[None]]
"""Raises Fault AccessDenied if who asks may not do an action (like oss:GetObject) at a place."""


class Caller(NamedTuple):
    """Who asks."""

    key: Key | None
    """None for nobody who has signed."""
    may: May
    calls_back: bool
    """Whether an address is asked that they name."""


class Asked:
    """One request."""

    def __init__(
        self, environment: Environment, sent: Sent, place: Place, caller: Caller, chunks: AsyncIterator[bytes]
    ) -> None:
        self.environment = environment
        self.store = environment.store
        self.sent = sent
        self.place = place
        self.key, self.may, self.calls_back = caller
        self.chunks = chunks
        self.query = sent.query
        self.headers = sent.headers

    async def body(self, most: int) -> bytes:
        """The whole body. Raises Fault for one that is too large."""
        found = await body_of(self.chunks, most)
        if found is None:
            raise Fault("EntityTooLarge", f"The body is larger than {most} bytes.")
        return found

    def check_length(self) -> None:
        """Raises Fault for content whose length nobody tells, or that is too long: before it comes."""
        text = self.headers.get("content-length")
        if text is None and "transfer-encoding" not in self.headers:
            raise Fault("MissingContentLength", "You must provide the Content-Length HTTP header.")
        if text is not None and int(text) > LARGEST:
            raise Fault("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.",
                        more={"MaxSizeAllowed": str(LARGEST), "ProposedSize": text})  # fmt: skip

    def number(self, name: str, default: int, most: int) -> int:
        """A number of the query from 0 to `most`. Raises Fault InvalidArgument."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 16) or int(text) > most:
            raise Fault("InvalidArgument", f"{name} is no number of 0 to {most}.", more={"ArgumentName": name})
        return int(text)

    @property
    def owner(self) -> Node:
        """Who has every bucket and object."""
        account = self.environment.account
        return "Owner", [("ID", account), ("DisplayName", account)]

    def cause(self, event: str) -> Cause:
        """What this request does to an object, as OSS calls it."""
        depth = self.environment.led_by(self.key) if self.key is not None else 0
        return Cause(event, self.sent.request_id, self.sent.address, depth)

    @property
    def stated(self) -> str:
        """What the client says is the MD5 of its content."""
        return self.headers.get("content-md5", "")

    @property
    def may_replace(self) -> bool:
        """Whether what is there may be overwritten."""
        return self.headers.get("x-oss-forbid-overwrite", "").lower() != "true"

    @property
    def description(self) -> Description:
        """What the headers say of the object that is written. Raises Fault."""
        acl = self.headers.get("x-oss-object-acl", "default")
        check_acl(acl, OBJECT_ACLS)
        found = {name: value for name, value in self.headers.items() if name in _KEPT or name.startswith(_META)}
        if sum(len(name) + len(value) for name, value in found.items() if name.startswith(_META)) > _MOST_META:
            raise Fault("InvalidArgument", f"The metadata of an object has at most {_MOST_META} bytes.")
        tags = dict(parse_qsl(self.headers.get("x-oss-tagging", ""), keep_blank_values=True))
        return Description(found, checked_tags(tags), acl)


async def may_tag(asked: Asked) -> None:
    """Raises Fault AccessDenied if what is written is to have tags, and who writes may give none."""
    if "x-oss-tagging" in asked.headers:
        await asked.may("oss:PutObjectTagging", asked.place)


def checked_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Raises Fault InvalidTag for what can be no tags."""
    if len(tags) > _MOST_TAGS:
        raise Fault("InvalidTag", f"An object has at most {_MOST_TAGS} tags.")
    if any(not 1 <= len(name) <= _LONGEST_TAG or len(value) > _LONGEST_VALUE for name, value in tags.items()):
        raise Fault("InvalidTag", f"A tag has a key of 1 to {_LONGEST_TAG} characters, a value of {_LONGEST_VALUE}.")
    return tags


def xml(name: str, children: str | Iterable[Node], headers: Mapping[str, str] = _NONE) -> Answer:
    """An answer with a document."""
    return Answer(200, {"Content-Type": "application/xml", **headers}, document(name, children))


def failure(fault: Fault, request_id: str, host: str, *, is_head: bool) -> Answer:
    """The answer to what went wrong. HEAD has no body: clients read the error from a header."""
    known = [("RequestId", request_id), ("HostId", host), *fault.more.items()]
    body = document("Error", [("Code", fault.code), ("Message", fault.message), *known])
    if fault.status == 304:
        return Answer(304, fault.headers)
    if is_head:
        return Answer(fault.status, {**fault.headers, "x-oss-err": base64.b64encode(body).decode()})
    return Answer(fault.status, {"Content-Type": "application/xml", **fault.headers}, body)


def object_headers(found: Object) -> dict[str, str]:
    """Headers of every answer with an object."""
    headers = {
        "Content-Type": _DEFAULT_TYPE,
        "Accept-Ranges": "bytes",
        "ETag": f'"{found.content.etag}"',
        "Last-Modified": formatdate(found.modified, usegmt=True),
        "x-oss-object-type": found.type,
        "x-oss-storage-class": "Standard",
        "x-oss-hash-crc64ecma": str(found.content.crc),
        **{_titled(name): value for name, value in found.description.headers.items()},
    }
    if found.description.tags:
        headers["x-oss-tagging-count"] = str(len(found.description.tags))
    return headers


def written_headers(found: Object) -> dict[str, str]:
    """Headers of the answer to who has written an object."""
    return {"ETag": f'"{found.content.etag}"', "x-oss-hash-crc64ecma": str(found.content.crc)}


def _titled(name: str) -> str:
    return name if name.startswith("x-oss-") else name.title()


def check_conditions(headers: Mapping[str, str], found: Object, prefix: str = "") -> None:
    """Raises Fault NotModified or PreconditionFailed if a request is only meant for another state of an object.
    `prefix`: of the headers' names, for the source of a copy.
    """
    etag, modified = found.content.etag, found.modified
    same = _etags(headers.get(f"{prefix}if-match"))
    if same and etag not in same:
        raise Fault("PreconditionFailed", "At least one of the pre-conditions you specified did not hold: If-Match.")
    since = seconds_of(headers.get(f"{prefix}if-unmodified-since", ""))
    if since is not None and modified > since:
        raise Fault(
            "PreconditionFailed", "At least one of the pre-conditions you specified did not hold: If-Unmodified-Since."
        )
    other = _etags(headers.get(f"{prefix}if-none-match"))
    since = seconds_of(headers.get(f"{prefix}if-modified-since", ""))
    if (other and etag in other) or (not other and since is not None and modified <= since):
        raise Fault("NotModified", "The object is as you know it.", {"ETag": f'"{etag}"'})


def _etags(text: str | None) -> set[str]:
    return {each.strip().strip('"').upper() for each in text.split(",")} if text else set()


def moment(seconds: float) -> str:
    """A time as OSS's XML has it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
