"""FC's runtime API, by which a go1 program asks for its calls instead of listening for them (fc-runtime-go-sdk).
Programs that are servers are called by calls.py.

    GET  /2020-11-11/runtime/invocation/next           waits for a call: its event, and headers that describe it
    POST /2020-11-11/runtime/invocation/ID/response    its result
    POST /2020-11-11/runtime/invocation/ID/error       its error document

Hooks come the same way, told apart by x-fc-function-type.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import bodies
import calls
import http1
import machine
import window
import wire

PORT = 9001
_PREFIX = "/2020-11-11/runtime/invocation/"
_HANDLER, _TYPES = 0, {"initializer": 1, "preStop": 2, "preFreeze": 3}


class Pull:
    """The API of one instance. `on_first`: the program has asked for its first call; `is_own`: whether a connection
    from this port may ask.
    """

    def __init__(self, bridge: calls.Bridge, on_first: Callable[[], None], is_own: Callable[[int], bool]) -> None:
        self._bridge = bridge
        self._on_first = on_first
        self._waiting: deque[tuple[list[tuple[str, str]], bytes]] = deque()
        self._askers: deque[_Connection] = deque()
        self.is_own = is_own
        self.open: dict[str, Callable[[str, dict[str, str], bytes], None]] = {}
        """By request id: what to do with the outcome (`response` or `error`), its headers and its body."""

    async def listen(self, *, own: bool) -> int:
        """The port, which is the instance's own where it has a loopback of its own."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: _Connection(self), "127.0.0.1", PORT if own else 0)
        port: int = listener.sockets[0].getsockname()[1]
        return port

    def offer(self, headers: list[tuple[str, str]], body: bytes) -> None:
        """A call for whoever asks next."""
        self._waiting.append((headers, body))
        self._match()

    def ask(self, asker: _Connection) -> None:
        """Somebody asks for the next call."""
        self._on_first()
        self._askers.append(asker)
        self._match()

    def _match(self) -> None:
        while self._waiting and self._askers:
            asker = self._askers.popleft()
            if asker.is_open:
                asker.answer(*self._waiting.popleft())

    async def hook(self, name: str, request_id: str) -> tuple[tuple[str, str, str] | None, bytes]:
        """Run a lifecycle hook; its fault and error document."""
        future: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()
        self.open[request_id] = lambda kind, _, body: future.set_result((kind, body))
        limit = next(value for key, value in self._bridge.fixed if key == "x-fc-initialization-timeout")
        self.offer(describe(self._bridge.fixed, request_id, _TYPES[name], float(limit or 3), 0), b"")
        kind, body = await future
        return (calls.described(body), body) if kind == "error" else (None, b"")


class State(machine.Name):
    """Where a call is that the program asks for."""

    GATHERING = "gathering"
    """Its request is not whole: a program gets that in one piece."""
    OFFERED = "offered"
    """It waits for the program to ask for it, or for its result."""
    UNWANTED = "unwanted"
    """The same, and the caller has left. What the program works on goes on; nobody will read what comes of it."""
    SENDING = "sending"
    """Its result goes out as there is credit."""
    OVER = "over"
    """It has been answered."""


class Event(machine.Name):
    """What happens to it."""

    REQUESTED = "requested"
    """The request is whole."""
    RESULT = "result"
    """The program has given a result that fits a frame."""
    LARGE_RESULT = "large result"
    """The same, and it fits none."""
    CREDIT = "credit"
    """More of the result may be sent."""
    SENT = "sent"
    """All of the result has been sent."""
    LEFT = "left"
    """The caller has left."""
    FAILURE = "failure"
    """The program has given an error, or a result of no use, or has ended."""


class PulledCall(machine.Machine):
    """One call that the program asks for. What may happen to it, and when, is one total table (machine.py)."""

    def __init__(self, bridge: calls.Bridge, api: Pull, number: int, header: list[Any], payload: bytes) -> None:
        self.state = State.GATHERING
        self._bridge = bridge
        self._pull = api
        self._number = number
        self._header = header
        self._pieces = [payload]
        self._missing = header[1] - len(payload)
        self._window = window.Window()
        self._answer = bodies.Answer(bridge, number)

    def start(self) -> None:
        """Offer it, if its request is whole."""
        if not self._missing:
            self.happens(Event.REQUESTED)

    def take(self, kind: int, header: list[Any], payload: bytes) -> None:
        """A further frame."""
        if kind == wire.DATA:
            self._gather(payload)
        elif kind == wire.CREDIT:
            self.happens(Event.CREDIT, header[0])
        elif kind == wire.CANCEL and header[0] == "disconnected":
            self.happens(Event.LEFT)

    def _gather(self, piece: bytes) -> None:
        self._window.use(len(piece))
        self._pieces.append(piece)
        self._missing -= len(piece)
        self._window.give(len(piece))  # the program gets the body whole: it lies here meanwhile
        if self._missing:
            self._bridge.send(wire.CREDIT, self._number, (len(piece),))
        else:
            self.happens(Event.REQUESTED)

    def fail(self, fault: bodies.Fault, document: bytes = b"") -> None:
        """It ends without a result."""
        self.happens(Event.FAILURE, fault, document)

    def _answered(self, kind: str, headers: dict[str, str], body: bytes) -> None:
        if kind == "error":
            self.fail(calls.described(body), body)
            return
        try:
            told = _told_of_http(headers)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            self.fail(("UNHANDLED", "the program's x-fc-http-params are of no use: %s" % error, "InvalidResponse"))
            return
        self.happens(Event.RESULT if len(body) <= wire.MAXIMUM_UNARY else Event.LARGE_RESULT, body, *told)

    # what is done

    def _offer(self) -> None:
        _, _, request_id, kind, attempt, deadline, http, trace = self._header[:8]
        self._pull.open[request_id] = self._answered
        fixed = calls.own_fixed(self._bridge, self._header)
        headers = describe(fixed, request_id, _HANDLER, deadline / 1000 - time.time(), attempt)
        if kind == 1:
            headers.append(("x-fc-http-params", _params(http)))
        headers += [*calls.traced(trace), *calls.traceparent(trace)]
        self._pull.offer(headers, b"".join(self._pieces))
        self._pieces.clear()

    def _give(self, body: bytes, status: int, headers: list[list[str]] | None) -> None:
        self._answer.add(body)
        self._answer.give(None, status, headers)

    def _send(self, body: bytes, status: int, headers: list[list[str]] | None) -> None:
        self._answer.begin(len(body), status, headers)
        self._answer.add(body)
        self._answer.send()

    def _drop(self, body: bytes, status: int, headers: list[list[str]] | None) -> None:
        self._answer.begin(len(body), status, headers)
        self._answer.end()

    def _credit(self, size: int) -> None:
        self._answer.credit(size)
        if self._answer.send():
            self.happens(Event.SENT)

    def _refuse(self, fault: bodies.Fault = calls.GONE, document: bytes = b"") -> None:
        self._answer.refuse(fault, document)

    def _end(self, fault: bodies.Fault | None = None, _document: bytes = b"") -> None:
        self._answer.end(fault)


PulledCall.steps = machine.total(Event, {
    State.GATHERING: {
        Event.REQUESTED: (State.OFFERED, PulledCall._offer),
        Event.LEFT: (State.OVER, PulledCall._refuse),
        Event.FAILURE: (State.OVER, PulledCall._refuse),
    },
    State.OFFERED: {
        Event.RESULT: (State.OVER, PulledCall._give),
        Event.LARGE_RESULT: (State.SENDING, PulledCall._send),
        Event.LEFT: (State.UNWANTED, PulledCall.ignore),
        Event.FAILURE: (State.OVER, PulledCall._refuse),
    },
    State.UNWANTED: {
        Event.RESULT: (State.OVER, PulledCall._give),
        Event.LARGE_RESULT: (State.OVER, PulledCall._drop),
        Event.LEFT: (State.UNWANTED, PulledCall.ignore),
        Event.FAILURE: (State.OVER, PulledCall._refuse),
    },
    State.SENDING: {
        Event.CREDIT: (State.SENDING, PulledCall._credit),
        Event.SENT: (State.OVER, PulledCall._end),
        Event.LEFT: (State.OVER, PulledCall._end),
        Event.FAILURE: (State.OVER, PulledCall._end),
    },
    State.OVER: {
        Event.RESULT: (State.OVER, PulledCall.ignore),
        Event.LARGE_RESULT: (State.OVER, PulledCall.ignore),
        Event.CREDIT: (State.OVER, PulledCall.ignore),
        Event.LEFT: (State.OVER, PulledCall.ignore),
        Event.FAILURE: (State.OVER, PulledCall.ignore),
    },
})  # fmt: skip


def describe(
    fixed: list[tuple[str, str]], request_id: str, kind: int, left: float, attempt: int
) -> list[tuple[str, str]]:
    """The headers of something to do, with `left` seconds to do it."""
    own = {
        "x-fc-request-id": request_id,
        "x-fc-function-type": kind,
        "x-fc-function-deadline": int((time.time() + left) * 1000),
        "x-fc-retry-count": attempt,
    }
    return [*fixed, *((name, str(value)) for name, value in own.items())]


def _told_of_http(headers: dict[str, str]) -> tuple[int, list[list[str]] | None]:
    """Status and headers of an answer to an HTTP request. Raises ValueError and its like for what is none."""
    if "x-fc-http-params" not in headers:
        return 200, None
    params = json.loads(base64.b64decode(headers["x-fc-http-params"]))
    pairs = [[str(name), str(value)] for name, values in (params.get("headersMap") or {}).items() for value in values]
    status = int(params.get("status") or 200)
    if not 100 <= status <= 599:
        raise ValueError("the status is not from 100 to 599")
    if sum(len(name.encode("utf-8", "replace")) + len(value.encode("utf-8", "replace")) for name, value in pairs) > (
        calls.MOST_HEADERS
    ):
        raise ValueError("the response headers are larger than %d bytes" % calls.MOST_HEADERS)
    return status, pairs


def _params(http: list[Any]) -> str:
    """A request as FC's runtimes get it (fc-contract: internal carrier)."""
    method, path, uri, client, pairs = http
    headers: dict[str, list[str]] = {}
    for name, value in pairs:
        headers.setdefault(name.title(), []).append(value)
    queries: dict[str, list[str]] = {}
    from urllib.parse import parse_qsl

    for name, value in parse_qsl(uri.partition("?")[2], keep_blank_values=True):
        queries.setdefault(name, []).append(value)
    return calls.as_base64({
        "path": path, "method": method, "requestURI": uri, "clientIP": client,
        "host": headers.get("Host", [""])[0], "headersMap": headers, "queriesMap": queries,
        "headers": {name: values[0] for name, values in headers.items()},
        "queries": {name: values[-1] for name, values in queries.items()},
    })  # fmt: skip


class _Connection(asyncio.Protocol):
    """One of the program's connections to the API; requests come one at a time."""

    def __init__(self, api: Pull) -> None:
        self._pull = api
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._request: http1.Head | None = None
        self._body = http1.Body(0)
        self._pieces: list[bytes] = []
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if peer is None or not self._pull.is_own(peer[1]):
            self.is_open = False
            transport.abort()  # another function's, where all share one loopback

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self.is_open = False

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        try:
            while self.is_open and self._take_request():
                continue
        except http1.Malformed as error:
            self._refuse("400 Bad Request", str(error))

    def _take_request(self) -> bool:
        """Whether there was a whole one."""
        if self._request is None:
            self._request = http1.take_request(self._buffer)
            if self._request is None:
                return False
            self._body = http1.Body(self._request.size or 0)
            if self._request.is_chunked:
                self._body = http1.Body(None, is_chunked=True)
            if self._request.get(b"expect").lower() == b"100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while piece := self._body.take(self._buffer):
            self._pieces.append(piece)
        if not self._body.is_whole:
            return False
        request, body = self._request, b"".join(self._pieces)
        self._request, self._pieces = None, []
        self._asked(request, body)
        return True

    def _asked(self, request: http1.Head, body: bytes) -> None:
        method, path = request.first["method"], request.first["target"].decode("latin-1")
        if method == b"GET" and path == _PREFIX + "next":
            self._pull.ask(self)
            return
        request_id, _, kind = path.removeprefix(_PREFIX).partition("/")
        outcome = self._pull.open.get(request_id)
        if method != b"POST" or outcome is None or kind not in ("response", "error"):
            self._refuse("404 Not Found", "there is no such call")
            return
        del self._pull.open[request_id]
        self.answer([], b"")
        outcome(kind, {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.fields}, body)

    def _refuse(self, status: str, why: str) -> None:
        """An answer that tells what is wrong; a request that could not be read is the connection's last."""
        self.answer([], json.dumps({"errorMessage": why}).encode(), status)
        if status.startswith("400"):
            self.is_open = False
            self._transport.close()

    def answer(self, headers: list[tuple[str, str]], body: bytes, status: str = "200 OK") -> None:
        """The answer to the request that waits."""
        kind = ("content-type", "application/octet-stream")
        self._transport.write(
            http1.message("HTTP/1.1 " + status, [kind, *headers, ("content-length", str(len(body)))]) + body
        )
