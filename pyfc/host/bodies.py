"""Bodies that do not fit in one frame: Data frames within the credit that their reader gives.

The first `MAXIMUM_UNARY` bytes travel in the Invoke or Reply itself; the rest follows in Data frames of at most
`MAXIMUM_DATA`, of which as many bytes may be on their way as the reader has credited.
"""

from __future__ import annotations

from typing import Any

import msgpack

from pyfc.wire import frames

_MORE, _LAST = msgpack.packb((True,)), msgpack.packb((False,))


class Upload:
    """What of a request's body the worker has not been sent."""

    def __init__(self, number: int, body: bytes) -> None:
        self._number = number
        self._body = memoryview(body)
        self._sent = frames.MAXIMUM_UNARY
        self._credit = frames.MAXIMUM_DATA

    def grant(self, size: int) -> None:
        """The worker took `size` bytes. Raises ValueError if it was never sent them."""
        if not 0 < size <= self._sent:
            raise ValueError("credit for what was never sent")
        self._credit += size

    def ready(self) -> list[bytes | memoryview]:
        """The frames that the credit allows now, in pieces."""
        pieces: list[bytes | memoryview] = []
        while self._credit > 0 and self._sent < len(self._body):
            end = min(self._sent + min(self._credit, frames.MAXIMUM_DATA), len(self._body))
            size = end - self._sent
            header = _MORE if end < len(self._body) else _LAST
            pieces.append(frames.PREFIX.pack(7 + len(header) + size, frames.DATA, self._number, len(header)) + header)
            pieces.append(self._body[self._sent : end])
            self._credit -= size
            self._sent = end
        return pieces


class Download:
    """A result of which more is to come. Bytes beyond `maximum` are counted and thrown away."""

    def __init__(self, head: list[Any], first: bytes | memoryview, maximum: int) -> None:
        self.head = head
        if not len(first) < head[1]:
            raise ValueError("a Reply says that more follows, and nothing does")
        self._size = len(first)
        self._parts: list[bytes | memoryview] = [first]
        self._maximum = maximum

    def take(self, payload: bytes | memoryview) -> bytes:
        """Keep the bytes of one Data frame; the Credit frame's header. Raises ValueError for what is not allowed."""
        self._size += len(payload)
        if not 0 < len(payload) <= frames.MAXIMUM_DATA or self._size > self.head[1]:
            raise ValueError("a Data frame of a size that is not allowed, or more than the Reply told")
        if self._size <= self._maximum:
            self._parts.append(payload)
        packed: bytes = msgpack.packb((len(payload),))
        return packed

    def whole(self) -> tuple[list[Any], bytes]:
        """The Reply's header and the body, as if they had come in one frame. Raises ValueError if bytes are missing."""
        if self._size != self.head[1]:
            raise ValueError("a body is not of the size that its Reply told")
        return [False, *self.head[1:]], b"".join(self._parts)
