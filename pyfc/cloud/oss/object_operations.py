"""Operations on one object."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from urllib.parse import unquote_plus

from pyfc.cloud.markup import Node, children, texts
from pyfc.cloud.oss.asked import (
    Answer,
    Asked,
    File,
    check_conditions,
    checked_tags,
    may_tag,
    moment,
    object_headers,
    pieces,
    written_headers,
    xml,
)
from pyfc.cloud.oss.callback import callback_of, called_back
from pyfc.cloud.oss.faults import Fault, not_implemented
from pyfc.cloud.oss.markup import MOST, read
from pyfc.cloud.oss.model import OBJECT_ACLS, Description, Object, Place
from pyfc.cloud.oss.request import check_key
from pyfc.cloud.oss.store import check_acl
from pyfc.cloud.oss.uploads import MOST_PARTS
from pyfc.model import bucket

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_LINE_END = re.compile(r"[\r\n\0]")
_ANSWERED = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
"""Parameters of a signed request that say what is answered."""
_MOST_LISTED = 1000


async def get_object(asked: Asked) -> Answer:
    """GET /BUCKET/KEY"""
    if "x-oss-process" in asked.query:
        raise not_implemented(f"x-oss-process={asked.query['x-oss-process'].partition('/')[0]}")
    found, descriptor = await asked.store.open(*asked.place)
    try:
        check_conditions(asked.headers, found)
        size = found.content.size
        begin, end = _range(asked, size)
    except BaseException:
        os.close(descriptor)
        raise
    headers = {**object_headers(found), **_wished(asked), "Content-Length": str(end - begin)}
    is_part = (begin, end) != (0, size) or _bounds(asked.headers.get("range", ""), size) is not None
    if is_part:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    return Answer(206 if is_part else 200, headers, file=File(descriptor, begin, end - begin))


def _range(asked: Asked, size: int) -> tuple[int, int]:
    """Begin and end of what is asked for. A range that is none means the whole object, unless the client wants the
    standard's answer. Raises Fault InvalidRange.
    """
    text = asked.headers.get("range", "")
    bounds = _bounds(text, size) if text else (0, size)
    if bounds is not None:
        return bounds
    if asked.headers.get("x-oss-range-behavior", "").lower() == "standard":
        raise Fault(
            "InvalidRange", "The requested range cannot be satisfied.", {"Content-Range": f"bytes */{size}"},
            {"ActualObjectSize": str(size), "RangeHeader": text},
        )  # fmt: skip
    return 0, size


def _bounds(text: str, size: int) -> tuple[int, int] | None:
    """Begin and end of a range in so many bytes; None for one that is none."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or found[0] == "bytes=-":
        return None
    if not found[1]:
        last = min(int(found[2]), size)
        return (size - last, size) if last else None
    begin, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    return (begin, min(end, size)) if begin < size and begin < end else None


def _wished(asked: Asked) -> dict[str, str]:
    """Only a signed request may say what is answered: else a link could make a page of any object."""
    if asked.key is None:
        return {}
    return {header: _value(asked.query[name]) for name, header in _ANSWERED.items() if asked.query.get(name)}


def _value(text: str) -> str:
    """A text as a header's value."""
    return _LINE_END.sub("", text.encode("utf-8", "surrogateescape").decode("latin-1"))


async def head_object(asked: Asked) -> Answer:
    """HEAD /BUCKET/KEY"""
    found = await asked.store.head(*asked.place)
    check_conditions(asked.headers, found)
    return Answer(200, {**object_headers(found), "Content-Length": str(found.content.size)})


async def object_meta(asked: Asked) -> Answer:
    """HEAD or GET /BUCKET/KEY?objectMeta"""
    told = ("ETag", "Last-Modified", "x-oss-hash-crc64ecma")
    found = await asked.store.head(*asked.place)
    headers = {name: value for name, value in object_headers(found).items() if name in told}
    return Answer(200, {**headers, "Content-Length": str(found.content.size)})


async def put_object(asked: Asked) -> Answer:
    """PUT /BUCKET/KEY"""
    if "x-oss-copy-source" in asked.headers:
        return await _copy_object(asked)
    check_key(asked.place.key)
    asked.check_length()
    await may_tag(asked)
    callback = callback_of(asked)
    made = await asked.store.put(
        asked.place, asked.chunks, asked.description,
        cause=asked.cause(bucket.PUT), stated=asked.stated, may_replace=asked.may_replace,
    )  # fmt: skip
    if callback is not None:
        return await called_back(asked, callback, made, "PutObject")
    return Answer(200, written_headers(made))


async def _copy_object(asked: Asked) -> Answer:
    replaces = asked.headers.get("x-oss-metadata-directive", "COPY").upper() == "REPLACE"
    source = await _source(asked)
    await may_tag(asked)
    made = await asked.store.copy(
        source, asked.place, asked.description if replaces else None,
        cause=asked.cause(bucket.COPY),
        check=lambda found: check_conditions(asked.headers, found, "x-oss-copy-source-"),
        may_replace=asked.may_replace,
    )  # fmt: skip
    return xml(
        "CopyObjectResult",
        [("LastModified", moment(made.modified)), ("ETag", f'"{made.content.etag}"')],
        written_headers(made),
    )


async def _source(asked: Asked) -> Place:
    """Bucket and key of x-oss-copy-source. Raises Fault, also for who may not read it."""
    text = asked.headers["x-oss-copy-source"].partition("?")[0]
    try:
        path = unquote_plus(text.encode("latin-1").decode(), errors="strict")  # Go's client writes a space as a plus
    except UnicodeDecodeError:
        raise Fault("InvalidArgument", "x-oss-copy-source is no UTF-8.") from None
    name, slash, key = path.removeprefix("/").partition("/")
    if not slash or not key:
        raise Fault("InvalidArgument", "x-oss-copy-source is not /BUCKET/KEY.")
    source = Place(name, key)
    await asked.may("oss:GetObject", source)
    return source


async def delete_object(asked: Asked) -> Answer:
    """DELETE /BUCKET/KEY"""
    await asked.store.delete(*asked.place, asked.cause(bucket.DELETE))
    return Answer(204)


async def append_object(asked: Asked) -> Answer:
    """POST /BUCKET/KEY?append&position=N"""
    check_key(asked.place.key)
    if "position" not in asked.query:
        raise Fault("InvalidArgument", "An append needs a position.", more={"ArgumentName": "position"})
    position = asked.number("position", 0, 10**15)
    asked.check_length()
    await may_tag(asked)
    made = await asked.environment.appends.put(
        asked.place, position, asked.chunks, asked.description, cause=asked.cause(bucket.APPEND), stated=asked.stated
    )
    return Answer(200, {**written_headers(made), "x-oss-next-append-position": str(made.content.size)})


async def object_acl(asked: Asked) -> Answer:
    """GET /BUCKET/KEY?acl"""
    found = await asked.store.head(*asked.place)
    return xml("AccessControlPolicy", [asked.owner, ("AccessControlList", [("Grant", found.description.acl)])])


async def put_object_acl(asked: Asked) -> Answer:
    """PUT /BUCKET/KEY?acl"""
    acl = asked.headers.get("x-oss-object-acl", "")
    check_acl(acl, OBJECT_ACLS)
    await _describe(asked, lambda before: before._replace(acl=acl))
    return Answer()


async def _describe(asked: Asked, change: Callable[[Description], Description]) -> None:
    """OSS has one event for all that changes an object and not its content."""
    await asked.store.describe(*asked.place, change, asked.cause(bucket.UPDATE_META))


async def object_tagging(asked: Asked) -> Answer:
    """GET /BUCKET/KEY?tagging"""
    found = await asked.store.head(*asked.place)
    tags: list[Node] = [("Tag", [("Key", key), ("Value", value)]) for key, value in found.description.tags.items()]
    return xml("Tagging", [("TagSet", tags)])


async def put_object_tagging(asked: Asked) -> Answer:
    """PUT /BUCKET/KEY?tagging"""
    root = read(await asked.body(MOST), "Tagging")
    found = [texts(tag, "Key", "Value") for each in children(root, "TagSet") for tag in children(each, "Tag")]
    tags = checked_tags({tag["Key"]: tag["Value"] for tag in found})
    await _describe(asked, lambda before: before._replace(tags=tags))
    return Answer()


async def delete_object_tagging(asked: Asked) -> Answer:
    """DELETE /BUCKET/KEY?tagging"""
    await _describe(asked, lambda before: before._replace(tags={}))
    return Answer(204)


# uploads of many parts


async def begin_upload(asked: Asked) -> Answer:
    """POST /BUCKET/KEY?uploads"""
    check_key(asked.place.key)
    await may_tag(asked)
    await asked.body(MOST)
    made = await asked.environment.uploads.begin(asked.place, asked.description, asked.cause(bucket.BEGIN_UPLOAD))
    return xml(
        "InitiateMultipartUploadResult",
        [("Bucket", made.bucket), ("Key", made.key), ("UploadId", made.id)],
    )


async def put_part(asked: Asked) -> Answer:
    """PUT /BUCKET/KEY?partNumber=N&uploadId=ID"""
    number, name = _part_number(asked), asked.query["uploadId"]
    uploads = asked.environment.uploads
    if "x-oss-copy-source" not in asked.headers:
        asked.check_length()
        part = await uploads.put(
            asked.place, name, number, asked.chunks, cause=asked.cause(bucket.PART), stated=asked.stated
        )
        return Answer(200, {"ETag": f'"{part.content.etag}"', "x-oss-hash-crc64ecma": str(part.content.crc)})
    found, descriptor = await asked.store.open(*await _source(asked))
    try:
        check_conditions(asked.headers, found, "x-oss-copy-source-")
        begin, end = _copied(asked, found)
        part = await uploads.put(
            asked.place, name, number, pieces(File(descriptor, begin, end - begin)),
            cause=asked.cause(bucket.PART_COPY),
        )  # fmt: skip
    finally:
        os.close(descriptor)
    return xml("CopyPartResult", [("LastModified", moment(part.modified)), ("ETag", f'"{part.content.etag}"')])


def _part_number(asked: Asked) -> int:
    text = asked.query.get("partNumber", "")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_PARTS):
        raise Fault(
            "InvalidArgument", f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive.",
            more={"ArgumentName": "partNumber", "ArgumentValue": text},
        )  # fmt: skip
    return int(text)


def _copied(asked: Asked, found: Object) -> tuple[int, int]:
    text, size = asked.headers.get("x-oss-copy-source-range", ""), found.content.size
    bounds = _bounds(text, size) if text else (0, size)
    if bounds is None:
        raise Fault("InvalidRange", "x-oss-copy-source-range is no range of the source.")
    return bounds


async def list_parts(asked: Asked) -> Answer:
    """GET /BUCKET/KEY?uploadId=ID"""
    name = asked.query["uploadId"]
    parts = await asked.environment.uploads.parts(asked.place, name)
    most, marker = (
        asked.number("max-parts", _MOST_LISTED, _MOST_LISTED),
        asked.number("part-number-marker", 0, MOST_PARTS),
    )
    found = [part for part in parts if part.number > marker]
    told = found[:most]
    nodes: list[Node] = [
        ("Bucket", asked.place.bucket), ("Key", asked.place.key), ("UploadId", name), ("StorageClass", "Standard"),
        ("PartNumberMarker", marker), ("NextPartNumberMarker", told[-1].number if told else marker),
        ("MaxParts", most), ("IsTruncated", len(found) > most),
    ]  # fmt: skip
    for part in told:
        size, etag, crc = part.content
        rows: list[Node] = [("PartNumber", part.number), ("LastModified", moment(part.modified)), ("ETag", f'"{etag}"')]
        nodes.append(("Part", [*rows, ("HashCrc64ecma", str(crc)), ("Size", size)]))
    return xml("ListPartsResult", nodes)


async def complete_upload(asked: Asked) -> Answer:
    """POST /BUCKET/KEY?uploadId=ID"""
    wanted, callback = None, callback_of(asked)
    body = await asked.body(MOST)
    if asked.headers.get("x-oss-complete-all", "").lower() != "yes":
        found = [texts(each, "PartNumber", "ETag") for each in children(read(body, "CompleteMultipartUpload"), "Part")]
        if any(not each["PartNumber"].isascii() or not each["PartNumber"].isdigit() for each in found):
            raise Fault("MalformedXML", "A PartNumber is no number.")
        wanted = [(int(each["PartNumber"][:9]), each["ETag"]) for each in found]
    made = await asked.environment.uploads.complete(
        asked.place, asked.query["uploadId"], wanted,
        cause=asked.cause(bucket.COMPLETE), may_replace=asked.may_replace,
    )  # fmt: skip
    if callback is not None:
        return await called_back(asked, callback, made, "CompleteMultipartUpload")
    nodes: list[Node] = [
        ("Location", f"http://{asked.sent.host}/{made.key}"), ("Bucket", made.bucket), ("Key", made.key),
        ("ETag", f'"{made.content.etag}"'),
    ]  # fmt: skip
    return xml("CompleteMultipartUploadResult", nodes, written_headers(made))


async def abort_upload(asked: Asked) -> Answer:
    """DELETE /BUCKET/KEY?uploadId=ID"""
    await asked.environment.uploads.abort(asked.place, asked.query["uploadId"], asked.cause(bucket.ABORT))
    return Answer(204)
