"""uvicorn, with the two hot routes answered in its httptools protocol by callback.

1. A request on a hot route (InvokeFunction, HTTP trigger) becomes an Exchange; its body is gathered whole, then
   `Invocations.handle` takes it. No task, no future and no timer belongs to it. Everything else is uvicorn's own way
   to the ASGI application.
2. Pipelined requests of both kinds are answered in the order in which they came: an Exchange stands in uvicorn's own
   pipeline of cycles and has its turn there.
3. Requests that could mean two things to two servers are refused (request smuggling), with `Connection: close`.
4. One sweep a second closes connections whose client is idle or too slow.

This leans on uvicorn's internals (names of callbacks and attributes of HttpToolsProtocol); setup.cfg pins the range
and tests/gateway/test_server.py fails when they move.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import termios
from array import array
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pyfc.auth.digest import BodyDigest
from pyfc.errors import EntityTooLarge, InvalidArgument, PyfcError
from pyfc.gateway.bodies import Outgoing, Tunnel, declared_stream, pass_on, upgrade
from pyfc.gateway.checks import MAXIMUM_HEAD, TOO_MUCH_HEAD, is_shell, plain_line, problem_of, refusal
from pyfc.gateway.exchange import Head
from pyfc.gateway.failures import failed
from pyfc.gateway.shared import HEAD_END, MOST_NEW, Shared, remember
from pyfc.model.bodies import Incoming
from pyfc.model.invocation import Ticket
from pyfc.model.names import request_id

_NEWER = b"/2023-03-30/functions/"
_HOT = (b"/2016-08-15/services/", b"/2016-08-15/proxy/", b"/2021-04-06/services/", b"/2021-04-06/proxy/", _NEWER)
_EVENT_END = b"/invocations"
_JOINED = 64 * 1024
"""Bodies below this size are written in one piece with their head."""
_SMALL_DIGITS = 6
"""Of a Content-Length that is not worth a second look."""
_LEAST_BODY = 1024
"""Bytes that must come in `body_timeout` seconds."""
_LINGER = 2.0
"""Seconds that a refused client gets to read its answer."""


class _NoEvent:
    """Stands for the event that uvicorn sets for its ASGI cycles; an Exchange has nobody who waits."""

    def set(self) -> None:
        """Nothing to wake."""


_NO_EVENT = _NoEvent()


class Exchange:
    """One request on a hot route and the place of its response; also a cycle in uvicorn's pipeline."""

    message_event = _NO_EVENT
    sent = b""
    problem: PyfcError | None = None
    expects = False
    body = b""
    chunks: list[bytes] | None = None
    size = 0
    complete = False
    response_complete = False
    disconnected = False
    has_begun = False
    """A part of the response has been written."""
    gone = False
    ticket: Ticket | None = None
    on_gone: Callable[[], None] | None = None
    incoming: Incoming | None = None
    digest: BodyDigest | None = None
    """Of a body that is passed on while it arrives, if its MD5 is stated."""
    upgrades = False
    declared = 0
    """Bytes of a body that may be passed on while it arrives (bodies.py)."""
    is_current = True
    """HTTP/1.1, not 1.0."""

    def __init__(
        self, protocol: Protocol, method: bytes, path: bytes, fields: dict[bytes, bytes], *, keep_alive: bool
    ) -> None:
        self.protocol = protocol
        self.method = method
        self.url: bytes = protocol.url
        self.path = path
        self.headers: list[tuple[bytes, bytes]] = protocol.headers
        self.fields = fields
        self.keep_alive = keep_alive

    @property
    def client(self) -> str:
        """The client's address."""
        return self.protocol.client[0] if self.protocol.client else ""

    def respond(self, head: str, body: bytes | memoryview) -> None:
        """See invocations.Exchange."""
        self.response_complete = True
        self.on_gone = None  # the Reply holds this exchange: a circle would have to be collected
        protocol = self.protocol
        transport = protocol.transport
        if transport.is_closing():
            return
        ending = "\r\n" if self.keep_alive else "Connection: close\r\n\r\n"
        data = f"{head}{protocol.shared.date}{ending}".encode("latin-1")
        if len(body) < _JOINED:
            transport.write(data + body)
        else:
            transport.writelines((data, body))
        if not self.keep_alive:
            protocol.end()
        protocol.on_response_complete()

    def leave(self) -> None:
        """Nobody waits for the response any more."""
        self.gone = self.response_complete = True
        if self.incoming is not None:
            self.incoming.break_off()
        if self.on_gone is not None:
            self.on_gone()

    def abort(self) -> None:
        """See invocations.Exchange."""
        self.protocol.transport.abort()

    def stream(self, head: str, size: int | None, resume: Callable[[], None]) -> Outgoing:
        """See invocations.Exchange."""
        self.has_begun = True
        return Outgoing(self, head, size, resume)

    def tunnel(self, head: str, resume: Callable[[], None]) -> Tunnel:
        """See invocations.Exchange."""
        self.has_begun = True
        return Tunnel(self, head, resume)


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        shared: Shared,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.shared = shared
        self.touched = shared.now
        self.busy = False
        """A request has begun and is not answered."""
        self.new_heads = 0  # in succession
        self.cycle: Any = None
        self.tunnel: Tunnel | None = None
        self.on_room: Callable[[], None] | None = None
        """Told when the client has read what was written."""
        self._turn: Any = None
        """The cycle that is being answered."""
        self._in_head = self._in_line = False
        self._head_since = 0.0
        self._head_size = 0
        self._large = False
        """The head may be larger than allowed: it came in pieces, or with very much data."""
        self._receiving = False
        self._came = 0
        """Bytes of a body since `touched`."""
        self._unsent = 0
        self._deaf = False
        """Nothing that still comes in is taken: the connection ends with the answers that are owed."""

    # requests come in

    def data_received(self, data: bytes) -> None:
        """Parse; whatever the parser does not accept is answered with 400 and the end of the connection."""
        if self._deaf:
            return
        if self.tunnel is not None:
            self.tunnel.received(data)
            return
        shared = self.shared
        is_free = not self.busy and self.new_heads < MOST_NEW
        if is_free:
            head = shared.heads.get(data[: data.find(HEAD_END) + 4])
            if head is not None and len(data) == head.whole:
                self.touched = shared.now
                self._begin_known(head, data)
                return
        self._note_progress(len(data))
        sent = data
        if self._in_line or not (self._in_head or self._receiving):
            sent, self._in_line = plain_line(data)
        self._large = self._head_size > 0 or len(sent) > MAXIMUM_HEAD
        self._feed(sent)
        cycle = self.cycle
        if is_free and isinstance(cycle, Exchange) and cycle.complete:
            remember(shared.heads, data, cycle)

    def _note_progress(self, size: int) -> None:
        """A body that comes in drops is no progress."""
        self._came = self._came + size if self._receiving else _LEAST_BODY
        if self._came >= _LEAST_BODY:
            self.touched, self._came = self.shared.now, 0

    def _begin_known(self, head: Head, data: bytes) -> None:
        """A request with a head that was parsed before, and nothing else."""
        _, method, path, self.url, self.headers, fields, sent = head
        self.busy, self.new_heads = True, 0
        exchange = self.cycle = self._turn = Exchange(self, method, path, fields, keep_alive=True)
        exchange.complete, exchange.sent = True, sent
        exchange.body = data[data.find(HEAD_END) + 4 :]
        self.shared.invocations.handle(exchange)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgraded:
            self._upgrade(is_longer=len(data) > upgraded.args[0])
        except httptools.HttpParserCallbackError as error:
            self._fail(error.__context__ or error)
        except httptools.HttpParserError as error:
            self.refuse(InvalidArgument(message=f"this is not a valid HTTP request: {error}"))
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > MAXIMUM_HEAD:
                self.refuse(InvalidArgument(message=TOO_MUCH_HEAD))

    def _upgrade(self, *, is_longer: bool) -> None:
        """Go on as a WebSocket, if this is one that is taken here. `is_longer`: something else follows the head."""
        if not is_shell(self, self._turn):
            if is_longer or not isinstance(self.cycle, Exchange):
                self.refuse(InvalidArgument(message="this connection can not be upgraded"))
            return
        try:
            self.handle_websocket_upgrade()
        except Exception as error:
            failed(request_id(), self.url.decode("latin-1"), error)
            self.transport.abort()

    def _fail(self, error: BaseException) -> None:
        """An error of ours in a request that is not whole yet."""
        number, method = request_id(), self.parser.get_method() if self.parser is not None else b""
        wrong = failed(number, f"{method.decode('latin-1')} {self.url.decode('latin-1')}", error)
        self.refuse(wrong, number)

    def on_message_begin(self) -> None:
        """A new request: nothing is known of it yet."""
        if self._deaf:
            return
        self.url = b""
        self.headers = []
        self._in_head = self._receiving = self.busy = True
        self._head_since = self.shared.now
        self._head_size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Gather the head; trailers after a body are not headers."""
        if self._in_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: refuse it, take it as a hot call, or leave it to uvicorn."""
        if self._deaf:
            return
        self._in_head = False
        fields = dict(self.headers)
        problem = problem_of(self, fields, is_large=self._large)
        if problem is not None:
            self.refuse(problem)
        elif (sites := self.shared.invocations.sites).takes(fields.get(b"host", b""), self.url):
            sent, (path, self.url, error) = self.url, sites.resolve(self.parser.get_method(), self.url, fields)
            self._begin(path, fields)
            self.cycle.sent, self.cycle.problem = sent, error
        elif self.url.startswith(_HOT):
            path = self.url.partition(b"?")[0]
            if path.endswith(_EVENT_END) and self.url.startswith(_NEWER):
                self._begin(self.url, fields)  # the query tells the version
            elif path.endswith(_EVENT_END) or path[11:17] == b"/proxy":
                self._begin(path, fields)
            else:
                self._begin_asgi(fields)
        else:
            self._begin_asgi(fields)

    def _begin(self, path: bytes, fields: dict[bytes, bytes]) -> None:
        before = self.cycle
        keep_alive = (
            self.parser.should_keep_alive()
            and self.parser.get_http_version() != "1.0"
            and not self.parser.should_upgrade()
        )
        exchange = self.cycle = Exchange(self, self.parser.get_method(), path, fields, keep_alive=keep_alive)
        if path[11:17] == b"/proxy" and fields.get(b"upgrade", b"").lower() == b"websocket":
            upgrade(exchange)
        if b"expect" in fields:
            exchange.expects = fields[b"expect"].lower() == b"100-continue"
        if len(fields.get(b"content-length", b"")) > _SMALL_DIGITS:
            exchange.declared = declared_stream(path, fields)
        if not keep_alive:
            exchange.is_current = self.parser.get_http_version() != "1.0"
        if before is None or before.response_complete:
            self._start_exchange(exchange)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, None))  # type: ignore[arg-type]

    def _begin_asgi(self, fields: dict[bytes, bytes]) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = fields.get(b"expect", b"").lower() == b"100-continue"
        try:
            super().on_headers_complete()
        except httptools.HttpParserInvalidURLError:
            self.refuse(InvalidArgument(message="the request's target is no valid path"))

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """uvicorn calls this when it is a cycle's turn."""
        if isinstance(cycle, Exchange):
            self._start_exchange(cycle)
        else:
            self._turn = cycle
            super()._start_asgi_task(cycle, app)

    def _start_exchange(self, exchange: Exchange) -> None:
        self._turn = exchange
        if exchange.complete:
            self.shared.invocations.handle(exchange)
        elif exchange.expects and not exchange.size:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """More of a body."""
        cycle = self.cycle
        if self._deaf:
            return
        if not isinstance(cycle, Exchange):
            super().on_body(body)
        elif not cycle.response_complete:
            cycle.size += len(body)
            if cycle.declared and cycle is self._turn and pass_on(cycle, body):
                return
            if cycle.chunks is None:
                cycle.chunks = [body]
            else:
                cycle.chunks.append(body)
            if cycle.size > self.shared.settings.maximum_body:
                self.refuse(EntityTooLarge(limit=self.shared.settings.maximum_body))

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._deaf:
            return
        self._receiving = False
        cycle = self.cycle
        if cycle is not None and cycle.response_complete:
            self.busy = False  # it was answered before it was whole
        if not isinstance(cycle, Exchange):
            super().on_message_complete()
            return
        if cycle.chunks is not None:
            cycle.body = cycle.chunks[0] if len(cycle.chunks) == 1 else b"".join(cycle.chunks)
            cycle.chunks = None
        cycle.complete = True
        if cycle is self._turn and (cycle.incoming is None or cycle.upgrades):
            self.shared.invocations.handle(cycle)

    # responses go out

    def on_response_complete(self) -> None:
        """A response is written: the next pipelined request has its turn. No timer: the sweep closes idle ones."""
        self.server_state.total_requests += 1
        self.touched = self.shared.now
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.busy = self._receiving
        if not self._deaf:
            self.flow.resume_reading()

    def resume_writing(self) -> None:
        """The client has read what was written."""
        super().resume_writing()
        if self.on_room is not None:
            on_room, self.on_room = self.on_room, None
            on_room()

    def end(self) -> None:
        """The response that was just written has said that it is the last one."""
        self._deaf = True
        self.pipeline.clear()
        self.transport.close()

    def refuse(self, error: PyfcError, number: str = "") -> None:
        """Take nothing more from this client. If no answer is owed to it, say why; else end with the last one owed."""
        if self._deaf:
            return
        self._deaf = True
        self._in_head = self._receiving = False
        owed: list[Any] = [cycle for cycle, _ in self.pipeline]
        if self._turn is not None and not self._turn.response_complete:
            owed.append(self._turn)
        unfinished = self.cycle if _is_unfinished(self.cycle) else None
        if unfinished in owed:
            owed.remove(unfinished)
            self.pipeline = deque(item for item in self.pipeline if cast("Any", item[0]) is not unfinished)
        if unfinished is not None and _give_up(unfinished):
            self.transport.abort()
        elif owed:
            owed[0].keep_alive = False
            self.flow.pause_reading()
        else:
            self._say_last(refusal(error, self.shared.date, number))

    def _say_last(self, answer: bytes) -> None:
        """Close so that a client which still sends gets to read the answer."""
        self.transport.write(answer)
        self.busy = False
        with contextlib.suppress(OSError, NotImplementedError):
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)

    def _is_stuck(self, now: float, seconds: float) -> bool:
        """Whether the client has taken nothing of an answer for so many seconds."""
        unsent = _unsent(self.transport)
        if unsent != self._unsent:
            self._unsent, self.touched = unsent, now
        return now - self.touched > seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left: what it waited for is not begun any more, or runs unheard."""
        left = [self._turn, *(cycle for cycle, _ in self.pipeline)]
        self.pipeline.clear()
        super().connection_lost(exc)
        for cycle in left:
            if isinstance(cycle, Exchange) and not cycle.response_complete:
                cycle.leave()

    def is_late(self, now: float) -> bool:
        """Whether the client is idle or too slow."""
        settings = self.shared.settings
        if self.transport.get_write_buffer_size():
            return self._is_stuck(now, settings.keep_alive_timeout)
        if self._in_head:
            return now - self._head_since > settings.header_timeout
        if self._receiving:
            return now - self.touched > settings.body_timeout and not self.flow.read_paused
        return not self.busy and now - self.touched > settings.keep_alive_timeout


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that the client has not taken: here, and in the kernel, which takes large parts at once."""
    waiting = array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, waiting)
    return transport.get_write_buffer_size() + waiting[0]


def _is_unfinished(cycle: Any) -> bool:
    """Whether a part of a request's body is missing. `cycle`: an Exchange, or uvicorn's."""
    if isinstance(cycle, Exchange):
        return not cycle.complete
    return cycle is not None and cycle.more_body and not cycle.response_complete


def _give_up(cycle: Any) -> bool:
    """Tell whoever answers a request that its body will never be whole; whether a part of the answer is out."""
    if isinstance(cycle, Exchange):
        if not cycle.response_complete:
            cycle.leave()
        return cycle.has_begun
    cycle.disconnected = True
    cycle.message_event.set()
    return bool(cycle.response_started)
