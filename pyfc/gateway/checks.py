"""What is checked of a call's headers, by FC's rules."""

from __future__ import annotations

from pyfc.auth.signature import Signed, Verifier
from pyfc.auth.tokens import Authorizer
from pyfc.errors import InvalidArgument
from pyfc.gateway.exchange import Exchange

_BAGGAGE = (b"x-fc-tracing-opentracing-span-baggage-", b"x-fc-tracing-opentracing-span-context-baggage-")
"""The second as FC's SDK for Node.js tests it."""
Parts = tuple[bytes, list[tuple[bytes, bytes]], bytes]


def wants_log(value: bytes) -> bool:
    """Whether X-Fc-Log-Type asks for the log. Raises InvalidArgument."""
    if value not in {b"Tail", b"None", b""}:
        raise InvalidArgument(
            message=f"LogType is set to an invalid value (allowed: Tail | None, actual: '{value.decode('latin-1')}')"
        )
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


def is_asynchronous(value: bytes, *, wants_log: bool = False) -> bool:
    """Whether X-Fc-Invocation-Type asks for the queue. Raises InvalidArgument, for who wants the log of that too."""
    if value not in {b"Sync", b"Async", b""}:
        raise InvalidArgument(message=f"X-Fc-Invocation-Type is '{value.decode('latin-1')}'; it must be Sync or Async")
    if wants_log and value == b"Async":
        raise InvalidArgument(message="LogType is set to an invalid value (allowed: None, actual: 'Tail')")
    return value == b"Async"


def trace_of(fields: dict[bytes, bytes]) -> tuple[str, dict[str, str]]:
    """Span context and baggage that the caller sent."""
    baggage = {
        name.partition(b"baggage-")[2].decode("latin-1"): value.decode("latin-1")
        for name, value in fields.items()
        if name.startswith(_BAGGAGE)
    }
    return fields[b"x-fc-tracing-opentracing-span-context"].decode("latin-1"), baggage
