"""Keeps web pages off a developer's machine: which Host names are ours, which requests another site's page sent.

A page the developer happens to visit can make the browser send requests to 127.0.0.1. Such a request says so: its
Origin is not ours, or Sec-Fetch-Site is neither `none` nor `same-origin`. And a page whose own name was pointed at
127.0.0.1 (DNS rebinding) sends a Host that is not ours.
"""

from __future__ import annotations

from pyfc.errors import AccessDenied
from pyfc.model.hosts import is_loopback

_OWN_SITE = {b"none", b"same-origin"}


def host_name(host: str) -> str:
    """A Host header's value without its port and the dot of a whole name, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return (host.rpartition(":")[0] if host.count(":") == 1 else host).removesuffix(".")


class Guard:
    """The names of one server. `names`: those it may be called by beside the loopback ones."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = {name.strip("[]").lower() for name in names}

    def is_known(self, host: bytes) -> bool:
        """Whether a Host header names this server."""
        name = host_name(host.decode("latin-1"))
        return is_loopback(name) or name in self._names

    def check(self, fields: dict[bytes, bytes]) -> None:
        """Raises AccessDenied for a request that this server's management and event paths must not answer."""
        host = fields.get(b"host")
        if host is not None and not self.is_known(host):
            raise AccessDenied(
                message=f"'{host.decode('latin-1')[:200]}' is not a name of this server; "
                "start it with --allow-host NAME if it should be"
            )
        self.check_page(fields)

    def check_page(self, fields: dict[bytes, bytes]) -> None:
        """Raises AccessDenied for a request that the page of another site has sent."""
        host = fields.get(b"host")
        origin = fields.get(b"origin")
        if origin is not None and origin.rpartition(b"//")[2] != host:
            raise AccessDenied(message="a web page of another site may call HTTP triggers only")
        if fields.get(b"sec-fetch-site", b"none") not in _OWN_SITE:
            raise AccessDenied(message="a web page of another site may call HTTP triggers only")
