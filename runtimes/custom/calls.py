"""One call of a custom runtime: frames on one side, HTTP with the user's server on the other. What may happen to it,
and when, is one total table (machine.py). Its bodies are in bodies.py, its connection is in client.py.

The request's body goes its own way beside the table: a server may answer before it has read it.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any, Protocol

import bodies
import client
import machine
import wire

ENDLESS = 1 << 62
"""The size of a body that goes on until somebody ends it: the client asks for another protocol."""
MOST_HEADERS = 32768
"""Bytes of an answer's headers, in every runtime."""
_ALIAS = 8
"""Where an Invoke header has the alias, if it has one."""
_OCTETS = ("content-type", "application/octet-stream")
_MOMENT = 0.1
"""Seconds in which a program that has closed a connection may turn out to have ended."""
GONE = ("UNHANDLED", "the caller has left", "Gone")


class Bridge(bodies.Sender, Protocol):
    """What a call needs of the bridge."""

    upstream: client.Upstream
    fixed: list[tuple[str, str]]
    """Headers that are the same for all calls."""


class State(machine.Name):
    """Where a call is."""

    CONNECTING = "connecting"
    """Waits for a connection to the server."""
    ASKED = "asked"
    """The head of the request has been sent; the answer has not begun."""
    GATHERING = "gathering"
    """The answer has begun, and is kept until it is whole: mostly it fits a frame."""
    STREAMING = "streaming"
    """The answer goes out piece by piece, as it comes. So does what an upgraded connection carries."""
    ENDING = "ending"
    """The answer is whole; the rest of it goes out as there is credit."""
    LOST = "lost"
    """The connection is gone and nothing of the answer went out. A program that ends closes its connections first: then
    its end is the answer (bridge._exited), so it gets a moment."""
    BROKEN = "broken"
    """The same in the middle of an answer that goes out."""
    OVER = "over"
    """The call has been answered."""


class Event(machine.Name):
    """What happens to a call."""

    CONNECTED = "connected"
    """There is a connection."""
    HEAD = "head"
    """The answer begins."""
    LARGE = "large"
    """The answer began a moment ago and does not fit a frame, or nobody knows."""
    PIECE = "piece"
    """The next bytes of the answer."""
    WHOLE = "whole"
    """That was all of the answer, and it fits a frame."""
    WHOLE_LARGE = "whole and large"
    """That was all of the answer, and it fits no frame."""
    DROPPED = "dropped"
    """The connection is gone. It had been kept, so the server may have closed it just before, and all that was sent on
    it is at hand."""
    LOSS = "loss"
    """The connection is gone, or there is none, or what it brought is no answer."""
    CREDIT = "credit"
    """More of the answer may be sent."""
    SENT = "sent"
    """All of an answer that is whole has been sent."""
    LEFT = "left"
    """The caller has left."""
    FAILURE = "failure"
    """The program has ended, or the moment after a loss has passed."""


def own_fixed(bridge: Bridge, header: Sequence[Any]) -> list[tuple[str, str]]:
    """The fixed headers for the call of an Invoke frame: with the alias by which it was called, if by one."""
    if len(header) <= _ALIAS:
        return bridge.fixed
    return [(name, header[_ALIAS] if name == "x-fc-qualifier" else value) for name, value in bridge.fixed]


def traced(trace: tuple[str, dict[str, str]] | None) -> list[tuple[str, str]]:
    """The headers that tell of what the caller sent of a trace."""
    if trace is None:
        return []
    span = [("x-fc-tracing-opentracing-span-context", trace[0])] if trace[0] else []
    return [*span, ("x-fc-tracing-opentracing-span-baggages", as_base64(trace[1]))]


def traceparent(trace: tuple[str, dict[str, str]] | None) -> list[tuple[str, str]]:
    """W3C's header for the same. A request of an HTTP function has its own."""
    parts = trace[0].split(":") if trace is not None else []
    if len(parts) != 4 or not all(parts) or set("".join(parts)) - set("0123456789abcdefABCDEF"):
        return []
    number, span, flags = int(parts[0], 16), int(parts[1], 16), int(parts[3], 16) & 1
    return [("traceparent", f"00-{number:032x}-{span:016x}-{flags:02x}")] if number and span else []


class Call(machine.Machine):
    """`header`: that of its Invoke frame; `payload`: its body or the beginning of it."""

    def __init__(self, bridge: Bridge, number: int, header: list[Any], payload: bytes) -> None:
        self.number = number
        self.state = State.CONNECTING
        self._bridge = bridge
        self._header = header
        self._is_event = header[3] == 0
        self._connection: client.Connection | None = None
        self._request = bodies.Request(bridge, number, header[1], payload)
        self._answer = bodies.Answer(bridge, number)
        self._status = 200
        self._headers: list[list[str]] | None = None
        self._size: int | None = None
        self._fault: bodies.Fault | None = None
        self._task: asyncio.Task[None] | None = None

    # what pyfc tells

    def start(self) -> None:
        """Ask the server, on a connection that is there or on a new one."""
        connection = self._bridge.upstream.idle()
        if connection is not None:
            self.happens(Event.CONNECTED, connection)
        else:
            self._connect()

    def take(self, kind: int, header: list[Any], payload: bytes) -> None:
        """A further frame."""
        if kind == wire.DATA:
            self._request.add(payload)
        elif kind == wire.CREDIT:
            self.happens(Event.CREDIT, header[0])
        elif kind == wire.CANCEL and header[0] == "disconnected":
            self.happens(Event.LEFT)

    def fail(self, fault: bodies.Fault) -> None:
        """It ends without an answer of the server's."""
        self.happens(Event.FAILURE, fault)

    # what the connection tells

    def head(self, status: int, headers: list[tuple[bytes, bytes]], size: int | None) -> None:
        """See client.Taker. Raises BrokenAnswer."""
        self.happens(Event.HEAD, status, headers, size)

    def data(self, piece: bytes) -> None:
        """See client.Taker."""
        self.happens(Event.PIECE, piece)

    def end(self) -> None:
        """See client.Taker."""
        self.happens(Event.WHOLE if self._answer.size <= wire.MAXIMUM_UNARY else Event.WHOLE_LARGE)

    def lost(self, error: client.BrokenAnswer) -> None:
        """See client.Taker."""
        was_kept = self._connection is not None and not self._connection.is_fresh
        self.happens(Event.DROPPED if was_kept and self._request.is_at_hand else Event.LOSS, error)

    # what is done: the request

    def _connect(self, _error: client.BrokenAnswer | None = None) -> None:
        self._go_to(None)
        self._task = asyncio.get_running_loop().create_task(self._connecting())

    async def _connecting(self) -> None:
        try:
            connection = await self._bridge.upstream.connect()
        except OSError as error:
            self.lost(client.BrokenAnswer("the server takes no connection: %s" % error.strerror))
            return
        self.happens(Event.CONNECTED, connection)

    def _ask(self, connection: client.Connection) -> None:
        request = self._request
        is_head = not self._is_event and self._header[6][0] == "HEAD"
        unsent = request.size - len(request.first)
        connection.ask(self._head() + request.first, self, is_head=is_head, unsent=unsent)
        self._go_to(connection)

    def _go_to(self, connection: client.Connection | None) -> None:
        self._connection = connection
        self._request.go_to(connection)

    def _head(self) -> bytes:
        _, size, request_id, _, attempt, _, http, trace = self._header[:8]
        method, target, sent, last = _of_event(size) if self._is_event else _of_http(size, http)
        own = [("x-fc-request-id", request_id), ("x-fc-retry-count", str(attempt))]
        own += [*traced(trace), *(traceparent(trace) if self._is_event else [])]
        return client.request_head(method, target, [*sent, *own_fixed(self._bridge, self._header), *own, *last])

    # what is done: the answer

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]], size: int | None) -> None:
        told = {name.lower(): value for name, value in headers}.get(b"x-fc-status", b"")
        if sum(len(name) + len(value) for name, value in headers) > MOST_HEADERS:
            raise client.BrokenAnswer("the response headers are larger than %d bytes" % MOST_HEADERS)
        self._size = size
        if not self._is_event:
            self._status, self._headers = status, _as_text(headers)
        if told == b"404" or (self._is_event and status >= 400):
            self._fault = ("UNHANDLED", "", "")
        elif size is None or size > wire.MAXIMUM_UNARY:
            # unless all of it is here by then
            asyncio.get_running_loop().call_soon(self.happens, Event.LARGE)

    def _keep(self, piece: bytes) -> None:
        if self._fault is None or self._answer.size <= wire.MAXIMUM_UNARY // 2:  # that is enough of an error text
            self._answer.add(piece)

    def _give(self) -> None:
        self._go_to(None)
        if self._fault is not None:
            self._fault = described(self._answer.body())
        self._answer.give(self._fault, self._status, self._headers if self._fault is None else None)

    def _stream(self) -> None:
        self._answer.begin(self._size, self._status, self._headers)
        self._send()

    def _stream_whole(self) -> None:
        self._answer.begin(self._size, self._status, self._headers)
        self._send_whole()

    def _pass_on(self, piece: bytes) -> None:
        self._answer.add(piece)
        self._send()

    def _send(self) -> None:
        """Send what there is credit for; a server that is quicker than the caller is not read from meanwhile."""
        assert self._connection is not None
        if self._answer.send():
            self._connection.resume()
        else:
            self._connection.pause()

    def _send_whole(self) -> None:
        self._go_to(None)
        if self._answer.send():
            self.happens(Event.SENT)

    def _credit(self, size: int) -> None:
        self._answer.credit(size)
        self._send()

    def _credit_whole(self, size: int) -> None:
        self._answer.credit(size)
        self._send_whole()

    def _credit_broken(self, size: int) -> None:
        self._answer.credit(size)
        self._answer.send()

    # what is done: the end

    def _wait(self, error: client.BrokenAnswer) -> None:
        self._go_to(None)
        asyncio.get_running_loop().call_later(_MOMENT, self.fail, ("UNHANDLED", str(error), "InvalidResponse"))

    def _abort(self, connection: client.Connection | None) -> None:
        self._go_to(None)
        if connection is not None:
            connection.abort()

    def _refuse(self, fault: bodies.Fault = GONE) -> None:
        self._abort(self._connection)
        self._answer.refuse(fault)

    def _end(self, fault: bodies.Fault | None = None) -> None:
        self._abort(self._connection)
        self._answer.end(fault)


Call.steps = machine.total(Event, {
    State.CONNECTING: {
        Event.CONNECTED: (State.ASKED, Call._ask),
        Event.LOSS: (State.LOST, Call._wait),
        Event.LEFT: (State.OVER, Call._refuse),
        Event.FAILURE: (State.OVER, Call._refuse),
    },
    State.ASKED: {
        Event.HEAD: (State.GATHERING, Call._begin),
        Event.DROPPED: (State.CONNECTING, Call._connect),  # once: the next one is fresh
        Event.LOSS: (State.LOST, Call._wait),
        Event.LEFT: (State.OVER, Call._refuse),
        Event.FAILURE: (State.OVER, Call._refuse),
    },
    State.GATHERING: {
        Event.LARGE: (State.STREAMING, Call._stream),
        Event.PIECE: (State.GATHERING, Call._keep),
        Event.WHOLE: (State.OVER, Call._give),
        Event.WHOLE_LARGE: (State.ENDING, Call._stream_whole),
        Event.DROPPED: (State.LOST, Call._wait),
        Event.LOSS: (State.LOST, Call._wait),
        Event.LEFT: (State.OVER, Call._refuse),
        Event.FAILURE: (State.OVER, Call._refuse),
    },
    State.STREAMING: {
        Event.PIECE: (State.STREAMING, Call._pass_on),
        Event.WHOLE: (State.ENDING, Call._send_whole),
        Event.WHOLE_LARGE: (State.ENDING, Call._send_whole),
        Event.DROPPED: (State.BROKEN, Call._wait),
        Event.LOSS: (State.BROKEN, Call._wait),
        Event.CREDIT: (State.STREAMING, Call._credit),
        Event.LEFT: (State.OVER, Call._end),
        Event.FAILURE: (State.OVER, Call._end),
    },
    State.ENDING: {
        Event.LARGE: (State.ENDING, Call.ignore),
        Event.CREDIT: (State.ENDING, Call._credit_whole),
        Event.SENT: (State.OVER, Call._end),
        Event.LEFT: (State.OVER, Call._end),
        Event.FAILURE: (State.OVER, Call._end),
    },
    State.LOST: {
        Event.LARGE: (State.LOST, Call.ignore),
        Event.LEFT: (State.OVER, Call._refuse),
        Event.FAILURE: (State.OVER, Call._refuse),
    },
    State.BROKEN: {
        Event.CREDIT: (State.BROKEN, Call._credit_broken),
        Event.LEFT: (State.OVER, Call._end),
        Event.FAILURE: (State.OVER, Call._end),
    },
    State.OVER: {
        Event.CONNECTED: (State.OVER, Call._abort),
        Event.LARGE: (State.OVER, Call.ignore),
        Event.LOSS: (State.OVER, Call.ignore),
        Event.CREDIT: (State.OVER, Call.ignore),
        Event.LEFT: (State.OVER, Call.ignore),
        Event.FAILURE: (State.OVER, Call.ignore),
    },
})  # fmt: skip


_Request = tuple[str, str, list[tuple[str, str]], list[tuple[str, str]]]
"""Method, target, the headers that come first and those that come last."""


def _of_event(size: int) -> _Request:
    sent = [_OCTETS, ("host", "127.0.0.1"), ("content-length", str(size))]
    return "POST", "/invoke", sent, [("x-fc-control-path", "/invoke")]


def _of_http(size: int, http: Sequence[Any]) -> _Request:
    method, target = http[0], http[2]
    is_upgrade = size == ENDLESS
    dropped = ("content-length",) if is_upgrade else ("content-length", "connection")
    sent = [(name, value) for name, value in http[4] if name not in dropped]
    if not is_upgrade and (size or method not in ("GET", "HEAD", "OPTIONS")):
        sent.append(("content-length", str(size)))
    return method, target, sent, [("x-fc-control-path", "/http-invoke")]


def _as_text(headers: list[tuple[bytes, bytes]]) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


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
