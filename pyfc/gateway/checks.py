"""What is checked of a call's headers, by FC's rules, and the answer to a request that is none."""

from __future__ import annotations

from http import HTTPStatus

from pyfc.errors import InvalidArgument, NotSupportedYet, PyfcError
from pyfc.model.names import request_id


def wants_log(value: bytes) -> bool:
    """Whether X-Fc-Log-Type asks for the log. Raises InvalidArgument."""
    if value not in {b"Tail", b"None", b""}:
        raise InvalidArgument(message=f"X-Fc-Log-Type is '{value.decode('latin-1')}'; it must be Tail or None")
    return value == b"Tail"


def check_invocation_type(value: bytes) -> None:
    """Raises for an X-Fc-Invocation-Type that can not be served."""
    if value == b"Async":
        raise NotSupportedYet(what="an asynchronous call", advice="send X-Fc-Invocation-Type: Sync")
    if value not in {b"Sync", b""}:
        raise InvalidArgument(message=f"X-Fc-Invocation-Type is '{value.decode('latin-1')}'; it must be Sync or Async")


def trace_of(fields: dict[bytes, bytes]) -> tuple[str, dict[str, str]]:
    """Span context and baggage that the caller sent."""
    prefix = b"x-fc-tracing-opentracing-span-baggage-"
    baggage = {
        name[len(prefix) :].decode("latin-1"): value.decode("latin-1")
        for name, value in fields.items()
        if name.startswith(prefix)
    }
    return fields[b"x-fc-tracing-opentracing-span-context"].decode("latin-1"), baggage


def refusal(error: PyfcError, date: str) -> bytes:
    """The response to a request that is not taken at all; the last one of its connection."""
    body = error.document()
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Fc-Request-Id: {request_id()}\r\nX-Fc-Error-Type: FcCommonError\r\n"
        f"{date}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
