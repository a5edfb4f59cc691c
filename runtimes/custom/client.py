"""An HTTP/1.1 client of the user's server: its connections, one exchange at a time on each, kept where the server keeps
them. How messages are told apart is in http1.py, what becomes of an answer in calls.py.

A body may come in pieces, in both directions; whoever gives more than can be passed on is not read from meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import http1

_NO_BODY = {204, 304}
_SWITCHING = 101
_MOST_WHOLE = 65536
_QUICK: int = getattr(socket, "TCP_QUICKACK", 0)


class BrokenAnswer(Exception):
    """The server closed its connection, or sent what is no answer."""


class Taker(Protocol):
    """Takes an answer."""

    def head(self, status: int, headers: list[tuple[bytes, bytes]], size: int | None) -> None:
        """It begins; `size` of its body if that is known."""

    def data(self, piece: bytes) -> None:
        """The next bytes of its body."""

    def end(self) -> None:
        """It is whole."""

    def lost(self, error: BrokenAnswer) -> None:
        """It will not be."""


class Connection(asyncio.Protocol):
    """One connection to the server."""

    def __init__(self, on_idle: Callable[[Connection], None]) -> None:
        self.transport: asyncio.Transport
        self.is_fresh = True
        """No answer has begun on it yet."""
        self.is_open = True
        self._on_idle = on_idle
        self._taker: Taker | None = None
        self._buffer = bytearray()
        self._body: http1.Body | None = None
        """That of the answer; None before it begins."""
        self._unsent = 0
        self._is_head_request = False
        self._keeps = False
        self._on_drained: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=0)  # whatever waits to be written, its end is told
        self.transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")

    def ask(self, request: bytes, taker: Taker, *, is_head: bool, unsent: int = 0) -> None:
        """Send a request, or the beginning of one, of whose body `unsent` bytes are still to be written."""
        self._taker, self._is_head_request, self._body, self._unsent = taker, is_head, None, unsent
        self._acknowledge()
        self.transport.write(request)

    def _acknowledge(self) -> None:
        """At once: a server that writes head and body apart waits for it with the second (Nagle), 40 ms long."""
        if _QUICK:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)

    def write(self, piece: bytes, on_drained: Callable[[], None]) -> bool:
        """The next bytes of the request's body; whether there is room for more. If not, `on_drained` tells of it."""
        self._unsent -= len(piece)
        self.transport.write(piece)
        is_full = bool(self.transport.get_write_buffer_size())
        self._on_drained = on_drained if is_full else None
        return not is_full

    def pause_writing(self) -> None:
        """See asyncio."""

    def resume_writing(self) -> None:
        """See asyncio."""
        drained, self._on_drained = self._on_drained, None
        if drained is not None:
            drained()

    def pause(self) -> None:
        """Take nothing for now."""
        if self.is_open:
            self.transport.pause_reading()

    def resume(self) -> None:
        """Go on."""
        if self.is_open:
            self.transport.resume_reading()

    def abort(self) -> None:
        """Nobody wants the answer."""
        self._taker = self._on_drained = None
        self.is_open = False
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._taker is None:  # nobody has asked
            self.abort()
            return
        self._buffer += data
        if self._body is None or not self._body.is_whole:
            self._acknowledge()
        try:
            if self._body is None and not self._take_head():
                return
            self._take_body()
        except BrokenAnswer as error:
            self._fail(error)
        except http1.Malformed as error:
            self._fail(BrokenAnswer("the server's answer can not be read: %s" % error))

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self._on_drained = None
        if error is not None and self._taker is not None:
            self._take_last()
        self.is_open = False
        if self._taker is None:
            return
        if self._body is not None and self._body.ends_with_connection and error is None:
            self._finish()
        else:
            self._fail(BrokenAnswer("the server closed the connection before it had answered"))

    def _take_last(self) -> None:
        """A server that answers and closes before it has read the request resets the connection: what it has answered
        lies there still.
        """
        self._keeps = False
        try:
            while self._taker is not None and (data := os.read(self._socket.fileno(), 65536)):
                self.data_received(data)
        except OSError:
            return

    def _fail(self, error: BrokenAnswer) -> None:
        taker, self._taker = self._taker, None
        if self.is_open:
            self.is_open = False
            self.transport.abort()
        if taker is not None:
            taker.lost(error)

    def _take_head(self) -> bool:
        """Whether the answer has begun. Those that only announce it (100 to 199) are passed over."""
        while True:
            head = http1.take_answer(self._buffer)
            if head is None:
                return False
            if head.status >= 200 or head.status == _SWITCHING:
                self._begin(head)
                return True

    def _begin(self, head: http1.Head) -> None:
        assert self._taker is not None
        self.is_fresh = False
        if head.status == _SWITCHING:
            self._keeps, self._body = False, http1.Body(None)
            self._taker.head(head.status, head.fields, None)
            return
        has_body = not self._is_head_request and head.status not in _NO_BODY
        self._body = http1.Body(head.size, is_chunked=head.is_chunked) if has_body else http1.Body(0)
        self._keeps = head.keeps and not self._body.ends_with_connection
        self._taker.head(head.status, head.end_to_end(), head.size if has_body else 0)

    def _take_body(self) -> None:
        assert self._body is not None
        while self._taker is not None and (piece := self._body.take(self._buffer)):
            self._taker.data(piece)
        if self._taker is not None and self._body.is_whole:
            self._finish()

    def _finish(self) -> None:
        """The answer is whole. The connection can serve once more if the request is, too."""
        taker, self._taker = self._taker, None
        if self._keeps and self.is_open and not self._buffer and not self._unsent:
            self.resume()  # its end is noticed, and the next answer
            self._on_idle(self)
        elif self.is_open:
            self.is_open = False
            self.transport.close()
        if taker is not None:
            taker.end()


def request_head(method: str, target: str, headers: list[tuple[str, str]]) -> bytes:
    """The head of a request, its names as FC's proxy, in Go, has them."""
    return http1.message("%s %s HTTP/1.1" % (method, target), [(name.title(), value) for name, value in headers])


class Upstream:
    """The user's server at `place()`, which may change until it listens."""

    def __init__(self, place: Callable[[], tuple[str, int]]) -> None:
        self._place = place
        self._idle: list[Connection] = []

    def idle(self) -> Connection | None:
        """A kept connection that is free, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and not connection.transport.is_closing():
                return connection
        return None

    async def connect(self) -> Connection:
        """A new connection. Raises OSError."""
        host, port = self._place()
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._idle.append), host, port
        )
        return connection


class Whole:
    """Takes an answer whole."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def head(self, status: int, headers: list[tuple[bytes, bytes]], size: int | None) -> None:
        """See Taker."""
        self.status, self.headers = status, {name.lower(): value for name, value in headers}

    def data(self, piece: bytes) -> None:
        """See Taker. More than an error document is thrown away."""
        if len(self.body) < _MOST_WHOLE:
            self.body += piece

    def end(self) -> None:
        """See Taker."""
        if not self._future.done():
            self._future.set_result(None)

    def lost(self, error: BrokenAnswer) -> None:
        """See Taker."""
        if not self._future.done():
            self._future.set_exception(error)

    def __await__(self) -> object:
        return self._future.__await__()


async def ask(upstream: Upstream, method: str, path: str, headers: list[tuple[str, str]]) -> Whole:
    """One small exchange. Raises OSError, BrokenAnswer."""
    request = request_head(method, path, [("host", "127.0.0.1"), ("content-length", "0"), *headers])
    taker = Whole()
    connection = await upstream.connect()
    connection.ask(request, taker, is_head=False)
    waiting: Awaitable[None] = taker  # type: ignore[assignment]
    await waiting
    return taker
