"""The object store of a server, as OSS's protocol has it: for people who have no client of OSS at hand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import mimetypes
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from types import MappingProxyType
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, unquote, urlencode
from xml.etree import ElementTree

from pyfc.client.client import ApiError, Client
from pyfc.errors import NotUnderstood

_PIECE = 1024 * 1024
_PAGE = "1000"
_ENCODED = MappingProxyType({"encoding-type": "url"})
"""Keys may have characters that XML has no place for."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Listed(NamedTuple):
    """An object in a list; of what keys have in common up to a delimiter `key` alone."""

    key: str
    size: int = 0
    modified: str = ""
    etag: str = ""
    """MD5 in upper-case hexadecimal, unless it has come in parts."""


_OF_BUCKETS = {
    "NoSuchBucket": "",
    "InvalidBucketName": " It has 3 to 63 lower-case letters, digits and hyphens, and no hyphen at an end.",
}
"""Codes of answers that are about a bucket, and what its clients should hear besides."""


class Buckets:
    """The buckets of one server. Everything raises ApiError with OSS's code, ServerUnreachable, NotUnderstood."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def names(self) -> list[str]:
        """All buckets."""
        found: list[str] = []
        while True:
            query = {"max-keys": _PAGE, **({"marker": found[-1]} if found else {})}
            page = self._document("GET", query=query)
            found += [each.text or "" for each in page.iterfind("Buckets/Bucket/Name")]
            if page.findtext("IsTruncated") != "true":
                return found

    def make(self, bucket: str) -> None:
        """Make a bucket."""
        self._done("PUT", bucket)

    def remove(self, bucket: str) -> None:
        """Remove an empty bucket."""
        self._done("DELETE", bucket)

    def list(self, bucket: str, prefix: str = "", delimiter: str = "") -> Iterator[Listed]:
        """Objects whose keys begin with `prefix`, in the order of their bytes; what keys have in common up to
        `delimiter` stands for them.
        """
        asked = {"list-type": "2", "max-keys": _PAGE, "prefix": prefix, "delimiter": delimiter, **_ENCODED}
        while True:
            page = self._document("GET", bucket, query=asked)
            rows = [Listed(unquote(each.findtext("Prefix") or "")) for each in page.iterfind("CommonPrefixes")]
            rows += [_listed(each) for each in page.iterfind("Contents")]
            yield from sorted(rows, key=lambda row: row.key.encode())
            token = unquote(page.findtext("NextContinuationToken") or "")
            if page.findtext("IsTruncated") != "true" or not token or token == asked.get("continuation-token"):
                return
            asked["continuation-token"] = token

    def put(self, bucket: str, key: str, content: BinaryIO, size: int) -> None:
        """Make an object of what is in an open file; its type is what the ending of its key says."""
        kind = mimetypes.guess_type(key, strict=False)[0] or "application/octet-stream"
        headers = {"content-length": str(size), "content-type": kind}
        self._done("PUT", bucket, key, body=content, headers=headers)

    def get(self, bucket: str, key: str, target: BinaryIO) -> None:
        """Write an object's content to an open file. Raises OSError of the file's."""
        failure: OSError | None = None
        with self._asked("GET", bucket, key) as response:
            while failure is None and (piece := response.read(_PIECE)):
                try:
                    target.write(piece)
                except OSError as error:  # in here it would be one of the connection's
                    failure = error
            if failure is None and response.length:
                raise http.client.IncompleteRead(b"", response.length)
        if failure is not None:
            raise failure

    def copy(self, source: tuple[str, str], bucket: str, key: str) -> None:
        """Make an object of another one's content."""
        self._done("PUT", bucket, key, headers={"x-oss-copy-source": f"/{source[0]}/{quote(source[1])}"})

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object, if it is there."""
        self._done("DELETE", bucket, key)

    def _document(self, method: str, bucket: str = "", query: Mapping[str, str] = _NOTHING) -> ElementTree.Element:
        with self._asked(method, bucket, query=query) as response:
            try:
                return ElementTree.fromstring(response.read())  # noqa: S314  of the user's own server
            except ElementTree.ParseError as error:
                raise NotUnderstood(endpoint=self._client.endpoint, reason=f"XML: {error}") from error

    def _done(
        self, method: str, bucket: str, key: str = "", *,
        body: BinaryIO | None = None, headers: Mapping[str, str] = _NOTHING,
    ) -> None:  # fmt: skip
        with self._asked(method, bucket, key, body=body, headers=headers) as response:
            response.read()

    @contextlib.contextmanager
    def _asked(
        self, method: str, bucket: str = "", key: str = "", *,
        query: Mapping[str, str] = _NOTHING, body: BinaryIO | None = None, headers: Mapping[str, str] = _NOTHING,
    ) -> Iterator[http.client.HTTPResponse]:  # fmt: skip
        path = f"/{quote(bucket)}/{quote(key)}" if bucket else "/"
        target = f"{path}?{urlencode(query)}" if query else path
        with self._client.connected() as connection:
            connection.request(method, target, body or b"", self._signed(method, bucket, key, query, headers))
            response = connection.getresponse()
            if response.status >= 400:
                raise _error(response, bucket)
            yield response

    def _signed(
        self, method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> dict[str, str]:
        """With a signature of version 1, if a key is known."""
        known = self._client.key
        if known is None:
            return dict(headers)
        given = {"date": formatdate(usegmt=True), **headers}
        if known.token:
            given["x-oss-security-token"] = known.token
        own = "".join(f"{name}:{given[name]}\n" for name in sorted(given) if name.startswith("x-oss-"))
        token = f"?continuation-token={query['continuation-token']}" if "continuation-token" in query else ""
        resource = f"/{bucket}/{key}{token}" if bucket else "/"
        lines = (method, "", given.get("content-type", ""), given["date"], own + resource)
        digest = hmac.new(known.secret.encode(), "\n".join(lines).encode(), hashlib.sha1).digest()
        return {**given, "authorization": f"OSS {known.id}:{base64.b64encode(digest).decode()}"}


def _listed(element: ElementTree.Element) -> Listed:
    key, size, modified, etag = (element.findtext(name) or "" for name in ("Key", "Size", "LastModified", "ETag"))
    return Listed(unquote(key), int(size) if size.isdigit() else 0, modified, etag.strip('"'))


def _error(response: http.client.HTTPResponse, bucket: str) -> ApiError:
    """OSS's own messages do not name the bucket, of which a command may have two."""
    code, message = "", f"the object store answered {response.status} {response.reason}"
    with contextlib.suppress(ElementTree.ParseError):
        told = ElementTree.fromstring(response.read())  # noqa: S314  of the user's own server
        code, message = told.findtext("Code") or "", told.findtext("Message") or message
    if code in _OF_BUCKETS:
        message = f"bucket {bucket[:100]!r}: {message}{_OF_BUCKETS[code]}"
    return ApiError(response.status, code, message, response.headers.get("x-oss-request-id", ""))
