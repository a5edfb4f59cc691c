"""FC's runtime API, by which a go1 program asks for its calls instead of listening for them (fc-runtime-go-sdk).

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

import calls
import wire

PORT = 9001
_PREFIX = "/2020-11-11/runtime/invocation/"
_HANDLER, _TYPES = 0, {"initializer": 1, "preStop": 2, "preFreeze": 3}


class Pull:
    """The API of one instance. `on_first`: the program has asked for its first call."""

    def __init__(self, bridge: calls.Bridge, on_first: Callable[[], None]) -> None:
        self._bridge = bridge
        self._on_first = on_first
        self._waiting: deque[tuple[list[tuple[str, str]], bytes]] = deque()
        self._askers: deque[_Connection] = deque()
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


class PulledCall:
    """One call that the program asks for."""

    def __init__(self, bridge: calls.Bridge, api: Pull, number: int, header: list[Any], payload: bytes) -> None:
        self._bridge = bridge
        self._pull = api
        self._number = number
        self._header = header
        self._body = payload
        self._is_over = False

    def start(self) -> None:
        """Offer it, when its body is whole."""
        _, size, request_id, kind, attempt, deadline, http, trace = self._header[:8]
        if len(self._body) < size:
            return
        self._pull.open[request_id] = self._answered
        fixed = calls.own_fixed(self._bridge, self._header)
        headers = describe(fixed, request_id, _HANDLER, deadline / 1000 - time.time(), attempt)
        if kind == 1:
            headers.append(("x-fc-http-params", _params(http)))
        if trace is not None:
            headers.append(("x-fc-tracing-opentracing-span-context", trace[0]))
            headers.append(("x-fc-tracing-opentracing-span-baggages", calls.as_base64(trace[1])))
        self._pull.offer(headers, self._body)

    def take(self, kind: int, _header: list[Any], payload: bytes) -> None:
        """A further frame."""
        if kind == wire.DATA:
            self._body += payload
            self._bridge.send(wire.CREDIT, self._number, (len(payload),))
            self.start()
        elif kind == wire.CREDIT:
            self._rest()

    def _answered(self, kind: str, headers: dict[str, str], body: bytes) -> None:
        if self._is_over:
            return
        if kind == "error":
            self.fail(calls.described(body), body)
            return
        status, pairs = 200, None
        if "x-fc-http-params" in headers:
            params = json.loads(base64.b64decode(headers["x-fc-http-params"]))
            status = int(params.get("status") or 200)
            pairs = [[name, value] for name, values in (params.get("headersMap") or {}).items() for value in values]
        if len(body) <= wire.MAXIMUM_UNARY:
            self._is_over = True
            self._bridge.send(wire.REPLY, self._number, (False, len(body), None, status, pairs, True), body)
            self._bridge.done(self._number)
            return
        self._bridge.send(wire.REPLY, self._number, (True, len(body), None, status, pairs, False))
        self._left, self._credit = memoryview(body), wire.MAXIMUM_DATA
        self._rest(0)

    def _rest(self, more: int = wire.MAXIMUM_DATA) -> None:
        """Send what there is credit for."""
        self._credit += more
        while self._left and self._credit > 0:
            part = self._left[: min(self._credit, wire.MAXIMUM_DATA)]
            self._left = self._left[len(part) :]
            self._credit -= len(part)
            self._bridge.send(wire.DATA, self._number, (True,), bytes(part))
        if not self._left and not self._is_over:
            self._is_over = True
            self._bridge.send(wire.END, self._number, (None, True))
            self._bridge.done(self._number)

    def fail(self, fault: tuple[str, str, str], body: bytes = b"") -> None:
        """It ends without a result."""
        if self._is_over:
            return
        self._is_over = True
        body = body or json.dumps({"errorMessage": fault[1], "errorType": fault[2]}).encode()
        self._bridge.send(wire.REPLY, self._number, (False, len(body), fault, 200, None, True), body)
        self._bridge.done(self._number)


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
    """One of the program's connections to the API; requests are small and come one at a time."""

    def __init__(self, api: Pull) -> None:
        self._pull = api
        self._transport: asyncio.Transport
        self._buffer = b""
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self.is_open = False

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines[1:])
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            body = _body(headers, rest)
            if body is None:
                return
            self._buffer = body[1]
            method, path, _ = lines[0].split(" ", 2)
            self._asked(method, path, headers, body[0])

    def _asked(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        if method == "GET" and path == _PREFIX + "next":
            self._pull.ask(self)
            return
        request_id, _, kind = path.removeprefix(_PREFIX).partition("/")
        outcome = self._pull.open.pop(request_id, None)
        if method != "POST" or outcome is None or kind not in ("response", "error"):
            self.answer([], b'{"errorMessage":"there is no such call"}', status="404 Not Found")
            return
        self.answer([], b"")
        outcome(kind, headers, body)

    def answer(self, headers: list[tuple[str, str]], body: bytes, status: str = "200 OK") -> None:
        """The answer to the request that waits."""
        lines = "".join("%s: %s\r\n" % each for each in headers)
        kind = "content-type: application/octet-stream\r\n"
        head = "HTTP/1.1 %s\r\n%s%scontent-length: %d\r\n\r\n" % (status, kind, lines, len(body))
        self._transport.write(head.encode("latin-1", "replace") + body)


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes] | None:
    """A request's body and what comes after it; None if it is not whole yet."""
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b""
        while True:
            line, found, rest = rest.partition(b"\r\n")
            if not found:
                return None
            size = int(line.partition(b";")[0], 16)
            if len(rest) < size + 2:
                return None
            body, rest = body + rest[:size], rest[size + 2 :]
            if not size:
                return body, rest
    size = int(headers.get("content-length", "0"))
    return (rest[:size], rest[size:]) if len(rest) >= size else None
