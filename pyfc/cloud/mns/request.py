"""A request to the message service as it was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from starlette.types import Scope

from pyfc.cloud.request import head_of

_HOST = re.compile(r"[a-z0-9-]+\.mns\.[a-z0-9-]+\.(?:aliyuncs\.com|localhost)")
"""Like 1234567890123456.mns.cn-hangzhou-internal.aliyuncs.com."""
_SCHEME = b"MNS "
_VERSION = b"x-mns-version"


class Sent(NamedTuple):
    """A request."""

    method: str
    host: str
    """With the port, if it was there; in lower case."""
    path: str
    """Decoded."""
    resource: str
    """Path and query as they came."""
    query: Mapping[str, str]
    """Decoded, names in lower case: clients differ in how they spell them."""
    headers: Mapping[str, str]
    """Names in lower case, values in Latin-1: a byte a character."""
    body: bytes = b""


def sent(scope: Scope) -> Sent:
    """The head of a request."""
    method, host, path, query, headers = head_of(scope, "replace")
    text = scope["query_string"].decode("latin-1")
    names = {name.lower(): value for name, value in query.items()}
    return Sent(method, host, unquote(path, errors="replace"), f"{path}?{text}" if text else path, names, headers)


def is_host(host: str) -> bool:
    """Whether a host name, without its port, is one of MNS."""
    return _HOST.fullmatch(host) is not None


def is_meant(host: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is one to the message service: by its host, how it is signed, or the version it asks for."""
    return headers.get(b"authorization", b"").startswith(_SCHEME) or _VERSION in headers or is_host(host)
