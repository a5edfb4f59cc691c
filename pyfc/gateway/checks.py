"""What is checked of a call's headers, by FC's rules, and the answer to a request that is none."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pyfc.auth.signature import Signed, Verifier
from pyfc.errors import EntityTooLarge, InvalidArgument, PyfcError
from pyfc.model.names import request_id

if TYPE_CHECKING:
    from pyfc.auth.tokens import Authorizer
    from pyfc.gateway.connection import Protocol as Request
    from pyfc.gateway.exchange import Exchange

Parts = tuple[bytes, list[tuple[bytes, bytes]], bytes]
MAXIMUM_HEAD = 64 * 1024
TOO_MUCH_HEAD = f"the head of a request has at most {MAXIMUM_HEAD} bytes"
_SHELL_END = b"/exec"
_LENGTH = re.compile(rb"[0-9]{1,18}")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_ONCE = (b"host", b"content-length", b"transfer-encoding")


def wants_log(value: bytes) -> bool:
    """Whether X-Fc-Log-Type asks for the log. Raises InvalidArgument."""
    if value not in {b"Tail", b"None", b""}:
        raise InvalidArgument(message=f"X-Fc-Log-Type is '{value.decode('latin-1')}'; it must be Tail or None")
    return value == b"Tail"


def check_signature(verifier: Verifier, exchange: Exchange, *, is_trigger: bool = False) -> None:
    """Raises what is wrong with the signature of a call."""
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.fields.items()}
    method, url = exchange.method.decode("latin-1"), (exchange.sent or exchange.url).decode("latin-1")
    body = exchange.body if exchange.incoming is None else None
    verifier.verify(Signed(method, url, fields, is_trigger, body))


def authorized(authorizer: Authorizer, exchange: Exchange, path: bytes) -> Parts:
    """Url, headers and body of a request with what its token claims. Raises AccessDenied, InvalidArgument."""
    whole = None if exchange.incoming is not None else exchange.body
    url, headers, body = authorizer.authorized(path, exchange.url, exchange.headers, whole)
    return url, headers, exchange.body if body is None else body


def is_asynchronous(value: bytes) -> bool:
    """Whether X-Fc-Invocation-Type asks for the queue. Raises InvalidArgument."""
    if value not in {b"Sync", b"Async", b""}:
        raise InvalidArgument(message=f"X-Fc-Invocation-Type is '{value.decode('latin-1')}'; it must be Sync or Async")
    return value == b"Async"


def is_shell(request: Request, turn: Any) -> bool:
    """Whether a request is a WebSocket that the application takes. `turn`: what was answered before it, if it was."""
    is_free = turn is None or turn.response_complete
    path = request.url.partition(b"?")[0]
    return is_free and path.endswith(_SHELL_END) and request.parser.should_upgrade() and request._should_upgrade()


def trace_of(fields: dict[bytes, bytes]) -> tuple[str, dict[str, str]]:
    """Span context and baggage that the caller sent."""
    prefix = b"x-fc-tracing-opentracing-span-baggage-"
    baggage = {
        name[len(prefix) :].decode("latin-1"): value.decode("latin-1")
        for name, value in fields.items()
        if name.startswith(prefix)
    }
    return fields[b"x-fc-tracing-opentracing-span-context"].decode("latin-1"), baggage


def refusal(error: PyfcError, date: str, number: str = "") -> bytes:
    """The response to a request that is not taken at all; the last one of its connection. `number`: its id."""
    body = error.document()
    number = number or request_id()
    if error.retry_after is not None:
        date = f"{date}Retry-After: {error.retry_after}\r\n"
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Fc-Request-Id: {number}\r\nX-Fc-Error-Type: FcCommonError\r\n"
        f"{date}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body


def plain_line(data: bytes) -> tuple[bytes, bool]:
    """The beginning of a request with what is beyond ASCII in its first line percent-encoded, as it should have been
    (curl sends addresses as they were typed); and whether the line is not whole yet.
    """
    end = data.find(b"\n", len(data) - len(data.lstrip(b"\r\n")))
    line = data if end < 0 else data[:end]
    if line.isascii():
        return data, end < 0
    return _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], line) + data[len(line) :], end < 0


def problem_of(request: Request, fields: dict[bytes, bytes], *, is_large: bool) -> PyfcError | None:
    """What makes the head ambiguous or too large, if anything does."""
    if is_large and len(request.url) + sum(len(name) + len(value) for name, value in request.headers) >= MAXIMUM_HEAD:
        return InvalidArgument(message=TOO_MUCH_HEAD)
    version = request.parser.get_http_version()
    if len(fields) != len(request.headers):
        names = [name for name, _ in request.headers]
        for name in _ONCE:
            if names.count(name) > 1:
                return InvalidArgument(message=f"the header {name.decode()} is there twice")
    if b"host" not in fields and version == "1.1":
        return InvalidArgument(message="the header Host is missing")
    if not request.url.startswith(b"/"):
        return InvalidArgument(message="the request's target must be a path")
    return _problem_of_body(request, fields, version)


def _problem_of_body(request: Request, fields: dict[bytes, bytes], version: str) -> PyfcError | None:
    length, coding = fields.get(b"content-length", b"0"), fields.get(b"transfer-encoding")
    if not _LENGTH.fullmatch(length):
        return InvalidArgument(message="Content-Length must be a number of at most 18 digits")
    if coding is not None and (coding.lower() != b"chunked" or version != "1.1" or b"content-length" in fields):
        return InvalidArgument(message="Transfer-Encoding must be chunked, without Content-Length, in HTTP/1.1")
    if request.parser.should_upgrade() and (coding is not None or length != b"0"):
        return InvalidArgument(message="a request that asks for an upgrade must not have a body")
    if int(length) > request.shared.settings.maximum_body:
        return EntityTooLarge(limit=request.shared.settings.maximum_body)
    return None
