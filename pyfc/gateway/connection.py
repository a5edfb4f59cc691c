"""uvicorn, with the paths of calls answered in its httptools protocol by callback.

1. A request on such a path (InvokeFunction, HTTP trigger) becomes an Exchange; its body is gathered whole, or passed
   on while it arrives, and `Invocations.handle` takes it. No task, no future and no timer belongs to it. Everything
   else is uvicorn's own way to the ASGI application.
2. Pipelined requests of both kinds are answered in the order in which they came: an Exchange stands in uvicorn's own
   pipeline of cycles and has its turn there.
3. Requests that could mean two things to two servers are refused (request smuggling), with `Connection: close`.
4. One sweep a second closes connections whose client is idle or too slow.
5. What is read, and what is not any more, is one state (reading.py); what is answered is one turn.

This leans on uvicorn's internals (names of callbacks and attributes of HttpToolsProtocol); setup.cfg pins the range
and tests/gateway/test_uvicorn.py fails when they move.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import termios
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pyfc.calls.paths import call_of
from pyfc.errors import EntityTooLarge, Internal, InvalidArgument, PyfcError
from pyfc.gateway.context import ServerContext
from pyfc.gateway.exchange import Exchange, Receiver
from pyfc.gateway.failures import failed, refusal
from pyfc.gateway.heads import (
    HEAD_END,
    MOST_NEW,
    TOO_MUCH_HEAD,
    Arrival,
    Known,
    Parsed,
    in_origin_form,
    length_of,
    problem_of,
    remember,
    trace_of,
)
from pyfc.gateway.invocations import EventReply, HttpReply
from pyfc.gateway.reading import TRANSITIONS, Happening, Reading
from pyfc.gateway.spelling import Spelled
from pyfc.model.names import request_id
from pyfc.wire.frames import MAXIMUM_UNARY

_JOINED = 64 * 1024
"""Bodies below this size are written in one piece with their head."""
_SMALL_DIGITS = 6
"""Of a Content-Length that is not worth a second look."""
_LEAST_BODY = 1024
"""Bytes that must come in `body_timeout` seconds."""
_LINGER = 2.0
"""Seconds that a refused client gets to read its answer."""
_SHELL_END = b"/exec"
_IDLE, _HEAD, _BODY, _DEAF, _TUNNEL = Reading  # a look into an enum costs as much as a call
_BEGUN, _HEADED, _WHOLE, _SWITCHED, _ENDED = Happening


class _Answering(HttpToolsProtocol):
    """The half of a connection that answers, one request after the other (exchange.Outlet)."""

    def __init__(
        self,
        context: ServerContext,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.context = context
        self.reading = _IDLE
        self.touched = context.now
        self.cycle: Any = None
        """The request that came last, an Exchange or uvicorn's; None if it was an Exchange and is answered."""
        self._turn: Any = None
        """The one that is being answered."""
        self._reply: EventReply | HttpReply | None = None
        """What answers it. Both hold each other, so it is forgotten when it has: nothing is left to be collected."""
        self._on_room: Callable[[], None] | None = None
        """Told when the client has read what was written."""
        self._unsent = 0

    def _advance(self, happening: Happening) -> None:
        """Raises Internal for what cannot happen."""
        following = TRANSITIONS[self.reading][happening]
        if following is None:
            raise Internal(detail=f"a connection in state {self.reading.name} was told {happening.name}")
        self.reading = following

    @property
    def address(self) -> str:
        """See Outlet."""
        return self.client[0] if self.client else ""

    def respond(self, exchange: Exchange, head: str, body: bytes | memoryview, *, is_last: bool = False) -> None:
        """See Outlet."""
        if exchange is not self._turn:
            return
        transport = self.transport
        if transport.is_closing():
            self._forget()
            return
        keeps = self._keeps(exchange) and not is_last
        ending = "\r\n" if keeps else "Connection: close\r\n\r\n"
        data = f"{head}{self.context.date}{ending}".encode("latin-1")
        if len(body) < _JOINED:
            transport.write(data + body)
        else:
            transport.writelines((data, body))
        if not keeps:
            self.end()
        self.on_response_complete()

    def _keeps(self, exchange: Exchange) -> bool:
        """Whether the connection outlives an answer."""
        return exchange.keep_alive and (self.reading is not _DEAF or bool(self.pipeline))

    def begin(self, exchange: Exchange, head: str, *, is_last: bool) -> None:
        """See Outlet."""
        if exchange is self._turn:
            ending = "\r\n" if self._keeps(exchange) and not is_last else "Connection: close\r\n\r\n"
            self.transport.write(f"{head}{self.context.date}{ending}".encode("latin-1"))

    def send(self, pieces: Sequence[bytes | memoryview], resume: Callable[[], None]) -> bool:
        """See Outlet."""
        if self.transport.is_closing():
            return True  # the client has left; the call is told by its Reply
        self.transport.writelines(pieces)
        if self.flow.write_paused:
            self._on_room = resume
            return False
        return True

    def finish(self, exchange: Exchange, rest: bytes | None, *, is_last: bool) -> None:
        """See Outlet."""
        if exchange is not self._turn:
            return
        self._on_room = None
        if rest is None:
            self._forget()
            self.transport.abort()
        elif self.transport.is_closing():
            self._forget()
        else:
            self._finish(exchange, rest, is_last=is_last)

    def _finish(self, exchange: Exchange, rest: bytes, *, is_last: bool) -> None:
        if rest:
            self.transport.write(rest)
        if is_last or not self._keeps(exchange):
            self.end()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """A response is written: the next pipelined request has its turn. No timer: the sweep closes idle ones."""
        self.touched = self.context.now
        self._forget()
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if self.reading is not _DEAF:
            self.flow.resume_reading()

    def _forget(self) -> None:
        """Who had its turn is answered."""
        if self.cycle is self._turn and isinstance(self.cycle, Exchange):
            self.cycle = None
        self._turn = self._reply = None

    def end(self) -> None:
        """The response that was just written has said that it is the last one."""
        self._on_room = None
        self._forget()
        self._advance(_ENDED)
        self.pipeline.clear()
        self.transport.close()

    def refuse(self, error: PyfcError, number: str = "") -> None:
        """Take nothing more from this client. If no answer is owed to it, say why; else end with the last one owed."""
        if self.reading is _DEAF:
            return
        self._advance(_ENDED)
        has_begun = self._give_up_unfinished()
        last: Any = self.pipeline[0][0] if self.pipeline else self._turn
        if has_begun:
            self.transport.abort()
        elif last is not None:
            if not isinstance(last, Exchange):  # see _keeps
                last.keep_alive = False
            self.flow.pause_reading()
        else:
            self._say_last(refusal(error, self.context.date, number))

    def _give_up_unfinished(self) -> bool:
        """Tell whoever answers a request that its body will never be whole; whether a part of the answer is out."""
        cycle = self.cycle
        if not _is_unfinished(cycle):
            return False
        for item in [item for item in self.pipeline if item[0] is cycle]:
            self.pipeline.remove(item)
        is_turn, reply = cycle is self._turn, self._reply
        if is_turn:
            self._turn = self._reply = None
        if not isinstance(cycle, Exchange):
            cycle.disconnected = True
            cycle.message_event.set()
            return bool(cycle.response_started)
        if not is_turn or reply is None:
            return False
        reply.left()
        return reply.has_begun

    def _fail(self, error: BaseException) -> None:
        """An error of ours in a request that is not whole yet."""
        number, method = request_id(), self.parser.get_method() if self.parser is not None else b""
        wrong = failed(number, f"{method.decode('latin-1')} {self.url.decode('latin-1')}", error)
        self.refuse(wrong, number)

    def _say_last(self, answer: bytes) -> None:
        """Close so that a client which still sends gets to read the answer."""
        self.transport.write(answer)
        with contextlib.suppress(OSError, NotImplementedError):
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)

    def abort(self) -> None:
        """See Outlet."""
        self.transport.abort()

    def resume_writing(self) -> None:
        """The client has read what was written."""
        super().resume_writing()
        if self._on_room is not None:
            on_room, self._on_room = self._on_room, None
            on_room()

    def is_unused(self, now: float, seconds: float) -> bool:
        """Whether nothing has been asked for so many seconds, and everything is answered."""
        return self.reading is _IDLE and self._turn is None and now - self.touched > seconds

    def _is_stuck(self, now: float, seconds: float) -> bool:
        """Whether the client has taken nothing of an answer for so many seconds."""
        unsent = _unsent(self.transport)
        if unsent != self._unsent:
            self._unsent, self.touched = unsent, now
        return now - self.touched > seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left: what it waited for is not begun any more, or runs unheard."""
        reply = self._reply
        self._advance(_ENDED)
        self.pipeline.clear()
        if isinstance(self.cycle, Exchange):
            self.cycle = None
        self._turn = self._reply = self._on_room = None
        super().connection_lost(exc)
        if reply is not None:
            reply.left()


class Connection(_Answering):
    """One connection: its requests, as they come in."""

    def __init__(
        self,
        context: ServerContext,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(context, config, server_state, app_state, _loop)
        self._new_heads = 0  # in succession
        self._head = Arrival()
        self._came = 0
        """Bytes of a body since `touched`."""
        self._tunnel: Receiver | None = None

    def data_received(self, data: bytes) -> None:
        """Parse; whatever the parser does not accept is answered with 400 and the end of the connection."""
        reading, context = self.reading, self.context
        is_free = reading is _IDLE and self._turn is None and self._new_heads < MOST_NEW
        if is_free:
            known = context.known.get(data[: data.find(HEAD_END) + 4])
            if known is not None and len(data) == known.whole:
                self.touched = context.now
                self._begin_known(known, data)
                return
        elif reading >= _DEAF:
            self._pass_by(data)
            return
        self._note_progress(len(data))
        sent = self._head.prepared(data, is_between=reading is _IDLE)
        self._feed(sent)
        cycle = self.cycle
        if is_free and isinstance(cycle, Exchange) and cycle.complete:
            self._new_heads += 1
            remember(context.known, data, cycle)

    def _pass_by(self, data: bytes) -> None:
        """What came is not for the parser."""
        if self._tunnel is not None and self.reading is _TUNNEL and not self._tunnel.received(data):
            self.flow.pause_reading()

    def _note_progress(self, size: int) -> None:
        """A body that comes in drops is no progress."""
        self._came = self._came + size if self.reading is not _IDLE else _LEAST_BODY
        if self._came >= _LEAST_BODY:
            self.touched, self._came = self.context.now, 0

    def _begin_known(self, known: Known, data: bytes) -> None:
        """A request with a head that was parsed before, and nothing else."""
        _, method, path, self.url, headers, fields, is_http, sent, trace = known
        body = data[data.find(HEAD_END) + 4 :]
        self._new_heads = 0
        exchange = self.cycle = self._turn = Exchange(
            self, method, self.url, path, headers, fields, is_http, True, sent, trace, None, body, True
        )
        reply = self.context.invocations.handle(exchange)
        if self._turn is exchange:
            self._reply = reply

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgraded:
            self._upgrade(is_longer=len(data) > upgraded.args[0])
        except httptools.HttpParserCallbackError as error:
            self._fail(error.__context__ or error)
        except httptools.HttpParserError as error:
            self.refuse(InvalidArgument(message=f"this is not a valid HTTP request: {error}"))
        if self.reading is _HEAD and self._head.exceeds(len(data)):
            self.refuse(InvalidArgument(message=TOO_MUCH_HEAD))

    def _upgrade(self, *, is_longer: bool) -> None:
        """Go on as a WebSocket, if this is one that is taken here. `is_longer`: something else follows the head."""
        if not self._is_shell():
            if is_longer or not isinstance(self.cycle, Exchange):
                self.refuse(InvalidArgument(message="this connection can not be upgraded"))
            return
        try:
            self.handle_websocket_upgrade()
        except Exception as error:
            failed(request_id(), self.url.decode("latin-1"), error)
            self.transport.abort()

    def _is_shell(self) -> bool:
        """Whether a request is a WebSocket that the application takes."""
        is_free, path = self._turn is None, self.url.partition(b"?")[0]
        return is_free and path.endswith(_SHELL_END) and self.parser.should_upgrade() and self._should_upgrade()

    # what the parser finds

    def on_message_begin(self) -> None:
        """A new request: nothing is known of it yet."""
        self._advance(_BEGUN)
        self.url = b""
        self.headers = []
        self._head.begin(self.context.now)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Gather the head; trailers after a body are not headers."""
        if self.reading is _HEAD:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: refuse it, take it as a call, or leave it to uvicorn."""
        self._advance(_HEADED)
        if self.reading is _DEAF:
            return
        if not self.url.startswith(b"/"):
            self.url, self.headers = in_origin_form(self.url, self.headers)
        parser, url, fields, sites = self.parser, self.url, dict(self.headers), self.context.sites
        version, upgrades = parser.get_http_version(), parser.should_upgrade()
        head = Parsed(url, self.headers, fields, version, upgrades, self._head.is_large)
        problem = problem_of(head)
        if problem is not None:
            self.refuse(problem)
        elif sites.takes(fields, url):
            path, self.url, wrong = sites.resolve(parser.get_method(), url, fields, is_secure=self.scheme == "https")
            self._begin(head, path, is_http=True, sent=url, problem=wrong)
        elif (call := call_of(url)) is not None:
            self._begin(head, call[0], is_http=call[1])
        else:
            self._begin_asgi()

    def _begin(
        self, head: Parsed, path: bytes, *, is_http: bool, sent: bytes = b"", problem: PyfcError | None = None
    ) -> None:
        before, fields, is_current = self.cycle, head.fields, head.version != "1.0"
        if length_of(fields) > self.context.settings.maximum_body:
            self.refuse(EntityTooLarge(limit=self.context.settings.maximum_body))
            return
        keep_alive = self.parser.should_keep_alive() and is_current and not head.upgrades
        exchange = self.cycle = Exchange(
            self, self.parser.get_method(), self.url, path, self.headers, fields, is_http, keep_alive, sent,
            trace_of(fields), problem,
            declared=_large(fields) if is_http else 0,
            expects=fields.get(b"expect", b"").lower() == b"100-continue",
            is_current=is_current,
        )  # fmt: skip
        if is_http and fields.get(b"upgrade", b"").lower() == b"websocket":
            exchange.offer_upgrade(self.flow.resume_reading)
        if before is None or before.response_complete:
            self._start(exchange)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, None))  # type: ignore[arg-type]

    def _begin_asgi(self) -> None:
        url, headers = self.url, self.headers
        if self._turn is not None and self.parser.should_upgrade() and self._should_upgrade():
            self.refuse(InvalidArgument(message="a connection can not be upgraded before all is answered"))
            return
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        try:
            super().on_headers_complete()
        except httptools.HttpParserInvalidURLError:
            self.refuse(InvalidArgument(message="the request's target is no valid path"))

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """uvicorn calls this when it is a cycle's turn."""
        if isinstance(cycle, Exchange):
            self._start(cycle)
        else:
            self._turn = cycle
            cycle.transport = Spelled(self.transport)
            super()._start_asgi_task(cycle, app)

    def _start(self, exchange: Exchange) -> None:
        """It is a request's turn."""
        self._turn = exchange
        if exchange.complete:
            self._handle(exchange)
        elif exchange.expects and not exchange.size:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _handle(self, exchange: Exchange) -> None:
        reply = self.context.invocations.handle(exchange)
        if self._turn is exchange:  # else it is answered already
            self._reply = reply

    def on_body(self, body: bytes) -> None:
        """More of a body."""
        cycle = self.cycle
        if self.reading is _DEAF or cycle is None:
            return
        if not isinstance(cycle, Exchange):
            super().on_body(body)
        elif cycle.incoming is not None:
            self._pass_on(cycle, body)
        else:
            self._gather(cycle, body)

    def _gather(self, exchange: Exchange, body: bytes) -> None:
        exchange.gather(body)
        if exchange.size > self.context.settings.maximum_body:
            self.refuse(EntityTooLarge(limit=self.context.settings.maximum_body))
        elif (
            exchange.declared
            and exchange.size >= MAXIMUM_UNARY
            and exchange is self._turn
            and self.context.invocations.takes_pieces(exchange)
        ):
            try:
                exchange.begin_passing(self.flow.resume_reading)
            except PyfcError as error:
                self.refuse(error)
            else:
                self._handle(exchange)

    def _pass_on(self, exchange: Exchange, body: bytes) -> None:
        try:
            if not exchange.pass_on(body):
                self.flow.pause_reading()
        except PyfcError as error:
            self.refuse(error)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._advance(_WHOLE)
        cycle = self.cycle
        if self.reading is _DEAF or cycle is None:
            return
        if not isinstance(cycle, Exchange):
            super().on_message_complete()
            return
        cycle.finish()
        if cycle is self._turn and (cycle.incoming is None or cycle.upgrades):
            self._handle(cycle)

    def switch(self, head: str, receiver: Receiver) -> None:
        """See Outlet."""
        self._advance(_SWITCHED)
        self._tunnel = receiver
        self.transport.write(f"{head}\r\n".encode("latin-1"))

    def is_late(self, now: float) -> bool:
        """Whether the client is idle or too slow."""
        settings = self.context.settings
        if self.transport.get_write_buffer_size():
            return self._is_stuck(now, settings.keep_alive_timeout)
        if self.reading is _HEAD:
            return now - self._head.since > settings.header_timeout
        if self.reading is _BODY:
            return now - self.touched > settings.body_timeout and not self.flow.read_paused
        return self.is_unused(now, settings.keep_alive_timeout)


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that the client has not taken: here, and in the kernel, which takes large parts at once."""
    waiting = array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, waiting)
    return transport.get_write_buffer_size() + waiting[0]


def _large(fields: dict[bytes, bytes]) -> int:
    """The size of a body that may be passed on while it arrives; 0 for one that is gathered.

    Functions read CONTENT_LENGTH, so a body of unknown length is gathered, like every event.
    """
    length = fields.get(b"content-length", b"")
    size = int(length) if len(length) > _SMALL_DIGITS else 0
    return size if size > MAXIMUM_UNARY else 0


def _is_unfinished(cycle: Any) -> bool:
    """Whether a part of a request's body is missing. `cycle`: an Exchange, or uvicorn's."""
    if isinstance(cycle, Exchange):
        return not cycle.complete
    return cycle is not None and cycle.more_body and not cycle.response_complete
