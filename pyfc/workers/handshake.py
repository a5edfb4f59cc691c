"""The conversation of an instance's start: one frame is waited for at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pyfc.host.process import Exit


class LinkClosed(Exception):
    """The worker has ended before it answered; `how` says how, if anyone could tell."""

    def __init__(self, how: Exit | None) -> None:
        super().__init__("the worker has ended before it answered")
        self.how = how


class Expectation:
    """The next frame of one kind. A frame that nobody waits for is of a later version of the wire: ignored. `read`
    takes what has arrived.
    """

    def __init__(self, read: Callable[[], object]) -> None:
        self._read = read
        self._kind = 0
        self._future: asyncio.Future[tuple[list[Any], bytes]] | None = None
        self._closed: LinkClosed | None = None

    async def frame(self, kind: int, timeout: float) -> tuple[list[Any], bytes]:
        """Header and payload of the next frame of this kind. Raises TimeoutError, or LinkClosed if the worker ends."""
        if self._closed is not None:
            raise self._closed
        self._kind = kind
        future: asyncio.Future[tuple[list[Any], bytes]] = asyncio.get_running_loop().create_future()
        self._future = future
        try:
            self._read()  # a spare has said Hello long ago
            if future.done():
                return future.result()
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._future = None

    def offer(self, kind: int, header: list[Any], payload: bytes) -> None:
        """A frame has arrived."""
        if self._future is not None and kind == self._kind and not self._future.done():
            self._future.set_result((header, payload))

    def fail(self, how: Exit) -> None:
        """No frame will arrive any more."""
        self._closed = LinkClosed(how)
        if self._future is not None and not self._future.done():
            self._future.set_exception(self._closed)
