"""Traces: what callers send of one (FC's own headers, W3C's traceparent, Jaeger's uber-trace-id), and ids of spans."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_JAEGER = re.compile(r"([0-9a-fA-F]{1,32}):([0-9a-fA-F]{1,16}):([0-9a-fA-F]{0,16}):([0-9a-fA-F]{1,2})")
_W3C = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED = 1
"""The flag of a trace that is to be exported."""


class SpanContext(NamedTuple):
    """A span that somebody else has begun."""

    trace: int
    """128 bits."""
    span: int
    """64 bits."""
    flags: int

    @property
    def is_sampled(self) -> bool:
        """Whether it is to be exported."""
        return bool(self.flags & SAMPLED)

    def as_jaeger(self, parent: int = 0) -> str:
        """As FC's own header and uber-trace-id have it: trace:span:parent:flags, in hex."""
        return f"{self.trace:x}:{self.span:x}:{parent:x}:{self.flags:x}"

    def as_w3c(self) -> str:
        """As traceparent has it."""
        return f"00-{self.trace:032x}-{self.span:016x}-{self.flags & SAMPLED:02x}"


def from_jaeger(text: str) -> SpanContext | None:
    """None for what is no span context."""
    found = _JAEGER.fullmatch(text)
    if found is None:
        return None
    trace, span = int(found[1], 16), int(found[2], 16)
    return SpanContext(trace, span, int(found[4], 16)) if trace and span else None


def from_w3c(text: str) -> SpanContext | None:
    """None for what is no traceparent, or one that means nothing."""
    found = _W3C.fullmatch(text)
    if found is None or (found[1] == "00" and found[5]):
        return None
    trace, span = int(found[2], 16), int(found[3], 16)
    return SpanContext(trace, span, int(found[4], 16)) if trace and span else None


def span_id(name: str, request_id: str, attempt: int) -> int:
    """The id of a span of one run of a call: made of what it is, so that nobody has to remember it."""
    digest = hashlib.blake2b(f"{name} {request_id} {attempt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1
