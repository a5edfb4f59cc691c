"""The head of a request: what arrives of it, what is wrong with it, and those that were parsed before.

Clients that keep a connection send the same bytes again and again; the same bytes mean the same request, so a head is
taken apart once. Only plain heads are kept: those of calls that arrived in one piece with their body, have a known
length, and keep the connection.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from pyfc.errors import InvalidArgument, PyfcError
from pyfc.gateway.exchange import Exchange
from pyfc.model.invocation import Trace
from pyfc.model.tracing import from_jaeger, from_w3c

MAXIMUM_HEAD = 64 * 1024
TOO_MUCH_HEAD = f"the head of a request has at most {MAXIMUM_HEAD} bytes"
HEAD_END = b"\r\n\r\n"
MOST_NEW = 16
"""Heads in succession that were all different: a connection that sends such (signed ones are) is looked at no more."""
_MOST = 256
_LARGEST = 4096
"""Bytes of a head that is kept."""
_ADDRESS = re.compile(rb"https?://([^/?#@]+)([/?].*|)", re.IGNORECASE | re.DOTALL)
"""Host, and path with query."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_ONCE = (b"host", b"content-length", b"transfer-encoding")
_TRACING = b"x-fc-tracing-opentracing-span-"
_BAGGAGE = (b"x-fc-tracing-opentracing-span-baggage-", b"x-fc-tracing-opentracing-span-context-baggage-")
"""The second as FC's SDK for Node.js tests it."""
_UBER_BAGGAGE = b"uberctx-"
_OTHERS = frozenset((b"traceparent", b"uber-trace-id", b"baggage"))
_MOST_ITEMS = 64
"""Of W3C's baggage, which says so."""


class Known(NamedTuple):
    """A head that was parsed before, checked and taken apart."""

    whole: int
    """Bytes of head and body."""
    method: bytes
    path: bytes
    url: bytes
    headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]
    is_http: bool
    sent: bytes
    trace: Trace | None


def remember(known: dict[bytes, Known], data: bytes, exchange: Exchange) -> None:
    """Keep the head of `exchange`, which `data` began and completed, if it is a plain one."""
    end = data.find(HEAD_END) + len(HEAD_END)
    fields = exchange.fields
    is_alone = b"transfer-encoding" not in fields and len(data) - end == int(fields.get(b"content-length", b"0"))
    if not is_alone or exchange.problem is not None or end > _LARGEST or not exchange.keep_alive or exchange.expects:
        return
    if len(known) >= _MOST:
        known.clear()
    known[data[:end]] = Known(
        len(data), exchange.method, exchange.path, exchange.url, exchange.headers, fields, exchange.is_http,
        exchange.sent, exchange.trace,
    )  # fmt: skip


class Arrival:
    """The head that is arriving on a connection."""

    def __init__(self) -> None:
        self.since = 0.0
        """Loop time of its first byte."""
        self.is_large = False
        """It may be larger than is allowed: it came in pieces, or with very much data."""
        self._size = 0
        self._is_in_line = False
        self._has_begun = False

    def begin(self, now: float) -> None:
        """A new request."""
        self.since, self._size = now, 0

    def prepared(self, data: bytes, *, is_between: bool) -> bytes:
        """What came, for the parser. `is_between`: it begins a request."""
        if is_between:
            self._is_in_line, self._has_begun = True, False
        if self._is_in_line:
            data = self._plain_line(data)
        self.is_large = self._size > 0 or len(data) > MAXIMUM_HEAD
        return data

    def _plain_line(self, data: bytes) -> bytes:
        """The first line with what is beyond ASCII percent-encoded, as it should have been: curl sends addresses as
        they were typed. Ends of lines before it are none of its own.
        """
        begin = 0 if self._has_begun else len(data) - len(data.lstrip(b"\r\n"))
        self._has_begun = self._has_begun or begin < len(data)
        end = data.find(b"\n", begin)
        self._is_in_line = end < 0
        line = data if end < 0 else data[:end]
        if line.isascii():
            return data
        return _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], line) + data[len(line) :]

    def exceeds(self, size: int) -> bool:
        """So many bytes more, and the head is not whole: whether it is too large."""
        self._size += size
        return self._size > MAXIMUM_HEAD


class Parsed(NamedTuple):
    """A head that was just parsed."""

    url: bytes
    headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]
    version: str
    upgrades: bool
    is_large: bool


def problem_of(head: Parsed) -> PyfcError | None:
    """What makes a head ambiguous or too large, if anything does."""
    message = _too_large(head) if head.is_large else ""
    if not message and len(head.fields) != len(head.headers):
        message = _twice(head)
    message = message or _wrong_line(head) or _wrong_body(head)
    return InvalidArgument(message=message) if message else None


def trace_of(fields: dict[bytes, bytes]) -> Trace | None:
    """Span context ('' for none) and baggage of a trace, if the caller sent any of it: in FC's own headers, else as
    W3C or Jaeger have it.
    """
    sent = {name: value.decode("latin-1") for name, value in fields.items() if name.startswith(_TRACING)}
    if not sent:
        return _others_trace(fields) if not _OTHERS.isdisjoint(fields) else None
    baggage = {
        name.partition(b"baggage-")[2].decode("latin-1"): value
        for name, value in sent.items()
        if name.startswith(_BAGGAGE)
    }
    return sent.get(b"x-fc-tracing-opentracing-span-context", ""), baggage


def _others_trace(fields: dict[bytes, bytes]) -> Trace | None:
    context = from_w3c(fields.get(b"traceparent", b"").decode("latin-1"))
    if context is None:
        context = from_jaeger(unquote(fields.get(b"uber-trace-id", b"").decode("latin-1")))
    baggage = _w3c_baggage(fields.get(b"baggage", b"").decode("latin-1"))
    if context is None:
        return ("", baggage) if baggage else None
    jaeger = {name: value for name, value in fields.items() if name.startswith(_UBER_BAGGAGE)}
    return context.as_jaeger(), baggage | {
        name.removeprefix(_UBER_BAGGAGE).decode("latin-1"): unquote(value.decode("latin-1"))
        for name, value in jaeger.items()
    }


def _w3c_baggage(text: str) -> dict[str, str]:
    """The items of a header like `user=me%20too;kind=x, shop=1`, without their properties. What is no item, or holds
    what no header may, is left out.
    """
    found = {}
    for each in text.split(",", _MOST_ITEMS)[:_MOST_ITEMS] if text else ():
        name, equals, value = each.partition(";")[0].partition("=")
        name, value = name.strip(" \t"), unquote(value.strip(" \t"))
        if equals and _TOKEN.fullmatch(name) and value.isprintable():
            found[name] = value
    return found


def length_of(fields: dict[bytes, bytes]) -> int:
    """Bytes of the body that a head without a problem announces; 0 if it does not."""
    return int(fields.get(b"content-length", b"0"))


def _too_large(head: Parsed) -> str:
    size = len(head.url) + sum(len(name) + len(value) for name, value in head.headers)
    return TOO_MUCH_HEAD if size >= MAXIMUM_HEAD else ""


def in_origin_form(url: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Target and headers of a request that was sent as to a proxy, with the whole address, as if it had been sent
    without one: its host is that of the address (RFC 9112, 3.2.2). Any other comes back as it is.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None:
        return url, headers
    others = [each for each in headers if each[0] != b"host"]
    hosts = [(b"host", found[1]) for each in headers if each[0] == b"host"]
    return (found[2] if found[2].startswith(b"/") else b"/" + found[2]), [*(hosts or [(b"host", found[1])]), *others]


def _twice(head: Parsed) -> str:
    names = [name for name, _ in head.headers]
    return next((f"the header {name.decode()} is there twice" for name in _ONCE if names.count(name) > 1), "")


def _wrong_line(head: Parsed) -> str:
    if b"host" not in head.fields and head.version == "1.1":
        return "the header Host is missing"
    if _HOST.fullmatch(head.fields.get(b"host", b"")) is None:
        return "the header Host must be a name or an address, and a port if need be, like localhost:8000"
    return "" if head.url.startswith(b"/") else "the request's target must be a path"


def _wrong_body(head: Parsed) -> str:
    fields = head.fields
    length, coding = fields.get(b"content-length", b"0"), fields.get(b"transfer-encoding")
    if not _LENGTH.fullmatch(length):
        return "Content-Length must be a number of at most 18 digits"
    if coding is not None and (coding.lower() != b"chunked" or head.version != "1.1" or b"content-length" in fields):
        return "Transfer-Encoding must be chunked, without Content-Length, in HTTP/1.1"
    if head.upgrades and (coding is not None or length != b"0"):
        return "a request that asks for an upgrade must not have a body"
    return ""
