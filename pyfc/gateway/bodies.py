"""Bodies that are too large, or too slow, to be gathered: a request's on its way to the function, a response's back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from pyfc.auth.digest import BodyDigest
from pyfc.errors import PyfcError
from pyfc.model.bodies import ENDLESS, Incoming, Stream
from pyfc.model.invocation import Result
from pyfc.wire.frames import MAXIMUM_UNARY

if TYPE_CHECKING:
    from pyfc.gateway.connection import Exchange
    from pyfc.gateway.exchange import Exchange as Call

NO_BODY = {204, 304}
NO_LENGTH = {101, 204}
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
SWITCHING = 101
PHRASES = {status.value: status.phrase for status in HTTPStatus}


def length_of_nothing(status: int, headers: Sequence[tuple[str, str]], size: int | None) -> str:
    """The line that tells the length of a body that is not sent (HEAD, 304): what the function states, or else what it
    gave; none is invented, and there is none where it may not be (RFC 9110, 8.6). `size`: of what it gave, if known.
    """
    if status in NO_LENGTH:
        return ""
    for name, value in headers:
        if name.lower() == "content-length" and _LENGTH.fullmatch(value.strip()):
            return f"Content-Length: {value.strip()}\r\n"
    return f"Content-Length: {size}\r\n" if size and status not in NO_BODY else ""


def open_answer(exchange: Call, head: Result, lines: str, stream: Stream) -> Outgoing | Tunnel | None:
    """Begin an answer whose body comes piece by piece; None if nobody takes the pieces."""
    status = head.status
    if status == SWITCHING:
        return exchange.tunnel(f"HTTP/1.1 101 Switching Protocols\r\n{lines}", stream.resume)
    first = f"HTTP/1.1 {status} {PHRASES.get(status, '')}\r\n{lines}"
    if status in NO_BODY or exchange.method == b"HEAD":
        exchange.respond(first + length_of_nothing(status, head.headers or (), head.size), b"")
        stream.cancel()
        return None
    return exchange.stream(first, head.size, stream.resume)


def declared_stream(path: bytes, fields: dict[bytes, bytes]) -> int:
    """The size of a request's body that may be passed on while it arrives; 0 for one that is gathered.

    Functions read CONTENT_LENGTH, so a body of unknown length is gathered, like every event.
    """
    declared = fields.get(b"content-length", b"0")
    is_large = len(declared) > 6 and int(declared) > MAXIMUM_UNARY
    return int(declared) if is_large and path[11:17] == b"/proxy" else 0


def _takes_streams(exchange: Exchange) -> bool:
    """Whether the function that a request is for takes its body while it arrives."""
    try:
        config = exchange.protocol.shared.invocations.http_place(exchange.path, exchange.fields)[0].trigger
    except PyfcError:
        return False  # the whole request will be told
    return config is not None and not config.is_event


def pass_on(exchange: Exchange, body: bytes) -> bool:
    """Take a piece of a large body; False while it is to be gathered still."""
    flow = exchange.protocol.flow
    if exchange.incoming is not None:
        if _differs(exchange, body):
            return True
        if not exchange.incoming.write(body):
            flow.pause_reading()
        return True
    if exchange.size < MAXIMUM_UNARY or not _takes_streams(exchange):
        return False
    exchange.body = b"".join([*(exchange.chunks or ()), body])
    exchange.chunks = None
    if b"content-md5" in exchange.fields:
        exchange.digest = BodyDigest(exchange.fields[b"content-md5"])
        if _differs(exchange, exchange.body):
            return True
    exchange.incoming = Incoming(exchange.declared)
    exchange.incoming.on_room = flow.resume_reading
    exchange.protocol.shared.invocations.handle(exchange)
    return True


def _differs(exchange: Exchange, piece: bytes) -> bool:
    """Whether the last piece of a body shows that it is not the one that was stated: then it is not passed on, and
    the request is refused.
    """
    if exchange.digest is None:
        return False
    exchange.digest.add(piece)
    try:
        if exchange.size >= exchange.declared:
            exchange.digest.check()
    except PyfcError as error:
        exchange.protocol.refuse(error)
        return True
    return False


def upgrade(exchange: Exchange) -> None:
    """A request to go on as something else, a WebSocket: what follows it belongs to the function that agrees."""
    exchange.incoming = Incoming(ENDLESS)
    exchange.incoming.on_room = exchange.protocol.flow.resume_reading
    exchange.upgrades = True


class Tunnel:
    """What an upgraded connection carries, in both directions, as it is."""

    def __init__(self, exchange: Exchange, head: str, resume: Callable[[], None]) -> None:
        self._exchange = exchange
        self._protocol = exchange.protocol
        self._resume = resume
        self._protocol.tunnel = self
        self._protocol.transport.write(f"{head}\r\n".encode("latin-1"))

    def received(self, data: bytes) -> None:
        """Of the client."""
        incoming = self._exchange.incoming
        if incoming is not None and not incoming.write(data):
            self._protocol.flow.pause_reading()

    def write(self, data: bytes | memoryview) -> bool:
        """See Outgoing."""
        if not self._protocol.transport.is_closing():
            self._protocol.transport.write(data)
            if self._protocol.flow.write_paused:
                self._protocol.on_room = self._resume
                return False
        return True

    def end(self, *, is_whole: bool) -> None:
        """The other side is through; `is_whole` means nothing here."""
        self._exchange.response_complete = True
        self._exchange.on_gone = self._protocol.on_room = None
        self._protocol.end()


class Outgoing:
    """A response that is written piece by piece."""

    def __init__(self, exchange: Exchange, head: str, size: int | None, resume: Callable[[], None]) -> None:
        self._exchange = exchange
        self._protocol = exchange.protocol
        self._transport = exchange.protocol.transport
        self._resume = resume
        self._is_chunked = size is None and exchange.is_current
        length = "Transfer-Encoding: chunked\r\n" if self._is_chunked else ""
        if size is not None:
            length = f"Content-Length: {size}\r\n"
        if size is None and not self._is_chunked:
            exchange.keep_alive = False  # HTTP/1.0: the end of the connection is that of the body
        ending = "\r\n" if exchange.keep_alive else "Connection: close\r\n\r\n"
        self._transport.write(f"{head}{length}{self._protocol.shared.date}{ending}".encode("latin-1"))

    def write(self, data: bytes | memoryview) -> bool:
        """Send a piece. False: no more until `resume` was called."""
        if self._transport.is_closing():
            return True  # the client has left; the call is told by its Exchange
        if self._is_chunked:
            self._transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))
        else:
            self._transport.write(data)
        if self._protocol.flow.write_paused:
            self._protocol.on_room = self._resume
            return False
        return True

    def end(self, *, is_whole: bool) -> None:
        """The body is complete, or never will be: then the connection is cut so that the client can tell."""
        exchange, protocol = self._exchange, self._protocol
        exchange.response_complete = True
        exchange.on_gone = None
        protocol.on_room = None
        if self._transport.is_closing():
            return
        if not is_whole:
            self._transport.abort()
            return
        if self._is_chunked:
            self._transport.write(b"0\r\n\r\n")
        if not exchange.keep_alive:
            protocol.end()
        protocol.on_response_complete()
