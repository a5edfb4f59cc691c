"""Operations on buckets, and on many objects at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyfc.calls.paths import RESERVED
from pyfc.cloud.markup import Node, children, texts
from pyfc.cloud.oss.asked import Answer, Asked, moment, xml
from pyfc.cloud.oss.faults import Fault, invalid_bucket
from pyfc.cloud.oss.listing import Page, page
from pyfc.cloud.oss.markup import MOST, read, url_encoded
from pyfc.cloud.oss.model import PRIVATE, Bucket, Object, Place, Upload
from pyfc.cloud.oss.request import check_key
from pyfc.cloud.oss.writing import check_text_digest
from pyfc.model.bucket import DELETE_MANY

_KEYS, _MOST_KEYS = 100, 1000
Encode = Callable[[str], str]


def _endpoints(asked: Asked) -> list[Node]:
    region = asked.environment.region
    return [
        ("Location", f"oss-{region}"),
        ("ExtranetEndpoint", f"oss-{region}.aliyuncs.com"),
        ("IntranetEndpoint", f"oss-{region}-internal.aliyuncs.com"),
        ("Region", region),
        ("StorageClass", "Standard"),
    ]


async def list_buckets(asked: Asked) -> Answer:
    """GET /"""
    prefix, marker = asked.query.get("prefix", ""), asked.query.get("marker", "")
    most = asked.number("max-keys", _KEYS, _MOST_KEYS)
    found = [each for each in asked.store.buckets() if each.name.startswith(prefix) and each.name > marker]
    told = found[:most]
    nodes: list[Node] = [("Prefix", prefix), ("Marker", marker), ("MaxKeys", most)]
    nodes.append(("IsTruncated", len(found) > most))
    if told and len(found) > most:
        nodes.append(("NextMarker", told[-1].name))
    nodes.append(asked.owner)
    nodes.append(("Buckets", [("Bucket", _listed(asked, each)) for each in told]))
    return xml("ListAllMyBucketsResult", nodes)


def _listed(asked: Asked, bucket: Bucket) -> list[Node]:
    return [("Name", bucket.name), ("CreationDate", moment(bucket.created)), *_endpoints(asked)]


async def put_bucket(asked: Asked) -> Answer:
    """PUT /BUCKET"""
    await asked.body(MOST)  # a storage class, which a folder has not
    if asked.place.bucket in RESERVED:
        raise invalid_bucket(asked.place.bucket, ": a path of this server begins with its name")
    await asked.store.create(asked.place.bucket, asked.headers.get("x-oss-acl", PRIVATE))
    return Answer(headers={"Location": f"/{asked.place.bucket}"})


async def delete_bucket(asked: Asked) -> Answer:
    """DELETE /BUCKET"""
    await asked.store.delete_bucket(asked.store.bucket(asked.place.bucket))
    return Answer(204)


async def head_bucket(asked: Asked) -> Answer:
    """HEAD /BUCKET"""
    asked.store.bucket(asked.place.bucket)
    return Answer(headers={"x-oss-bucket-region": asked.environment.region})


async def bucket_info(asked: Asked) -> Answer:
    """GET /BUCKET?bucketInfo"""
    bucket = asked.store.bucket(asked.place.bucket)
    told: list[Node] = [
        *_listed(asked, bucket), asked.owner, ("AccessControlList", [("Grant", bucket.acl)]),
        ("DataRedundancyType", "LRS"),
    ]  # fmt: skip
    return xml("BucketInfo", [("Bucket", told)])


async def bucket_location(asked: Asked) -> Answer:
    """GET /BUCKET?location"""
    asked.store.bucket(asked.place.bucket)
    return xml("LocationConstraint", f"oss-{asked.environment.region}")


async def bucket_statistics(asked: Asked) -> Answer:
    """GET /BUCKET?stat"""
    bucket = asked.store.bucket(asked.place.bucket)
    count, size = await asked.store.index.statistics(bucket.name)
    uploads = await asked.store.index.uploads(bucket.name)
    return xml("BucketStat", [("Storage", size), ("ObjectCount", count), ("MultipartUploadCount", len(uploads))])


async def bucket_acl(asked: Asked) -> Answer:
    """GET /BUCKET?acl"""
    bucket = asked.store.bucket(asked.place.bucket)
    return xml("AccessControlPolicy", [asked.owner, ("AccessControlList", [("Grant", bucket.acl)])])


async def put_bucket_acl(asked: Asked) -> Answer:
    """PUT /BUCKET?acl"""
    bucket = asked.store.bucket(asked.place.bucket)
    await asked.store.set_acl(bucket, asked.headers.get("x-oss-acl", ""))
    return Answer()


def _encoder(asked: Asked) -> Encode:
    """How names are written. Raises Fault for an encoding that OSS has not."""
    wanted = asked.query.get("encoding-type", "")
    if wanted not in {"", "url"}:
        raise Fault("InvalidArgument", "Invalid Encoding Method specified in Request: it can only be url.")
    return url_encoded if wanted else str


async def list_objects(asked: Asked) -> Answer:
    """GET /BUCKET and GET /BUCKET?list-type=2"""
    asked.store.bucket(asked.place.bucket)
    is_newer = asked.query.get("list-type") == "2"
    encode, query = _encoder(asked), asked.query
    most = asked.number("max-keys", _KEYS, _MOST_KEYS)
    after = (query.get("continuation-token") or query.get("start-after", "")) if is_newer else query.get("marker", "")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    found = await page(asked.store.index, asked.place.bucket, prefix, delimiter, after, most)
    nodes: list[Node] = [
        ("Name", asked.place.bucket), ("Prefix", encode(prefix)), ("MaxKeys", most), ("Delimiter", encode(delimiter)),
        ("IsTruncated", bool(found.marker)),
    ]  # fmt: skip
    if query.get("encoding-type"):
        nodes.append(("EncodingType", "url"))
    nodes += _newer_marks(asked, found, encode) if is_newer else _marks(after, found, encode)
    has_owner = not is_newer or query.get("fetch-owner") == "true"
    nodes += [("Contents", _content(asked, each, encode, has_owner=has_owner)) for each in found.objects]
    nodes += [("CommonPrefixes", [("Prefix", encode(each))]) for each in found.prefixes]
    return xml("ListBucketResult", nodes)


def _marks(after: str, found: Page, encode: Encode) -> list[Node]:
    nodes: list[Node] = [("Marker", encode(after))]
    return [*nodes, ("NextMarker", encode(found.marker))] if found.marker else nodes


def _newer_marks(asked: Asked, found: Page, encode: Encode) -> list[Node]:
    query = asked.query
    nodes: list[Node] = [
        ("StartAfter", encode(query.get("start-after", ""))), ("KeyCount", len(found.objects) + len(found.prefixes))
    ]  # fmt: skip
    if query.get("continuation-token"):
        nodes.append(("ContinuationToken", encode(query["continuation-token"])))
    return [*nodes, ("NextContinuationToken", encode(found.marker))] if found.marker else nodes


def _content(asked: Asked, each: Object, encode: Encode, *, has_owner: bool) -> Iterator[Node]:
    yield "Key", encode(each.key)
    yield "LastModified", moment(each.modified)
    yield "ETag", f'"{each.content.etag}"'
    yield "Type", each.type
    yield "Size", each.content.size
    yield "StorageClass", "Standard"
    if has_owner:
        yield asked.owner


async def delete_objects(asked: Asked) -> Answer:
    """POST /BUCKET?delete"""
    asked.store.bucket(asked.place.bucket)
    body = await asked.body(MOST)
    check_text_digest(asked.stated, body)
    root, encode = read(body, "Delete"), _encoder(asked)
    keys = [texts(each, "Key")["Key"] for each in children(root, "Object")]
    if not 1 <= len(keys) <= _MOST_KEYS:
        raise Fault("MalformedXML", f"1 to {_MOST_KEYS} objects are deleted at once.")
    for key in keys:
        check_key(key)
        await asked.may("oss:DeleteObject", Place(asked.place.bucket, key))
    for key in keys:
        await asked.store.delete(asked.place.bucket, key, asked.cause(DELETE_MANY))
    if texts(root, "Quiet")["Quiet"].lower() == "true":
        return Answer()
    nodes: list[Node] = [("EncodingType", "url")] if asked.query.get("encoding-type") else []
    return xml("DeleteResult", [*nodes, *(("Deleted", [("Key", encode(key))]) for key in keys)])


async def list_uploads(asked: Asked) -> Answer:
    """GET /BUCKET?uploads"""
    asked.store.bucket(asked.place.bucket)
    query, encode = asked.query, _encoder(asked)
    prefix, marker = query.get("prefix", ""), (query.get("key-marker", ""), query.get("upload-id-marker", ""))
    most = asked.number("max-uploads", _MOST_KEYS, _MOST_KEYS)
    found = [
        each for each in await asked.store.index.uploads(asked.place.bucket)
        if each.key.startswith(prefix) and _is_behind(each, *marker)
    ]  # fmt: skip
    told = found[:most]
    last = (told[-1].key, told[-1].id) if told and len(found) > most else ("", "")
    nodes: list[Node] = [
        ("Bucket", asked.place.bucket), ("KeyMarker", encode(marker[0])), ("UploadIdMarker", marker[1]),
        ("NextKeyMarker", encode(last[0])), ("NextUploadIdMarker", last[1]),
        ("Delimiter", ""), ("Prefix", encode(prefix)), ("MaxUploads", most),
        ("IsTruncated", bool(last[1])),
    ]  # fmt: skip
    if query.get("encoding-type"):
        nodes.append(("EncodingType", "url"))
    nodes += [
        ("Upload", [("Key", encode(each.key)), ("UploadId", each.id), ("Initiated", moment(each.created))])
        for each in told
    ]
    return xml("ListMultipartUploadsResult", nodes)


def _is_behind(upload: Upload, key: str, name: str) -> bool:
    """Whether an upload comes after a key, or after the upload of that name to it."""
    return not key or ((upload.key, upload.id) > (key, name) if name else upload.key > key)
