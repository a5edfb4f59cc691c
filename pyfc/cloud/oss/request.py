"""A request to the object store: what was sent, and which bucket and key it may mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.model import Place

_DOMAIN = r"(?:s3\.)?oss(?:-[a-z0-9-]+)?\.(?:aliyuncs\.com|localhost)"
_HOST = re.compile(rf"([a-z0-9][a-z0-9-]{{1,61}}[a-z0-9])\.{_DOMAIN}")
"""A host that names a bucket, like photos.oss-cn-hangzhou-internal.aliyuncs.com."""
_SERVICE_HOST = re.compile(_DOMAIN)
_LONGEST_KEY = 1023
_SCHEMES = ("OSS ", "OSS2 ", "OSS4-HMAC-SHA256 ")
_IN_QUERY = ("OSSAccessKeyId=", "x-oss-signature=", "x-oss-access-key-id=")


class Sent(NamedTuple):
    """A request as it was sent."""

    method: str
    host: str
    """Without the port, in lower case."""
    path: str
    """Percent-encoded."""
    query: Mapping[str, str]
    """Decoded; the first of several with one name."""
    headers: Mapping[str, str]
    """Names in lower case, values in Latin-1: a byte a character."""
    request_id: str = ""
    """What it is called here, and where it came from."""
    address: str = ""

    @property
    def places(self) -> Sequence[Place]:
        """What it may mean, the likelier first: a host that names a bucket may or may not have it in the path too
        (ali-oss has with `sldEnable`). Raises Fault for a key that can be none.
        """
        named = _HOST.fullmatch(self.host)
        path = unquote_to_bytes(self.path)
        if named is None:
            first, _, rest = path[1:].partition(b"/")
            return [Place(first.decode("utf-8", "replace"), _key(rest))]
        host_bucket = named[1]
        plain, prefix = Place(host_bucket, _key(path[1:])), f"/{host_bucket}/".encode()
        if not (path + b"/").startswith(prefix):
            return [plain]
        return [plain, Place(host_bucket, _key(path[len(prefix) :]))]


def _key(raw: bytes) -> str:
    try:
        key = raw.decode()
    except UnicodeDecodeError:
        raise Fault("InvalidObjectName", "The key is not UTF-8.") from None
    if len(raw) > _LONGEST_KEY:
        raise Fault("InvalidObjectName", f"The key has more than {_LONGEST_KEY} bytes.")
    if key.startswith(("/", "\\")):
        raise Fault("InvalidObjectName", "A key does not begin with a slash.")
    return key


def check_key(key: str) -> None:
    """Raises Fault for a text that can be no key."""
    if not key:
        raise Fault("InvalidArgument", "The key is empty.")
    _key(key.encode("utf-8", "surrogatepass"))


def is_meant(host: str, query: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is one to the object store: by its host, or by how it is signed. `host`: in lower case."""
    scheme = headers.get(b"authorization", b"")[:20].decode("latin-1")
    return scheme.startswith(_SCHEMES) or any(name in query for name in _IN_QUERY) or is_host(host)


def is_host(host: str) -> bool:
    """Whether a host name is one of OSS, with or without a bucket."""
    return _HOST.fullmatch(host) is not None or _SERVICE_HOST.fullmatch(host) is not None
