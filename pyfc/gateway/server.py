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
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pyfc.errors import EntityTooLarge, Internal, InvalidArgument, PyfcError
from pyfc.gateway.checks import MAXIMUM_HEAD, TOO_MUCH_HEAD, is_shell, problem_of, refusal
from pyfc.gateway.exchange import Head
from pyfc.gateway.shared import HEAD_END, MOST_NEW, Shared, remember
from pyfc.gateway.streams import Outgoing, Tunnel, declared_stream, pass_on, upgrade
from pyfc.model.invocation import Ticket
from pyfc.model.streams import Incoming

_log = logging.getLogger(__name__)
_NEWER = b"/2023-03-30/functions/"
_HOT = (b"/2016-08-15/services/", b"/2016-08-15/proxy/", b"/2021-04-06/services/", b"/2021-04-06/proxy/", _NEWER)
_EVENT_END = b"/invocations"
_JOINED = 64 * 1024
"""Bodies below this size are written in one piece with their head."""
_SMALL_DIGITS = 6
"""Of a Content-Length that is not worth a second look."""
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
    gone = False
    ticket: Ticket | None = None
    on_gone: Callable[[], None] | None = None
    incoming: Incoming | None = None
    upgrades = False
    declared = 0
    """Bytes of a body that may be passed on while it arrives (streams.py)."""
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

    def stream(self, head: str, size: int | None, resume: Callable[[], None]) -> Outgoing:
        """See invocations.Exchange."""
        return Outgoing(self, head, size, resume)

    def tunnel(self, head: str, resume: Callable[[], None]) -> Tunnel:
        """See invocations.Exchange."""
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
        self._in_head = False
        self._head_since = 0.0
        self._head_size = 0
        self._large = False
        """The head may be larger than allowed: it came in pieces, or with very much data."""
        self._receiving = False
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
        self.touched = shared.now
        is_free = not self.busy and self.new_heads < MOST_NEW
        if is_free:
            head = shared.heads.get(data[: data.find(HEAD_END) + 4])
            if head is not None and len(data) == head.whole:
                self._begin_known(head, data)
                return
        self._large = self._head_size > 0 or len(data) > MAXIMUM_HEAD
        self._feed(data)
        cycle = self.cycle
        if is_free and isinstance(cycle, Exchange) and cycle.complete:
            remember(shared.heads, data, cycle)

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
            if is_shell(self, self._turn):
                self.handle_websocket_upgrade()
            elif not isinstance(self.cycle, Exchange) or len(data) > upgraded.args[0]:
                self._refuse(InvalidArgument(message="this connection can not be upgraded"))
        except httptools.HttpParserCallbackError as error:
            _log.error("a request could not be taken", exc_info=error.__context__ or error)
            self._refuse(Internal(detail="see the server's log"))
        except httptools.HttpParserError as error:
            self._refuse(InvalidArgument(message=f"this is not a valid HTTP request: {error}"))
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > MAXIMUM_HEAD:
                self._refuse(InvalidArgument(message=TOO_MUCH_HEAD))

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
            self._refuse(problem)
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
        super().on_headers_complete()

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
                self._refuse(EntityTooLarge(limit=self.shared.settings.maximum_body))

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._deaf:
            return
        self._receiving = False
        cycle = self.cycle
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

    def _refuse(self, error: PyfcError) -> None:
        """Take nothing more from this client. If no answer is owed to it, say why; else end with the last one owed."""
        if self._deaf:
            return
        self._deaf = True
        self._in_head = self._receiving = False
        owed: list[Any] = [cycle for cycle, _ in self.pipeline]
        if self._turn is not None and not self._turn.response_complete:
            owed.append(self._turn)
        unfinished = self.cycle if isinstance(self.cycle, Exchange) and not self.cycle.complete else None
        if unfinished in owed:
            owed.remove(unfinished)
            self.pipeline = deque(item for item in self.pipeline if cast("Any", item[0]) is not unfinished)
        if owed:
            owed[0].keep_alive = False
            self.flow.pause_reading()
            return
        if unfinished is not None:
            unfinished.response_complete = True
        self.transport.write(refusal(error, self.shared.date))
        self.busy = False  # close so that a client which still sends gets to read the answer
        with contextlib.suppress(OSError, NotImplementedError):
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left: what it waited for is not begun any more, or runs unheard."""
        left = [self._turn, *(cycle for cycle, _ in self.pipeline)]
        self.pipeline.clear()
        super().connection_lost(exc)
        for cycle in left:
            if isinstance(cycle, Exchange) and not cycle.response_complete:
                cycle.gone = cycle.response_complete = True
                if cycle.incoming is not None:
                    cycle.incoming.break_off()
                if cycle.on_gone is not None:
                    cycle.on_gone()

    def is_late(self, now: float) -> bool:
        """Whether the client is idle or too slow."""
        settings = self.shared.settings
        if self._in_head:
            return now - self._head_since > settings.header_timeout
        if self._receiving:
            return now - self.touched > settings.body_timeout and not self.flow.read_paused
        return not self.busy and now - self.touched > settings.keep_alive_timeout
