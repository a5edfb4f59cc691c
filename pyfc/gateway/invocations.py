"""InvokeFunction and HTTP triggers: a request becomes an Invocation, its Result becomes the bytes of the response.

1. The path is looked up as it was sent in one dict; only a path seen for the first time is taken apart.
2. Function errors of an event function are HTTP 200 with X-Fc-Error-Type; an HTTP trigger answers 502 instead, and
   all its errors carry that header (FC's InvokeFunction and HTTP trigger pages).
3. Nothing here waits: a response is written when the Reply is called.
"""

from __future__ import annotations

import base64
import time
from urllib.parse import unquote

from pyfc.auth.digest import BodyDigest
from pyfc.auth.signature import Verifier
from pyfc.calls.paths import NEWER, Place, event_place, find
from pyfc.calls.table import Table
from pyfc.errors import AccessDenied, FunctionNotStarted, Internal, PathNotSupported, ProgramFailed, PyfcError
from pyfc.gateway.bodies import NO_BODY, PHRASES, SWITCHING, Outgoing, Tunnel, length_of_nothing, open_answer
from pyfc.gateway.checks import Parts, authorized, check_signature, is_asynchronous, trace_of, wants_log
from pyfc.gateway.exchange import Exchange, Head
from pyfc.gateway.failures import failed
from pyfc.gateway.guard import Guard
from pyfc.gateway.promises import Accept, refuse_all
from pyfc.gateway.sites import Sites, answers_preflight, cors_lines
from pyfc.model.bodies import Stream
from pyfc.model.function import Function
from pyfc.model.invocation import Fault, FaultKind, Invocation, Kind, Result, Usage
from pyfc.model.names import request_ids
from pyfc.observe.journal import CallRecord, Journal
from pyfc.observe.markers import TAIL, transcript
from pyfc.settings import Settings
from pyfc.triggers.http import FIELD, NOT_SETTABLE, TOKEN, Config, Response, from_event, to_event, translate

_CLIENT_CLOSED = 499
_CORS = "access-control-allow-"
_KNOWN = 10_000
_OF_SWITCHING = {"connection", "upgrade"}
_wall = time.time


class Invocations:
    """The call paths of one server."""

    def __init__(
        self, settings: Settings, guard: Guard, journal: Journal, verifier: Verifier, *, is_local: bool
    ) -> None:
        self.settings = settings
        self._verifier = verifier
        self._guard = guard
        self._journal = journal
        self._table = Table({}, {}, {}, {})
        self._event_places: dict[bytes, Place] = {}
        self._http_places: dict[bytes, Place] = {}
        self._hosts: set[bytes | None] = set()
        self._numbers: list[str] = []
        self.disposition = "Content-Disposition: attachment\r\n" if settings.content_disposition else ""
        self.sites = Sites(settings.site, guard.is_known)
        self.accept: Accept = refuse_all
        self.heads: dict[bytes, Head] = {}
        """Of requests that were parsed before, by their bytes: they lead where the table did."""
        self._signs = not is_local and settings.auth != "off"
        """Whether every call must be signed."""

    def use(self, table: Table) -> None:
        """Serve what `table` holds from now on."""
        self._table = table
        self.sites.use(table)
        self._event_places = {}
        self._http_places = {}
        self.heads.clear()

    def handle(self, exchange: Exchange) -> None:
        """Answer a request on `/VERSION/services/.../invocations` or `/VERSION/proxy/...`, now or later."""
        if not self._numbers:
            self._numbers = request_ids()
        path = exchange.path
        place = self._event_places.get(path)
        if place is not None or path[11:17] != b"/proxy":
            reply: EventReply | HttpReply = EventReply(self, exchange, self._numbers.pop())
        else:
            reply = HttpReply(self, exchange, self._numbers.pop())
        try:
            reply.begin(place, path)
        except PyfcError as error:
            reply.refuse(error)
        except Exception as error:
            reply.fail(error)

    def event_place(self, path: bytes, fields: dict[bytes, bytes]) -> Place:
        """What an InvokeFunction path leads to. Raises the NotFound that fits."""
        place = event_place(self._table, path, fields)
        if b"%" not in path and place.is_fixed and len(self._event_places) < _KNOWN:
            self._event_places[path] = place
        return place

    def http_place(self, path: bytes, fields: dict[bytes, bytes]) -> tuple[Place, bytes]:
        """What an HTTP-trigger path leads to, and the rest of the path. Raises the NotFound that fits."""
        parts = path.split(b"/", 5)
        if len(parts) < 5 or not parts[4]:
            raise PathNotSupported(method="ANY", path=unquote(path.decode("latin-1")))
        prefix = b"/".join(parts[:5])
        place = self._http_places.get(prefix)
        if place is None:
            service, function = parts[3].decode("latin-1"), parts[4].decode("latin-1")
            place = find(self._table, service, function, fields, is_http=True)
            if b"%" not in prefix and place.is_fixed:
                self._http_places[prefix] = place
        return place, path[len(prefix) :]

    def check_sender(self, exchange: Exchange) -> None:
        """Raises AccessDenied for another site's page or an unknown Host; remembers the hosts that are known."""
        fields = exchange.fields
        host = fields.get(b"host")
        if host not in self._hosts or b"origin" in fields or b"sec-fetch-site" in fields:
            self._guard.check(fields)
            if len(self._hosts) < _KNOWN:
                self._hosts.add(host)
        if self._signs:
            check_signature(self._verifier, exchange)

    def check_trigger(self, config: Config, method: str, exchange: Exchange) -> None:
        """Raises AccessDenied for what the trigger does not allow."""
        if method not in config.methods:
            allowed = ", ".join(sorted(config.methods))
            raise AccessDenied(message=f"method {method} is not among the trigger's methods: {allowed}")
        if not config.anonymous and self.settings.auth != "off":
            check_signature(self._verifier, exchange, is_trigger=True)

    def record(self, function: Function, call: Invocation, status: int, result: Result | None, error: str) -> None:
        """Leave a record of a finished call."""
        journal = self._journal
        if not journal.inbox:
            journal.wake()
        journal.inbox.append(CallRecord(_wall(), function, call, status, result, error))


class _Reply:
    """What both kinds of answer share."""

    error_header = ""
    is_async = False
    has_begun = False
    """Whether a part of the response has been written."""
    place: Place | None = None
    call: Invocation | None = None

    def __init__(self, owner: Invocations, exchange: Exchange, number: str) -> None:
        self.owner = owner
        self.exchange = exchange
        self.request_id = number

    @property
    def streams(self) -> bool:
        """See Reply."""
        return False

    def head(self, head: Result, stream: Stream) -> None:
        """See Reply."""
        raise Internal(detail="a result in pieces for somebody who wants it whole")

    def piece(self, data: bytes | memoryview) -> bool:
        """See Reply."""
        raise Internal(detail="a piece for somebody who wants the whole")

    def refuse(self, error: PyfcError) -> None:
        """See Reply."""
        exchange, place = self.exchange, self.place
        if place is not None:
            status = _CLIENT_CLOSED if exchange.gone else error.status
            self.owner.record(place.entry.function, self._call(place), status, None, error.code)
        if exchange.gone:
            return
        body = error.newer_document(self.request_id) if exchange.path.startswith(NEWER) else error.document()
        extra = self.error_header
        if error.retry_after is not None:
            extra += f"Retry-After: {error.retry_after}\r\n"
        exchange.respond(
            f"HTTP/1.1 {error.status} {PHRASES.get(error.status, '')}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Fc-Request-Id: {self.request_id}\r\n{extra}",
            b"" if exchange.method == b"HEAD" else body,
        )

    def result(self, result: Result) -> None:
        """See Reply."""
        try:
            self._answer(result)
        except Exception as error:
            self.fail(error)

    def _answer(self, result: Result) -> None:
        """Write the response."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """An error of ours: the client gets 500 and the end of its connection, and hears nothing that comes later."""
        exchange = self.exchange
        wrong = failed(self.request_id, f"{exchange.method.decode('latin-1')} {exchange.path.decode('latin-1')}", error)
        exchange.keep_alive = False
        try:
            if self.has_begun:
                exchange.abort()
            elif not exchange.gone:
                self.refuse(wrong)
        except Exception as another:
            failed(self.request_id, "its refusal", another)
            exchange.abort()
        exchange.gone = True

    def refuse_by(self, fault: Fault, result: Result, place: Place) -> None:
        """The function's program did what FC has an error code for."""
        kind = FunctionNotStarted if fault.type == FunctionNotStarted.code else ProgramFailed
        self.place = None
        self.owner.record(place.entry.function, self._call(place), kind.status, result, "")
        self.refuse(kind(message=fault.message))

    def _common(self, fields: dict[bytes, bytes]) -> tuple[str, dict[str, str]] | None:
        """What both kinds read of the headers: refuses what can not be served, returns the trace."""
        if b"x-fc-invocation-type" in fields:
            self.is_async = is_asynchronous(fields[b"x-fc-invocation-type"])
        if b"content-md5" in fields and self.exchange.incoming is None:
            BodyDigest(fields[b"content-md5"]).add(self.exchange.body).check()
        return trace_of(fields) if b"x-fc-tracing-opentracing-span-context" in fields else None

    def _platform_lines(self, usage: Usage, place: Place, *, has_ended: bool = True) -> str:
        """The headers that FC adds to every answer of a function. Before it has ended nobody knows what it will use."""
        lines = f"X-Fc-Request-Id: {self.request_id}\r\nX-Fc-Instance-Id: {usage.instance_id}\r\n{place.fixed}"
        memory = f"X-Fc-Max-Memory-Usage: {usage.peak_memory:.2f}\r\n"
        return f"{lines}X-Fc-Invocation-Duration: {usage.duration * 1000:.0f}\r\n{memory}" if has_ended else lines

    def _call(self, place: Place) -> Invocation:
        if self.call is not None:
            return self.call
        return Invocation(self.request_id, place.target, Kind.EVENT, b"")

    def left(self) -> None:
        """The client went away: a call that has not begun never will, and is recorded now."""
        ticket, place = self.exchange.ticket, self.place
        if place is not None and ticket is not None and ticket.cancel():
            self.owner.record(place.entry.function, self._call(place), _CLIENT_CLOSED, None, "ClientClosedRequest")


class EventReply(_Reply):
    """Writes the answer of InvokeFunction."""

    wants_log = False

    def begin(self, place: Place | None, path: bytes) -> None:
        """See _Reply."""
        exchange = self.exchange
        self.owner.check_sender(exchange)
        if exchange.method != b"POST":
            raise PathNotSupported(method=exchange.method.decode(), path=unquote(path.decode("latin-1")))
        if place is None:
            place = self.owner.event_place(path, exchange.fields)
        self.place = place
        fields = exchange.fields
        self.wants_log = b"x-fc-log-type" in fields and wants_log(fields[b"x-fc-log-type"])
        trace = self._common(fields)
        if self.is_async:
            self.owner.accept(self, place, exchange.body)
            return
        call = self.call = Invocation(self.request_id, place.target, Kind.EVENT, exchange.body, None, trace)
        exchange.on_gone = self.left
        exchange.ticket = place.entry.route.submit(call, self)

    def _answer(self, result: Result) -> None:
        exchange, place, call = self.exchange, self.place, self.call
        assert place is not None
        assert call is not None
        if result.fault is not None and result.fault.kind is FaultKind.PLATFORM:
            self.refuse_by(result.fault, result, place)
            return
        function = place.entry.function
        self.owner.record(function, call, _CLIENT_CLOSED if exchange.gone else 200, result, "")
        if exchange.gone:
            return
        extra = ""
        if result.fault is not None:
            extra = f"X-Fc-Error-Type: {result.fault.kind.error_type}\r\n"
        if self.wants_log:
            log = transcript(self.request_id, function, result)[-TAIL:]
            extra += f"X-Fc-Log-Result: {base64.b64encode(log).decode()}\r\n"
        exchange.respond(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: {len(result.body)}\r\n{self._platform_lines(result.usage, place)}{extra}",
            result.body,
        )


class HttpReply(_Reply):
    """Writes the answer of an HTTP function."""

    error_header = "X-Fc-Error-Type: FcCommonError\r\n"
    status = 0
    """What the client has been answered; the body may still be on its way."""
    outgoing: Outgoing | Tunnel | None = None
    stream: Stream | None = None
    invalid: Fault | None = None
    cors = ""
    """Response headers that allow another site's page to read the answer, unless the function sets its own."""

    @property
    def streams(self) -> bool:
        """See Reply."""
        return self.place is not None and self.place.trigger is not None and not self.place.trigger.is_event

    def begin(self, _: Place | None, path: bytes) -> None:
        """See _Reply."""
        exchange = self.exchange
        if exchange.problem is not None:
            raise exchange.problem
        place, rest = self.owner.http_place(path, exchange.fields)
        config = place.trigger
        assert config is not None
        self.place = place
        method = exchange.method.decode("latin-1")
        if b"origin" in exchange.fields:
            self.cors = cors_lines(exchange.fields)
            if answers_preflight(exchange, method, config, self.cors, self.request_id):
                return
        self.owner.check_trigger(config, method, exchange)
        url, headers, body = self._authorized(config, rest)
        trace = self._common(exchange.fields)
        request = translate(method, rest, url, exchange.client, headers, upgrades=exchange.upgrades)
        if self.is_async:
            self.owner.accept(self, place, body, request)
            return
        target = place.target
        if exchange.upgrades and not place.entry.is_server:  # then it is a request like any other (RFC 9110)
            exchange.upgrades, exchange.incoming = False, None
        if config.is_event and not exchange.upgrades:
            body = to_event(request, body, self.owner.settings.account_id, self.request_id)
            self.call = Invocation(self.request_id, target, Kind.EVENT, body, None, trace)
        else:
            incoming = exchange.incoming
            self.call = Invocation(self.request_id, target, Kind.HTTP, body, request, trace, 0, incoming)
        exchange.on_gone = self.left
        exchange.ticket = place.entry.route.submit(self.call, self)

    def _authorized(self, config: Config, path: bytes) -> Parts:
        """Url, headers and body as the function gets them. Raises what is wrong with the token."""
        exchange = self.exchange
        if config.authorizer is None:
            return exchange.url, exchange.headers, exchange.body
        return authorized(config.authorizer, exchange, path)

    def _answer(self, result: Result) -> None:
        exchange, place, call = self.exchange, self.place, self.call
        assert place is not None
        assert place.trigger is not None
        assert call is not None
        if self.status:
            self._end(place, call, result)
            return
        fault = result.fault if self.invalid is None else self.invalid
        if fault is not None and fault.kind is FaultKind.PLATFORM:
            self.refuse_by(fault, result, place)
            return
        answer = Response(result.status, result.headers or [], result.body)
        if fault is None and place.trigger.is_event:
            answer = from_event(bytes(result.body))
        lines = ""
        if fault is None:
            try:
                lines = _header_lines(answer, self.cors)
            except ValueError as error:
                fault = Fault(FaultKind.UNHANDLED, str(error), "InvalidResponse")
        if fault is not None:
            if fault is not result.fault:
                result = result._replace(fault=fault, body=fault.document())
            answer = Response(502, [], result.body)
            lines = f"Content-Type: application/json\r\nX-Fc-Error-Type: {fault.kind.error_type}\r\n"
        status = _CLIENT_CLOSED if exchange.gone else answer.status
        self.owner.record(place.entry.function, call, status, result, "")
        if not exchange.gone:
            self._respond(answer, lines, result.usage, place)

    def head(self, head: Result, stream: Stream) -> None:
        """See Reply."""
        try:
            self._begin_answer(head, stream)
        except Exception as error:
            stream.cancel()
            self.fail(error)

    def _begin_answer(self, head: Result, stream: Stream) -> None:
        exchange, place = self.exchange, self.place
        assert place is not None
        try:
            lines = _header_lines(Response(head.status, head.headers or [], b""), self.cors)
        except ValueError as error:
            self.invalid = Fault(FaultKind.UNHANDLED, str(error), "InvalidResponse")
            stream.cancel()
            return
        if exchange.gone:
            stream.cancel()
            return
        lines = self.owner.disposition + lines + self._platform_lines(head.usage, place, has_ended=False)
        self.stream = stream
        self.status, self.has_begun = head.status, True
        self.outgoing = open_answer(exchange, head, lines, stream)

    def piece(self, data: bytes | memoryview) -> bool:
        """See Reply."""
        return self.outgoing is None or self.outgoing.write(data)

    def _end(self, place: Place, call: Invocation, result: Result) -> None:
        """A result that came in pieces is over."""
        status = _CLIENT_CLOSED if self.exchange.gone else self.status
        self.owner.record(place.entry.function, call, status, result, "")
        if self.outgoing is not None and not self.exchange.gone:
            self.outgoing.end(is_whole=result.fault is None)
        self.stream = self.outgoing = None

    def left(self) -> None:
        """The client went away: what comes piece by piece need not come any more."""
        super().left()
        if self.stream is not None:
            self.stream.cancel()

    def _respond(self, answer: Response, lines: str, usage: Usage, place: Place) -> None:
        size, has_body = len(answer.body), answer.status not in NO_BODY and self.exchange.method != b"HEAD"
        length = f"Content-Length: {size}\r\n" if has_body else length_of_nothing(answer.status, answer.headers, size)
        head = f"HTTP/1.1 {answer.status} {PHRASES.get(answer.status, '')}\r\n{lines}{self.owner.disposition}{length}"
        self.exchange.respond(head + self._platform_lines(usage, place), answer.body if has_body else b"")


def _header_lines(answer: Response, cors: str) -> str:
    """The function's own headers, as lines. Raises ValueError for an answer that can not be sent."""
    switches = answer.status == SWITCHING
    if not 200 <= answer.status <= 599 and not switches:
        raise ValueError(f"invalid response status {answer.status}; it must be from 200 to 599")
    lines = ""
    for name, value in answer.headers:
        if not TOKEN.fullmatch(name) or not FIELD.fullmatch(value):
            text = f"invalid response header {name!r}: {value!r}"[:500]
            raise ValueError(f"{text}; it must be one line of Latin-1 text")
        lower = name.lower()
        if (lower not in NOT_SETTABLE or (switches and lower in _OF_SWITCHING)) and not lower.startswith("x-fc-"):
            lines += f"{name}: {value}\r\n"
            if lower.startswith(_CORS):
                cors = ""
    return lines + cors
