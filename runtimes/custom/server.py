"""HTTP/1.1 to the user's server: one exchange at a time per connection, connections kept where the server keeps them.

A body may come in pieces, in both directions; whoever gives more than can be passed on is not read from meanwhile.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

_MOST_HEAD = 65536
_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"proxy-connection", b"te", b"trailer"}
_NO_BODY = {204, 304}
_SWITCHING = 101
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


class Exchange(asyncio.Protocol):
    """One connection."""

    def __init__(self, on_idle: Callable[[Exchange], None]) -> None:
        self.transport: asyncio.Transport
        self.is_fresh = True
        """Nothing has been asked on it yet."""
        self.is_open = True
        self._on_idle = on_idle
        self._taker: Taker | None = None
        self._buffer = b""
        self._left: int | None = None
        """Bytes of the body (or of the chunk) that are still to come; None until the end of the stream."""
        self._state = self._take_head
        self._is_head_request = False
        self._keeps = False
        self._on_drained: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")

    def ask(self, request: bytes, taker: Taker, *, is_head: bool) -> None:
        """Send a request, or the beginning of one."""
        self._taker, self._is_head_request, self._state = taker, is_head, self._take_head
        self._acknowledge()
        self.transport.write(request)

    def _acknowledge(self) -> None:
        """At once: a server that writes head and body apart waits for it with the second (Nagle), 40 ms long."""
        if _QUICK:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)

    def write(self, piece: bytes, on_drained: Callable[[], None]) -> None:
        """The next bytes of the request's body; `on_drained` when there is room for more."""
        self.transport.write(piece)
        if self.transport.get_write_buffer_size():
            self._on_drained = on_drained
        else:
            on_drained()

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
        self._taker = None
        self.is_open = False
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._state == self._take_head or self._left:
            self._acknowledge()
        try:
            while self._taker is not None and self._state():
                continue
        except (ValueError, BrokenAnswer) as error:
            self._fail(BrokenAnswer(str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self.is_open = False
        if self._taker is None:
            return
        if self._state == self._take_rest:
            self._finish()
        else:
            self._fail(BrokenAnswer("the server closed the connection before it had answered"))

    def _fail(self, error: BrokenAnswer) -> None:
        taker, self._taker = self._taker, None
        if self.is_open:
            self.is_open = False
            self.transport.abort()
        if taker is not None:
            taker.lost(error)

    # the states: each takes something of the buffer, and tells whether it could

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MOST_HEAD:
                raise BrokenAnswer("the head of the answer is too long")
            return False
        lines = self._buffer[:end].split(b"\r\n")
        self._buffer = self._buffer[end + 4 :]
        version, _, rest = lines[0].partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise BrokenAnswer("the answer is not HTTP/1")
        status = int(rest[:3])
        if status == _SWITCHING:
            headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(b":") for line in lines[1:])]
            self._keeps, self._state, self.is_fresh = False, self._take_rest, False
            assert self._taker is not None
            self._taker.head(status, headers, None)
            return True
        if 100 <= status < 200:
            return True
        headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(b":") for line in lines[1:])]
        self._begin(status, version, headers)
        return True

    def _begin(self, status: int, version: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        known = {name.lower(): value for name, value in headers}
        connection = known.get(b"connection", b"").lower()
        self._keeps = connection != b"close" and (version != b"HTTP/1.0" or connection == b"keep-alive")
        size: int | None = None
        if self._is_head_request or status in _NO_BODY:
            size, self._state, self._left = 0, self._take_body, 0
        elif b"chunked" in known.get(b"transfer-encoding", b"").lower():
            self._state = self._take_chunk
        elif b"content-length" in known:
            size = self._left = int(known[b"content-length"])
            self._state = self._take_body
        else:
            self._keeps, self._state = False, self._take_rest
        self.is_fresh = False
        assert self._taker is not None
        self._taker.head(status, [each for each in headers if each[0].lower() not in _HOP], size)
        if self._left == 0 and self._state == self._take_body:
            self._finish()

    def _take_piece(self) -> int:
        """Hands on what is there of the piece being read; returns the bytes it still lacks."""
        assert self._left is not None
        piece, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(piece)
        if piece and self._taker is not None:
            self._taker.data(piece)
        return self._left

    def _take_body(self) -> bool:
        if not self._take_piece():
            self._finish()
        return False

    def _take_rest(self) -> bool:
        piece, self._buffer = self._buffer, b""
        if piece and self._taker is not None:
            self._taker.data(piece)
        return False

    def _take_chunk(self) -> bool:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return False
        size = int(line.partition(b";")[0], 16)
        self._buffer = rest
        self._left = size
        self._state = self._take_chunk_data if size else self._take_trailers
        return True

    def _take_chunk_data(self) -> bool:
        if self._take_piece() or len(self._buffer) < 2:
            return bool(self._left) and bool(self._buffer)
        self._buffer = self._buffer[2:]
        self._state = self._take_chunk
        return True

    def _take_trailers(self) -> bool:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return False
        self._buffer = rest
        if line:
            return True
        self._finish()
        return False

    def _finish(self) -> None:
        taker, self._taker = self._taker, None
        if self._keeps and self.is_open and not self._buffer:
            self._on_idle(self)
        elif self.is_open:
            self.is_open = False
            self.transport.close()
        if taker is not None:
            taker.end()


class Server:
    """The user's server at `place()`, which may change until it listens."""

    def __init__(self, place: Callable[[], tuple[str, int]]) -> None:
        self._place = place
        self._idle: list[Exchange] = []

    def idle(self) -> Exchange | None:
        """A kept connection that is free, if there is one."""
        while self._idle:
            exchange = self._idle.pop()
            if exchange.is_open and not exchange.transport.is_closing():
                return exchange
        return None

    async def connect(self) -> Exchange:
        """A new connection. Raises OSError."""
        host, port = self._place()
        _, exchange = await asyncio.get_running_loop().create_connection(
            lambda: Exchange(self._idle.append), host, port
        )
        return exchange

    async def exchange(self) -> Exchange:
        """A connection that is free. Raises OSError."""
        return self.idle() or await self.connect()


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
        """See Taker."""
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


async def ask(server: Server, method: str, path: str, headers: list[tuple[str, str]]) -> Whole:
    """One small exchange. Raises OSError, BrokenAnswer."""
    lines = "".join("%s: %s\r\n" % (name.title(), value) for name, value in headers)
    request = "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n%s\r\n" % (method, path, lines)
    taker = Whole()
    exchange = await server.connect()
    exchange.ask(request.encode("latin-1"), taker, is_head=False)
    waiting: Awaitable[None] = taker  # type: ignore[assignment]
    await waiting
    return taker
