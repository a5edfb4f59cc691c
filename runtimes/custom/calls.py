"""One call of a custom runtime: frames on one side, an HTTP exchange with the user's server on the other."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import server
import window
import wire

ENDLESS = 1 << 62
"""The size of a body that goes on until somebody ends it: the client asks for another protocol."""
_VERSIONS = ("/2016-08-15/proxy/", "/2021-04-06/proxy/")
MOST_HEADERS = 32768
"""Bytes of an answer's headers, in every runtime."""
_ALIAS = 8
"""Where an Invoke header has the alias, if it has one."""
_OCTETS = ("content-type", "application/octet-stream")


_MOMENT = 0.1
"""Seconds in which a program that has closed a connection may turn out to have ended."""


class Bridge(Protocol):
    """What a call needs of the bridge."""

    server: server.Server
    fixed: list[tuple[str, str]]
    """Headers that are the same for all calls."""

    def send(self, kind: int, number: int, header: tuple[Any, ...], payload: bytes = b"") -> None:
        """A frame to pyfc."""

    def done(self, number: int) -> None:
        """The call has been answered."""


def own_fixed(bridge: Bridge, header: Sequence[Any]) -> list[tuple[str, str]]:
    """The fixed headers for the call of an Invoke frame: with the alias by which it was called, if by one."""
    if len(header) <= _ALIAS:
        return bridge.fixed
    return [(name, header[_ALIAS] if name == "x-fc-qualifier" else value) for name, value in bridge.fixed]


class Call:
    """`header`: that of its Invoke frame; `payload`: its body or the beginning of it."""

    def __init__(self, bridge: Bridge, number: int, header: list[Any], payload: bytes) -> None:
        self.number = number
        self._bridge = bridge
        self._header = header
        self._first = payload
        self._missing = header[1] - len(payload)
        self._is_event = header[3] == 0
        self._is_upgrade = header[1] == ENDLESS
        self._exchange: server.Exchange | None = None
        self._waiting: deque[bytes] = deque()
        """Pieces of the request that came before there was a connection."""
        self._status = 0
        self._headers: list[list[str]] | None = None
        self._size: int | None = None
        self._fault: tuple[str, str, str] | None = None
        self._pieces: deque[bytes] = deque()
        self._gathered = 0
        self._writing = 0
        """Bytes of the request that wait for the server to take them."""
        self._is_begun = self._is_whole = self._is_over = False
        """The answer goes out in pieces; all of it has come; it has been given."""
        self._incoming, self._outgoing = window.Window(), window.Window()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Ask the server, on a connection that is there or on a new one."""
        exchange = self._bridge.server.idle()
        if exchange is not None:
            self._ask(exchange)
        else:
            self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            exchange = await self._bridge.server.connect()
        except OSError as error:
            self.lost(server.BrokenAnswer("the server takes no connection: %s" % error.strerror))
            return
        if not self._is_over:
            self._ask(exchange)

    def _ask(self, exchange: server.Exchange) -> None:
        self._exchange = exchange
        is_head = not self._is_event and self._header[6][0] == "HEAD"
        unsent = self._header[1] - len(self._first)
        exchange.ask(self._head() + self._first, self, is_head=is_head, unsent=unsent)
        self._pump_request()

    def _head(self) -> bytes:
        _, size, request_id, _, attempt, _, http, trace = self._header[:8]
        own = [("x-fc-request-id", request_id), ("x-fc-retry-count", str(attempt))]
        if trace is not None:
            own.append(("x-fc-tracing-opentracing-span-context", trace[0]))
            own.append(("x-fc-tracing-opentracing-span-baggages", as_base64(trace[1])))
        if self._is_event:
            method, target = "POST", "/invoke"
            sent = [_OCTETS, ("host", "127.0.0.1"), ("content-length", str(size))]
        else:
            method, target, base = http[0], *_target(http[2])
            dropped = ("content-length",) if self._is_upgrade else ("content-length", "connection")
            sent = [(name, value) for name, value in http[4] if name not in dropped]
            if not self._is_upgrade and (size or method not in ("GET", "HEAD", "OPTIONS")):
                sent.append(("content-length", str(size)))
            if base:
                own.append(("x-fc-base-path", base))
        control = "/invoke" if self._is_event else "/http-invoke"
        headers = [*sent, *own_fixed(self._bridge, self._header), *own, ("x-fc-control-path", control)]
        return server.request_head(method, target, headers)

    # frames of this call

    def take(self, kind: int, header: list[Any], payload: bytes) -> None:
        """A further frame."""
        if kind == wire.DATA:
            self._incoming.use(len(payload))
            self._missing -= len(payload)
            self._waiting.append(payload)
            self._pump_request()
        elif kind == wire.CREDIT:
            self._outgoing.give(header[0])
            self._pump_answer()
        elif kind == wire.CANCEL:
            self._abandon(header[0])

    def _pump_request(self) -> None:
        while self._exchange is not None and self._waiting and not self._writing:
            piece = self._waiting.popleft()
            self._writing = len(piece)
            if self._exchange.write(piece, self._drained):
                self._written()

    def _drained(self) -> None:
        self._written()
        self._pump_request()

    def _written(self) -> None:
        """The server has taken a piece: there is room for as much again."""
        size, self._writing = self._writing, 0
        self._incoming.give(size)
        if self._missing:
            self._bridge.send(wire.CREDIT, self.number, (size,))

    def _abandon(self, reason: str) -> None:
        if reason != "disconnected" or self._is_over:
            return
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abort()
        if self._is_begun:
            self._fault = None
            self._finish()
        else:
            self.fail(("UNHANDLED", "the caller has left", "Gone"))

    # the answer

    def head(self, status: int, headers: list[tuple[bytes, bytes]], size: int | None) -> None:
        """See Taker. Raises BrokenAnswer."""
        self._status = 200 if self._is_event else status
        if sum(len(name) + len(value) for name, value in headers) > MOST_HEADERS:
            raise server.BrokenAnswer("the response headers are larger than %d bytes" % MOST_HEADERS)
        known = {name.lower(): value for name, value in headers}
        told = known.get(b"x-fc-status", b"")
        failed = told == b"404" or (self._is_event and status >= 400)
        if not self._is_event:
            self._headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
        self._fault = ("UNHANDLED", "", "") if failed else None
        self._size = size
        if not failed and (size is None or size > wire.MAXIMUM_UNARY):
            asyncio.get_running_loop().call_soon(self._begin)  # unless all of it is here by then

    def _begin(self) -> None:
        """The answer goes out piece by piece from here on."""
        if self._is_over or self._is_begun or self._is_whole:
            return
        self._is_begun = True
        self._bridge.send(wire.REPLY, self.number, (True, self._size, None, self._status, self._headers, False))
        self._pump_answer()

    def data(self, piece: bytes) -> None:
        """See Taker."""
        if self._fault is not None and self._gathered > wire.MAXIMUM_UNARY // 2:
            return  # enough of an error text
        self._pieces.append(piece)
        self._gathered += len(piece)
        if self._is_begun:
            self._pump_answer()

    def _pump_answer(self) -> None:
        if not self._is_begun:
            return
        while self._pieces and self._outgoing.free:
            piece = self._pieces.popleft()
            part, rest = piece[: self._outgoing.free], piece[self._outgoing.free :]
            if rest:
                self._pieces.appendleft(rest)
            self._outgoing.use(len(part))
            self._bridge.send(wire.DATA, self.number, (True,), part)
        if self._exchange is not None:
            if self._pieces:
                self._exchange.pause()
            elif not self._is_whole:
                self._exchange.resume()
        if self._is_whole and not self._pieces:
            self._finish()

    def end(self) -> None:
        """See Taker."""
        self._is_whole = True
        self._exchange = None
        if self._is_begun:
            self._pump_answer()
            return
        body = b"".join(self._pieces)
        if self._fault is not None:
            self._fault = described(body)
        elif len(body) > wire.MAXIMUM_UNARY:
            self._is_whole = False
            self._begin()
            self._is_whole = True
            self._pump_answer()
            return
        self._is_over = True
        headers = None if self._fault is not None else self._headers
        self._bridge.send(wire.REPLY, self.number, (False, len(body), self._fault, self._status, headers, True), body)
        self._bridge.done(self.number)

    def lost(self, error: server.BrokenAnswer) -> None:
        """See Taker. A kept connection may have been closed by the server just now: then a new one is tried, once, if
        all that it was sent is still here.
        """
        was_kept = self._exchange is not None and not self._exchange.is_fresh and not self._status
        self._exchange = None
        if was_kept and self._header[1] == len(self._first) and not self._is_over:
            self._task = asyncio.get_running_loop().create_task(self._connect())
            return
        # a program that ends closes its connections first: then its end is the answer (bridge._exited)
        asyncio.get_running_loop().call_later(_MOMENT, self.fail, ("UNHANDLED", str(error), "InvalidResponse"))

    def fail(self, fault: tuple[str, str, str]) -> None:
        """It ends without an answer of the server's."""
        if self._is_over:
            return
        self._fault = fault
        if self._is_begun:
            self._finish()
            return
        self._is_over = True
        document = {"errorMessage": fault[1], "errorType": fault[2]}
        body = json.dumps(document).encode()
        self._bridge.send(wire.REPLY, self.number, (False, len(body), fault, 200, None, True), body)
        self._bridge.done(self.number)

    def _finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._bridge.send(wire.END, self.number, (self._fault, True))
            self._bridge.done(self.number)


def _target(uri: str) -> tuple[str, str]:
    """What the server is asked for: the path after the function's name; and what stands before it."""
    if not uri.startswith(_VERSIONS):
        return uri, ""
    parts = uri.split("/", 5)
    last, mark, query = parts[4].partition("?")
    base = "/".join([*parts[:4], last]) + "/"
    return ("/" + parts[5] if len(parts) > 5 else "/" + mark + query), base


def described(body: bytes) -> tuple[str, str, str]:
    """The fault that an error document tells."""
    try:
        told = json.loads(body)
        return "UNHANDLED", str(told.get("errorMessage", ""))[:1000], str(told.get("errorType", ""))[:200]
    except (ValueError, AttributeError):
        return "UNHANDLED", body[:1000].decode("utf-8", "replace"), ""


def as_base64(value: Any) -> str:
    """JSON in base64, as FC's headers carry it."""
    return base64.b64encode(json.dumps(value).encode()).decode()
