"""A request to the log service: what was sent, and which project it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

_DOMAIN = r"[a-z0-9-]+\.log(?:\.[a-z0-9-]+)?\.(?:aliyuncs\.com|localhost)"
_SERVICE_HOST = re.compile(_DOMAIN)
_HOST = re.compile(rf"([a-z0-9][a-z0-9-]{{1,61}}[a-z0-9])\.{_DOMAIN}")
"""A host that names a project, like web.cn-hangzhou-intranet.log.aliyuncs.com."""
_ADDRESS = re.compile(r"([a-z0-9][a-z0-9-]*[a-z0-9])\.(?:\d{1,3}(?:\.\d{1,3}){3}|localhost)")
"""What clients make of an address instead of a name: web.127.0.0.1."""
_SCHEMES = (b"LOG ", b"SLS ", b"SLS4-HMAC-SHA256 ")
_VERSION = b"x-log-apiversion"


class Sent(NamedTuple):
    """A request as it was sent."""

    method: str
    host: str
    """With the port, if it was there; in lower case."""
    path: str
    """Decoded."""
    query: Mapping[str, str]
    """Decoded; the first of several with one name."""
    headers: Mapping[str, str]
    """Names in lower case, values in Latin-1: a byte a character."""
    body: bytes = b""

    @property
    def project(self) -> str:
        """The project that the host names; '' if it names none."""
        name = self.host.partition(":")[0]
        found = _HOST.fullmatch(name) or _ADDRESS.fullmatch(name)
        return found[1] if found else ""


def is_host(host: str) -> bool:
    """Whether a host name, without its port, is one of SLS, with or without a project."""
    return _HOST.fullmatch(host) is not None or _SERVICE_HOST.fullmatch(host) is not None


def is_meant(host: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is one to the log service: by its host, how it is signed, or the version that it asks for."""
    return headers.get(b"authorization", b"").startswith(_SCHEMES) or _VERSION in headers or is_host(host)


def decoded(path: str) -> str:
    """A percent-encoded path."""
    return unquote(path, errors="replace")
