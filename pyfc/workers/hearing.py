"""To be told when a socket has something to say, its failure included.

A UNIX socket has an error (POLLERR) when the other side is killed before it has read everything. libuv tells that once
and then watches the descriptor no more: whoever reads an answer then never hears of the end. So an epoll object is
watched in its place: that is readable as long as there is something to hear, and has no errors itself.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable


class Hearing:
    """Calls `action` in the loop as long as the socket is readable, has failed, or was closed by the other side."""

    def __init__(self, heard: socket.socket, action: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll() if hasattr(select, "epoll") else None  # macOS tells errors as readable
        if self._epoll is not None:
            self._epoll.register(heard, select.EPOLLIN)
        self._descriptor = heard.fileno() if self._epoll is None else self._epoll.fileno()
        self._loop.add_reader(self._descriptor, action)

    def close(self) -> None:
        """Hear nothing more; to be called before the socket is closed."""
        self._loop.remove_reader(self._descriptor)
        if self._epoll is not None:
            self._epoll.close()
