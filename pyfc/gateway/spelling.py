"""Header names as FC writes them. Starlette and uvicorn make small letters of them, and some clients look for
`X-Fc-Request-Id` and `Etag` among the names as they came.
"""

from __future__ import annotations

import asyncio
from typing import Any

_INTERIM = b"HTTP/1.1 100"
_STORES = b"\r\nx-oss-"
"""An object store's own headers: it writes them small, and its `ETag` in another way than FC."""
_SMALL = (b"x-oss-", b"x-mns-")
"""Beginnings of names that stay small: clients look for them as they are."""


class Spelled:
    """The transport of one answer of uvicorn's, whose head is the first thing that is written."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._is_headed = False

    def write(self, data: bytes) -> None:
        """Write the head, and then the body."""
        if not self._is_headed and not data.startswith(_INTERIM):
            self._is_headed = True
            data = spelled(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def spelled(head: bytes) -> bytes:
    """The head of an answer with its names as FC writes them."""
    first, *lines = head.split(b"\r\n")
    is_of_store = _STORES in head
    return b"\r\n".join([first, *(_line(line, is_of_store=is_of_store) for line in lines)])


def _line(line: bytes, *, is_of_store: bool) -> bytes:
    name, colon, value = line.partition(b":")
    if is_of_store and name == b"etag":
        return b"ETag" + colon + value
    if name.startswith(_SMALL):
        return line
    return b"-".join(part.capitalize() for part in name.split(b"-")) + colon + value
