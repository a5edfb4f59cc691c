"""InvokeFunction and HTTP triggers: a request becomes an Invocation, its Result becomes the bytes of the response.

1. The path is looked up as it was sent in one dict; only a path seen for the first time is taken apart.
2. Function errors of an event function are HTTP 200 with X-Fc-Error-Type; an HTTP trigger answers 502 instead, and
   all its errors carry that header (FC's InvokeFunction and HTTP trigger pages).
3. Nothing here waits: a response is written when the Reply is called.
"""

from __future__ import annotations

import base64
import contextlib
import time
from dataclasses import dataclass
from urllib.parse import unquote

from pyfc.auth.digest import BodyDigest
from pyfc.calls.paths import PREFIX_PARTS, Place, event_place, http_place, is_newer
from pyfc.calls.table import Table
from pyfc.errors import AccessDenied, FunctionNotStarted, PathNotSupported, ProgramFailed, PyfcError
from pyfc.gateway.bodies import NO_BODY, PHRASES, SWITCHING, Outgoing, Tunnel, length_of_nothing, open_answer
from pyfc.gateway.checks import (
    Callers,
    Parts,
    authorized,
    check_signature,
    is_asynchronous,
    is_of_function,
    wants_log,
)
from pyfc.gateway.exchange import Exchange
from pyfc.gateway.failures import failed
from pyfc.gateway.guard import Guard, host_name
from pyfc.gateway.promises import Accept
from pyfc.model.bodies import Stream
from pyfc.model.function import Function
from pyfc.model.invocation import Fault, FaultKind, HttpRequest, Invocation, Kind, Result, Ticket, Usage, WholeReply
from pyfc.model.names import request_ids
from pyfc.observe.journal import CallRecord, Journal
from pyfc.observe.markers import TAIL, transcript
from pyfc.observe.traces.sampling import Sampling
from pyfc.settings import Settings
from pyfc.triggers.cors import Cors
from pyfc.triggers.http import FIELD, NOT_SETTABLE, TOKEN, Config, Response, from_event, of_program, to_event, translate

_CLIENT_CLOSED = 499
_CORS = "access-control-allow-"
_KNOWN = 10_000
_NOT_SETTABLE_SWITCHING = NOT_SETTABLE - {"connection", "upgrade"}
_wall = time.time


class _Places:
    """What paths lead to, as far as it is known."""

    def __init__(self) -> None:
        self._table = Table({}, {}, {}, {})
        self._events: dict[bytes, Place] = {}
        self._triggers: dict[bytes, Place] = {}

    def use(self, table: Table) -> None:
        """Serve what `table` holds from now on."""
        self._table = table
        self._events = {}
        self._triggers = {}

    def of_event(self, path: bytes, fields: dict[bytes, bytes]) -> Place:
        """What an InvokeFunction path leads to. Raises the NotFound that fits."""
        place = self._events.get(path)
        if place is None:
            place = event_place(self._table, path, fields)
            if b"%" not in path and place.is_fixed and len(self._events) < _KNOWN:
                self._events[path] = place
        return place

    def of_trigger(self, path: bytes, fields: dict[bytes, bytes]) -> tuple[Place, bytes]:
        """What an HTTP trigger's path leads to, and the rest of the path. Raises the NotFound that fits."""
        prefix = b"/".join(path.split(b"/", PREFIX_PARTS)[:PREFIX_PARTS])
        place = self._triggers.get(prefix)
        if place is None:
            place = http_place(self._table, path, fields)
            if b"%" not in prefix and place.is_fixed:
                self._triggers[prefix] = place
        return place, path[len(prefix) :]

    def cors_of(self, fields: dict[bytes, bytes]) -> Cors:
        """What other sites may do with the domain of a request."""
        domain = self._table.domains.get(host_name(fields.get(b"host", b"").decode("latin-1")))
        return Cors.read(domain.extras.get("corsConfig", {}) if domain is not None else {})


class _Senders:
    """Who may call."""

    def __init__(self, guard: Guard, callers: Callers, *, is_open: bool, is_local: bool) -> None:
        """`is_open`: nobody has to sign. `is_local`: who signs as a function must be it, and may call what that may;
        others have to sign for HTTP triggers that are not anonymous.
        """
        self._guard = guard
        self._callers = callers
        self._signs = not is_open and not is_local
        self._is_open = is_open
        self._hosts: set[bytes | None] = set()

    def check(self, exchange: Exchange) -> None:
        """Raises AccessDenied for another site's page or an unknown Host; remembers the hosts that are known."""
        fields = exchange.fields
        host = fields.get(b"host")
        if host not in self._hosts or b"origin" in fields or b"sec-fetch-site" in fields:
            self._guard.check(fields)
            if len(self._hosts) < _KNOWN:
                self._hosts.add(host)
        if self._signs or (b"authorization" in fields and self._is_of_function(exchange)):
            check_signature(self._callers, exchange)

    def _is_of_function(self, exchange: Exchange) -> bool:
        return not self._is_open and is_of_function(self._callers.keys, exchange.fields[b"authorization"])

    def check_trigger(self, config: Config, method: str, exchange: Exchange) -> None:
        """Raises AccessDenied for what the trigger does not allow."""
        if method not in config.methods:
            allowed = ", ".join(sorted(config.methods))
            raise AccessDenied(message=f"method {method} is not among the trigger's methods: {allowed}")
        if not config.anonymous and not self._is_open:
            check_signature(self._callers, exchange, is_trigger=True)


@dataclass(frozen=True, slots=True)
class _Context:
    """What answers are made with."""

    places: _Places
    senders: _Senders
    journal: Journal
    accept: Accept
    """Takes asynchronous calls."""
    account_id: str
    sampling: Sampling | None
    """Which calls belong to traces; None: no spans are exported."""
    disposition: str
    """A line of the head of every HTTP trigger's answer."""

    def record(self, function: Function, call: Invocation, status: int, result: Result | None, error: str) -> None:
        """Leave a record of a finished call."""
        journal = self.journal
        if not journal.inbox:
            journal.wake()
        journal.inbox.append(CallRecord(_wall(), function, call, status, result, error))


class Invocations:
    """The call paths of one server."""

    def __init__(
        self,
        settings: Settings,
        guard: Guard,
        journal: Journal,
        callers: Callers,
        accept: Accept,
        sampling: Sampling | None = None,
        *,
        is_local: bool,
    ) -> None:
        disposition = "Content-Disposition: attachment\r\n" if settings.content_disposition else ""
        senders = _Senders(guard, callers, is_open=settings.auth == "off", is_local=is_local)
        self._places = _Places()
        self._context = _Context(self._places, senders, journal, accept, settings.account_id, sampling, disposition)
        self._numbers: list[str] = []

    def use(self, table: Table) -> None:
        """Serve what `table` holds from now on."""
        self._places.use(table)

    def handle(self, exchange: Exchange) -> EventReply | HttpReply:
        """Answer a request, now or later."""
        if not self._numbers:
            self._numbers = request_ids()
        reply: EventReply | HttpReply = (HttpReply if exchange.is_http else EventReply)(
            self._context, exchange, self._numbers.pop()
        )
        try:
            reply.begin()
        except PyfcError as error:
            reply.refuse(error)
        except Exception as error:
            reply.fail(error)
        return reply

    def takes_pieces(self, exchange: Exchange) -> bool:
        """Whether the function that a request is for takes its body while it arrives."""
        try:
            config = self._places.of_trigger(exchange.path, exchange.fields)[0].trigger
        except PyfcError:
            return False  # the whole request will be told
        return config is not None and not config.is_event


class _Reply(WholeReply):
    """What both kinds of answer share."""

    error_header = ""
    has_begun = False
    """Whether a part of the response has been written."""
    gone = False
    """Nobody waits for the response any more."""
    place: Place | None = None
    call: Invocation | None = None
    ticket: Ticket | None = None

    def __init__(self, context: _Context, exchange: Exchange, number: str) -> None:
        self.context = context
        self.exchange = exchange
        self.request_id = number

    @property
    def streams(self) -> bool:
        """See Reply."""
        return False

    def refuse(self, error: PyfcError) -> None:
        """See Reply."""
        place = self.place
        if place is not None:
            status = _CLIENT_CLOSED if self.gone else error.status
            self.context.record(place.entry.function, self._call(place), status, None, error.code)
        self._say(error)

    def _say(self, error: PyfcError, *, is_last: bool = False) -> None:
        """Answer with an error."""
        exchange = self.exchange
        if self.gone:
            return
        body = error.newer_document(self.request_id) if is_newer(exchange.path) else error.document()
        extra = self.error_header
        if error.retry_after is not None:
            extra += f"Retry-After: {error.retry_after}\r\n"
        exchange.outlet.respond(
            exchange,
            f"HTTP/1.1 {error.status} {PHRASES.get(error.status, '')}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Fc-Request-Id: {self.request_id}\r\n{extra}",
            b"" if exchange.method == b"HEAD" else body,
            is_last=is_last,
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
        exchange, place = self.exchange, self.place
        wrong = failed(self.request_id, f"{exchange.method.decode('latin-1')} {exchange.path.decode('latin-1')}", error)
        try:
            if self.has_begun:
                exchange.outlet.abort()
            elif not self.gone:
                if place is not None:
                    self.context.record(place.entry.function, self._call(place), wrong.status, None, wrong.code)
                self._say(wrong, is_last=True)
        except Exception as another:
            failed(self.request_id, "its refusal", another)
            exchange.outlet.abort()
        self.gone = True

    def _not_promised(self, error: BaseException) -> None:
        """An asynchronous call could not be accepted: there is no call to be recorded."""
        self.place = None
        if isinstance(error, PyfcError):
            self._say(error)
        else:
            self.fail(error)

    def _refuse_by(self, fault: Fault, result: Result, place: Place) -> None:
        """The function's program did what FC has an error code for."""
        kind = FunctionNotStarted if fault.type == FunctionNotStarted.code else ProgramFailed
        self.context.record(place.entry.function, self._call(place), kind.status, result, "")
        self._say(kind(message=fault.message))

    def _check_body(self) -> None:
        fields = self.exchange.fields
        if b"content-md5" in fields and self.exchange.incoming is None:
            BodyDigest(fields[b"content-md5"]).add(self.exchange.body).check()

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
        self.gone = True
        if self.exchange.incoming is not None:
            self.exchange.incoming.break_off()
        place, ticket = self.place, self.ticket
        if place is not None and ticket is not None and ticket.cancel():
            self.context.record(place.entry.function, self._call(place), _CLIENT_CLOSED, None, "ClientClosedRequest")


class EventReply(_Reply):
    """Writes the answer of InvokeFunction."""

    wants_log = False

    def begin(self) -> None:
        """Call the function. Raises why it cannot be called."""
        exchange, context = self.exchange, self.context
        context.senders.check(exchange)
        if exchange.method != b"POST":
            raise PathNotSupported(method=exchange.method.decode(), path=unquote(exchange.path.decode("latin-1")))
        fields = exchange.fields
        place = self.place = context.places.of_event(exchange.path, fields)
        self.wants_log = b"x-fc-log-type" in fields and wants_log(fields[b"x-fc-log-type"])
        kind = fields.get(b"x-fc-invocation-type")
        is_async = kind is not None and is_asynchronous(kind, wants_log=self.wants_log)
        self._check_body()
        if is_async:
            context.accept(exchange, self.request_id, place, exchange.body, None, self._not_promised)
            return
        call = Invocation(self.request_id, place.target, Kind.EVENT, exchange.body, None, exchange.trace)
        self.call = call if context.sampling is None else context.sampling.continued(call)
        self.ticket = place.entry.route.submit(self.call, self)

    def _answer(self, result: Result) -> None:
        exchange, place, call = self.exchange, self.place, self.call
        assert place is not None
        assert call is not None
        if result.fault is not None and result.fault.kind is FaultKind.PLATFORM:
            self._refuse_by(result.fault, result, place)
            return
        function = place.entry.function
        self.context.record(function, call, _CLIENT_CLOSED if self.gone else 200, result, "")
        if self.gone:
            return
        extra, content = "", "octet-stream"
        if result.fault is not None:
            extra, content = f"X-Fc-Error-Type: {result.fault.kind.error_type}\r\n", "json"
        if self.wants_log:
            log = transcript(self.request_id, function, result)[-TAIL:]
            extra += f"X-Fc-Log-Result: {base64.b64encode(log).decode()}\r\n"
        exchange.outlet.respond(
            exchange,
            f"HTTP/1.1 200 OK\r\nContent-Type: application/{content}\r\n"
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

    def begin(self) -> None:
        """Call the function. Raises why it cannot be called."""
        exchange, fields = self.exchange, self.exchange.fields
        if exchange.problem is not None:
            raise exchange.problem
        place, rest = self.context.places.of_trigger(exchange.path, fields)
        config = place.trigger
        assert config is not None
        self.place = place
        method = exchange.method.decode("latin-1")
        if b"origin" in fields:
            cors = config.cors if config.cors.is_configured else self.context.places.cors_of(fields)
            self.cors = cors.lines(fields)
            if (head := cors.preflight(fields, method, config.methods, self.cors)) is not None:
                exchange.outlet.respond(exchange, f"{head}X-Fc-Request-Id: {self.request_id}\r\n", b"")
                return
        self.context.senders.check_trigger(config, method, exchange)
        url, headers, body = self._authorized(config, rest)
        request = translate(method, rest, url, exchange.outlet.address, headers, upgrades=exchange.upgrades)
        if place.entry.is_server and not exchange.sent:
            prefix = exchange.path[: len(exchange.path) - len(rest)]
            request = of_program(request, prefix, is_newer=config.is_newer)
        is_async = b"x-fc-invocation-type" in fields and is_asynchronous(fields[b"x-fc-invocation-type"])
        self._check_body()
        if is_async:
            self.context.accept(exchange, self.request_id, place, body, request, self._not_promised)
        else:
            self._submit(place, config, request, body)

    def _authorized(self, config: Config, path: bytes) -> Parts:
        """Url, headers and body as the function gets them. Raises what is wrong with the token."""
        exchange = self.exchange
        if config.authorizer is None:
            return exchange.url, exchange.headers, exchange.body
        return authorized(config.authorizer, exchange, path)

    def _submit(self, place: Place, config: Config, request: HttpRequest, body: bytes) -> None:
        exchange, number = self.exchange, self.request_id
        if exchange.upgrades and not place.entry.is_server:
            exchange.decline_upgrade()
        if config.is_event and not exchange.upgrades:
            body = to_event(request, body, self.context.account_id, number)
            self.call = Invocation(number, place.target, Kind.EVENT, body, None, exchange.trace)
        else:
            incoming = exchange.incoming
            self.call = Invocation(number, place.target, Kind.HTTP, body, request, exchange.trace, 0, incoming)
        if self.context.sampling is not None:
            self.call = self.context.sampling.continued(self.call)
        self.ticket = place.entry.route.submit(self.call, self)

    def _answer(self, result: Result) -> None:
        place, call = self.place, self.call
        assert place is not None
        assert call is not None
        if self.status:
            self._end(place, call, result)
            return
        fault = result.fault if self.invalid is None else self.invalid
        if fault is not None and fault.kind is FaultKind.PLATFORM:
            self._refuse_by(fault, result, place)
            return
        answer, lines, result = self._answer_of(result, fault, place)
        self.context.record(place.entry.function, call, _CLIENT_CLOSED if self.gone else answer.status, result, "")
        if not self.gone:
            self._respond(answer, lines, result.usage, place)

    def _answer_of(self, result: Result, fault: Fault | None, place: Place) -> tuple[Response, str, Result]:
        """What the client is answered, with the function's own headers as lines; and the result, which has a fault if
        the answer cannot be sent.
        """
        if fault is None:
            assert place.trigger is not None
            is_event = place.trigger.is_event
            answer = (
                from_event(bytes(result.body))
                if is_event
                else Response(result.status, result.headers or [], result.body)
            )
            try:
                return answer, _header_lines(answer, self.cors), result
            except ValueError as error:
                fault = Fault(FaultKind.UNHANDLED, str(error), "InvalidResponse")
        if fault is not result.fault:
            result = result._replace(fault=fault, body=fault.document())
        lines = f"Content-Type: application/json\r\nX-Fc-Error-Type: {fault.kind.error_type}\r\n"
        return Response(502, [], result.body), lines, result

    def head(self, head: Result, stream: Stream) -> None:
        """See Reply."""
        try:
            self._begin_answer(head, stream)
        except Exception as error:
            stream.cancel()
            self.fail(error)

    def _begin_answer(self, head: Result, stream: Stream) -> None:
        place = self.place
        assert place is not None
        try:
            lines = _header_lines(Response(head.status, head.headers or [], b""), self.cors)
        except ValueError as error:
            self.invalid = Fault(FaultKind.UNHANDLED, str(error), "InvalidResponse")
            stream.cancel()
            return
        if self.gone:
            stream.cancel()
            return
        lines = self.context.disposition + lines + self._platform_lines(head.usage, place, has_ended=False)
        self.stream = stream
        self.status, self.has_begun = head.status, True
        self.outgoing = open_answer(self.exchange, head, lines, stream)

    def piece(self, data: bytes | memoryview) -> bool:
        """See Reply."""
        return self.outgoing is None or self.outgoing.write(data)

    def _end(self, place: Place, call: Invocation, result: Result) -> None:
        """A result that came in pieces is over."""
        self.context.record(place.entry.function, call, _CLIENT_CLOSED if self.gone else self.status, result, "")
        if self.outgoing is not None and not self.gone:
            self.outgoing.end(is_whole=result.fault is None)
        self.stream = self.outgoing = None

    def left(self) -> None:
        """The client went away: what comes piece by piece need not come any more."""
        super().left()
        if self.stream is not None:
            self.stream.cancel()

    def _respond(self, answer: Response, lines: str, usage: Usage, place: Place) -> None:
        exchange = self.exchange
        size, has_body = len(answer.body), answer.status not in NO_BODY and exchange.method != b"HEAD"
        length = f"Content-Length: {size}\r\n" if has_body else length_of_nothing(answer.status, answer.headers, size)
        head = f"HTTP/1.1 {answer.status} {PHRASES.get(answer.status, '')}\r\n{lines}{self.context.disposition}{length}"
        exchange.outlet.respond(exchange, head + self._platform_lines(usage, place), answer.body if has_body else b"")


def _in_utf8(name: str, value: str) -> str:
    """A value beyond Latin-1 as FC sends it: its bytes of UTF-8. Raises ValueError for what cannot be sent."""
    if max(value, default="") > "\xff" and TOKEN.fullmatch(name):
        with contextlib.suppress(UnicodeEncodeError):  # half a character
            sent = value.encode().decode("latin-1")
            if FIELD.fullmatch(sent):
                return sent
    text = f"invalid response header {name!r}: {value!r}"[:500]
    raise ValueError(f"{text}; its name must be a token, its value one line of text")


def _header_lines(answer: Response, cors: str) -> str:
    """The function's own headers, as lines. Raises ValueError for an answer that cannot be sent."""
    switches = answer.status == SWITCHING
    if not 200 <= answer.status <= 599 and not switches:
        raise ValueError(f"invalid response status {answer.status}; it must be from 200 to 599")
    lines, hidden = "", _NOT_SETTABLE_SWITCHING if switches else NOT_SETTABLE
    for name, value in answer.headers:
        if not TOKEN.fullmatch(name) or not FIELD.fullmatch(value):
            value = _in_utf8(name, value)
        lower = name.lower()
        if lower not in hidden and not lower.startswith("x-fc-"):
            lines += f"{name}: {value}\r\n"
            if lower.startswith(_CORS):
                cors = ""
    return lines + cors
