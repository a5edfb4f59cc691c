"""The object store's door: an ASGI application that finds out who asks for what, lets the operation do it, and answers
as OSS does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from pyfc.auth.keys import Key
from pyfc.auth.permissions import Permissions
from pyfc.auth.signature import Find
from pyfc.calls.paths import is_own
from pyfc.cloud.oss import bucket_operations as buckets
from pyfc.cloud.oss import object_operations as objects
from pyfc.cloud.oss.asked import Answer, Asked, Caller, Environment, failure, pieces
from pyfc.cloud.oss.faults import Fault, internal, not_implemented
from pyfc.cloud.oss.forms import is_form
from pyfc.cloud.oss.model import PUBLIC_READ, PUBLIC_READ_WRITE, Place
from pyfc.cloud.oss.post import post_object, read_post
from pyfc.cloud.oss.request import Sent, is_host, is_meant
from pyfc.cloud.oss.signature import Verified, verify
from pyfc.cloud.request import head_of

_log = logging.getLogger(__name__)
_OPEN_READS = frozenset({"oss:GetObject"})
_OPEN_WRITES = frozenset({"oss:PutObject", "oss:DeleteObject"})
"""What anybody may do where the ACL says so."""


class Operation(NamedTuple):
    """An operation of OSS."""

    run: Callable[[Asked], Awaitable[Answer]]
    action: str
    """What RAM calls the permission."""


_DELETE_OBJECTS = Operation(buckets.delete_objects, "oss:DeleteObject")
"""Asks for each of its objects whether it may be deleted."""
_SERVICE = {("GET", ""): Operation(buckets.list_buckets, "oss:ListBuckets")}
_BUCKET = {
    ("PUT", ""): Operation(buckets.put_bucket, "oss:PutBucket"),
    ("DELETE", ""): Operation(buckets.delete_bucket, "oss:DeleteBucket"),
    ("HEAD", ""): Operation(buckets.head_bucket, "oss:GetBucketInfo"),
    ("GET", ""): Operation(buckets.list_objects, "oss:ListObjects"),
    ("GET", "bucketInfo"): Operation(buckets.bucket_info, "oss:GetBucketInfo"),
    ("GET", "location"): Operation(buckets.bucket_location, "oss:GetBucketLocation"),
    ("GET", "stat"): Operation(buckets.bucket_statistics, "oss:GetBucketStat"),
    ("GET", "acl"): Operation(buckets.bucket_acl, "oss:GetBucketAcl"),
    ("PUT", "acl"): Operation(buckets.put_bucket_acl, "oss:PutBucketAcl"),
    ("GET", "uploads"): Operation(buckets.list_uploads, "oss:ListMultipartUploads"),
    ("POST", "delete"): _DELETE_OBJECTS,
}
_OBJECT = {
    ("GET", ""): Operation(objects.get_object, "oss:GetObject"),
    ("HEAD", ""): Operation(objects.head_object, "oss:GetObject"),
    ("PUT", ""): Operation(objects.put_object, "oss:PutObject"),
    ("DELETE", ""): Operation(objects.delete_object, "oss:DeleteObject"),
    ("GET", "objectMeta"): Operation(objects.object_meta, "oss:GetObject"),
    ("HEAD", "objectMeta"): Operation(objects.object_meta, "oss:GetObject"),
    ("POST", "append"): Operation(objects.append_object, "oss:PutObject"),
    ("GET", "acl"): Operation(objects.object_acl, "oss:GetObjectAcl"),
    ("PUT", "acl"): Operation(objects.put_object_acl, "oss:PutObjectAcl"),
    ("GET", "tagging"): Operation(objects.object_tagging, "oss:GetObjectTagging"),
    ("PUT", "tagging"): Operation(objects.put_object_tagging, "oss:PutObjectTagging"),
    ("DELETE", "tagging"): Operation(objects.delete_object_tagging, "oss:DeleteObjectTagging"),
    ("POST", "uploads"): Operation(objects.begin_upload, "oss:PutObject"),
    ("PUT", "uploadId"): Operation(objects.put_part, "oss:PutObject"),
    ("GET", "uploadId"): Operation(objects.list_parts, "oss:ListParts"),
    ("POST", "uploadId"): Operation(objects.complete_upload, "oss:PutObject"),
    ("DELETE", "uploadId"): Operation(objects.abort_upload, "oss:AbortMultipartUpload"),
}
_UPLOADS = frozenset(
    _OBJECT[each]
    for each in (
        ("PUT", ""), ("POST", "uploads"), ("PUT", "uploadId"), ("GET", "uploadId"), ("POST", "uploadId"),
        ("DELETE", "uploadId"),
    )
)  # fmt: skip
"""What the name of a package is permission for."""
_NAMES = """
    accessPoint acl append archiveDirectRead asyncFetch bucketArchiveDirectRead bucketInfo cname comp cors delete
    encryption httpsConfig img inventory lifecycle live location logging metaQuery objectMeta policy publicAccessBlock
    qosInfo redundancyTransition referer regions replication replicationLocation replicationProgress requestPayment
    resourceGroup restore select stat style symlink tagging transferAcceleration uploadId uploads versioning versions
    vod website worm
"""
_PARAMETERS = frozenset(_NAMES.split())
"""Parameters that make another operation of a request."""


class Door:
    """The object store as an ASGI application."""

    def __init__(self, environment: Environment, find: Find, permissions: Permissions, *, is_open: bool) -> None:
        """`find`: a key by its id. `is_open`: whether nobody has to sign."""
        self._environment = environment
        self._find = find
        self._permissions = permissions
        self.is_open = is_open

    def takes(self, scope: Scope, host: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request is for the object store: by its host, by how it is signed, or by a bucket in its path,
        unless that is one of the server's own.
        """
        query = scope["query_string"].decode("latin-1")
        if is_meant(host, query, headers):
            return True
        if is_own(scope["raw_path"]):
            return False
        return scope["path"][1:].partition("/")[0] in self._environment.store.index.buckets

    def names(self, host: str) -> bool:
        """Whether a host name is one of OSS."""
        return is_host(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = secrets.token_hex(12).upper()
        sent = _sent(scope, request_id)
        try:
            answer = await self._answer(sent, Request(scope, receive).stream())
        except Fault as fault:
            answer = failure(fault, request_id, sent.host, is_head=sent.method == "HEAD")
        except ClientDisconnect:
            return
        except Exception:
            _log.exception("the object store could not answer %s %r", sent.method, sent.path[:500])
            answer = failure(internal(), request_id, sent.host, is_head=sent.method == "HEAD")
        await _send(answer, request_id, send, has_body=sent.method != "HEAD")

    async def _answer(self, sent: Sent, chunks: AsyncIterator[bytes]) -> Answer:
        package = self._package(sent)
        if package is not None:
            operation, place = package
            chunks = self._environment.temporary.limited(chunks)
            return await operation.run(Asked(self._environment, sent, place, self._caller(None), chunks))
        if bucket := _posted_to(sent):
            return await self._post(sent, bucket, chunks)
        key, place = await self._verified(sent)
        operation, caller = _operation(sent, place), self._caller(key)
        if operation is not _DELETE_OBJECTS or key is None:
            await caller.may(operation.action, place)
        return await operation.run(Asked(self._environment, sent, place, caller, chunks))

    def _caller(self, key: Key | None) -> Caller:
        calls_back = self.is_open if key is None else self._permissions.reaches_out(key)
        return Caller(key, partial(self._may, key), calls_back)

    async def _post(self, sent: Sent, bucket: str, chunks: AsyncIterator[bytes]) -> Answer:
        """A form uploads a file: its fields say who, and what."""
        self._environment.store.bucket(bucket)
        posted = await read_post(None if self.is_open else self._find, sent, bucket, chunks, time.time())
        caller = self._caller(posted.key)
        await caller.may("oss:PutObject", posted.place)
        return await post_object(Asked(self._environment, posted.sent, posted.place, caller, posted.content))

    def _package(self, sent: Sent) -> tuple[Operation, Place] | None:
        """The upload of a package, whose name is the permission."""
        temporary = self._environment.temporary
        for place in sent.places if temporary.has_promised else ():
            if temporary.is_promised(place) and (operation := _operation(sent, place)) in _UPLOADS:
                return operation, place
        return None

    async def _verified(self, sent: Sent) -> Verified:
        if not self.is_open:
            return verify(self._find, sent, time.time())
        with contextlib.suppress(Fault):  # nobody has to sign; who does is known
            found = verify(self._find, sent, time.time())
            if found.key is not None:
                return found
        places = sent.places
        for place in places[1:]:
            if place.key and await self._environment.store.index.object(*place) is not None:
                return Verified(None, place)
        return Verified(None, places[0])

    async def _may(self, key: Key | None, action: str, place: Place) -> None:
        """See May."""
        if self.is_open or (key is not None and self._permissions.allows(key, action, place.resource)):
            return
        if await self._is_public(action, place):
            return
        if key is None:
            if not place.key:
                raise Fault("AccessDenied", "Anonymous access is forbidden for this operation.")
            raise Fault("AccessDenied", "You have no right to access this object because of bucket acl.")
        raise Fault("AccessDenied", self._permissions.refusal(key, action, place.resource))

    async def _is_public(self, action: str, place: Place) -> bool:
        bucket = self._environment.store.index.buckets.get(place.bucket)
        if bucket is None or not place.key:
            return False
        found = await self._environment.store.index.object(*place)
        acl = found.description.acl if found is not None and found.description.acl != "default" else bucket.acl
        return (action in _OPEN_READS and acl in {PUBLIC_READ, PUBLIC_READ_WRITE}) or (
            action in _OPEN_WRITES and acl == PUBLIC_READ_WRITE
        )


def _operation(sent: Sent, place: Place) -> Operation:
    """Raises Fault for what OSS or pyfc does not have."""
    table = (_OBJECT if place.key else _BUCKET) if place.bucket else _SERVICE
    name = _parameter(sent)
    found = table.get((sent.method, name))
    if found is not None:
        return found
    if name and name not in {other for _, other in table}:
        raise not_implemented(f"{sent.method} ?{name}")
    raise Fault("MethodNotAllowed", "The specified method is not allowed against this resource.")


def _posted_to(sent: Sent) -> str:
    """The bucket that a form uploads to; '' for other requests."""
    is_post = sent.method == "POST" and is_form(sent.headers.get("content-type", "")) and not _parameter(sent)
    return next((place.bucket for place in sent.places if not place.key), "") if is_post else ""


def _parameter(sent: Sent) -> str:
    """The parameter that makes another operation of a request, '' if there is none."""
    if "uploadId" in sent.query:
        return "uploadId"
    return next((name for name in sent.query if name in _PARAMETERS), "")


def _sent(scope: Scope, request_id: str) -> Sent:
    method, host, path, query, headers = head_of(scope, "surrogateescape")
    return Sent(method, host.partition(":")[0], path, query, headers, request_id, (scope.get("client") or ("",))[0])


async def _send(answer: Answer, request_id: str, send: Send, *, has_body: bool) -> None:
    file = answer.file
    try:
        length = answer.headers.get("Content-Length") or str(file.length if file else len(answer.body))
        common = {
            "Server": "AliyunOSS",
            "x-oss-request-id": request_id,
            **answer.headers,
        }
        if answer.status not in {204, 304}:
            common["Content-Length"] = length
        headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in common.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if file is not None and has_body:
            async for piece in pieces(file):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": answer.body if has_body else b"", "more_body": False})
    finally:
        if file is not None:
            os.close(file.descriptor)
