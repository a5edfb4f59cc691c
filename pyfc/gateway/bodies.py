"""Bodies of responses that come piece by piece, and what an upgraded connection carries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus

from pyfc.gateway.exchange import Exchange
from pyfc.model.bodies import Stream
from pyfc.model.invocation import Result

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


def open_answer(exchange: Exchange, head: Result, lines: str, stream: Stream) -> Outgoing | Tunnel | None:
    """Begin an answer whose body comes piece by piece; None if nobody takes the pieces."""
    status = head.status
    if status == SWITCHING:
        return Tunnel(exchange, f"HTTP/1.1 101 Switching Protocols\r\n{lines}", stream.resume)
    first = f"HTTP/1.1 {status} {PHRASES.get(status, '')}\r\n{lines}"
    if status in NO_BODY or exchange.method == b"HEAD":
        nothing = length_of_nothing(status, head.headers or (), head.size)
        exchange.outlet.respond(exchange, first + nothing, b"")
        stream.cancel()
        return None
    return Outgoing(exchange, first, head.size, stream.resume)


class Tunnel:
    """What an upgraded connection carries, in both directions, as it is."""

    def __init__(self, exchange: Exchange, head: str, resume: Callable[[], None]) -> None:
        self._outlet = exchange.outlet
        self._incoming = exchange.incoming
        self._resume = resume
        self._outlet.switch(head, self)

    def received(self, data: bytes) -> bool:
        """Of the client. False: no more for now."""
        return self._incoming is None or self._incoming.write(data)

    def write(self, data: bytes | memoryview) -> bool:
        """See Outgoing."""
        return self._outlet.send((data,), self._resume)

    def end(self, *, is_whole: bool) -> None:
        """The other side is through; `is_whole` means nothing here."""
        self._outlet.end()


class Outgoing:
    """A response that is written piece by piece."""

    def __init__(self, exchange: Exchange, head: str, size: int | None, resume: Callable[[], None]) -> None:
        self._exchange = exchange
        self._resume = resume
        self._is_chunked = size is None and exchange.is_current
        self._is_last = size is None and not self._is_chunked
        """HTTP/1.0: the end of the connection is that of the body."""
        length = "Transfer-Encoding: chunked\r\n" if self._is_chunked else ""
        if size is not None:
            length = f"Content-Length: {size}\r\n"
        exchange.outlet.begin(exchange, f"{head}{length}", is_last=self._is_last)

    def write(self, data: bytes | memoryview) -> bool:
        """Send a piece. False: no more until `resume` was called."""
        pieces = (b"%x\r\n" % len(data), data, b"\r\n") if self._is_chunked else (data,)
        return self._exchange.outlet.send(pieces, self._resume)

    def end(self, *, is_whole: bool) -> None:
        """The body is complete, or never will be: then the connection is cut so that the client can tell."""
        rest = b"0\r\n\r\n" if self._is_chunked else b""
        self._exchange.outlet.finish(self._exchange, rest if is_whole else None, is_last=self._is_last)
