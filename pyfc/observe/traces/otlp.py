"""Spans as OTLP has them: an ExportTraceServiceRequest in protobuf, written by hand, as its package would cost the
process that exports more memory than all else that it does.

    request: 1 ResourceSpans { 1 Resource { 1 attribute }, 2 ScopeSpans { 1 Scope { 1 name, 2 version }, 2 Span } }
    Span: 1 trace id, 2 id, 4 parent, 5 name, 6 kind, 7 start, 8 end (fixed64), 9 attribute,
          15 Status { 2 text, 3 code }, 16 flags (fixed32)
    attribute: 1 key, 2 value { 1 text, 2 truth, 3 number, 4 double }
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from pyfc.model.tracing import SAMPLED
from pyfc.observe.traces.spans import Span
from pyfc.version import VERSION
from pyfc.wire.protobuf import key, number, part, text

_ERROR = 2
_REMOTE_KNOWN = 0x100
_REMOTE = 0x200
"""Flags of a span: whether its parent is of another process."""


def request_of(groups: Iterable[tuple[Mapping[str, Any], Iterable[Span]]]) -> bytes:
    """Resources, each with its spans."""
    scope = text(1, "pyfc") + text(2, VERSION)
    return b"".join(
        part(
            1,
            part(1, _attributes(1, resource))
            + part(2, part(1, scope) + b"".join(part(2, _span(each)) for each in spans)),
        )
        for resource, spans in groups
    )


def rejected(answer: bytes) -> int:
    """How many spans the answer says were refused: partial success (1), rejected spans (1)."""
    try:
        field, place = _read(answer, 0)
        _, place = _read(answer, place)
        inner, place = _read(answer, place)
        return _read(answer, place)[0] if (field, inner) == (1 << 3 | 2, 1 << 3) else 0
    except IndexError:
        return 0


def _read(data: bytes, place: int) -> tuple[int, int]:
    """A varint, and the place after it. Raises IndexError."""
    value, shift = 0, 0
    while data[place] > 0x7F:
        value |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | data[place] << shift, place + 1


def _span(span: Span) -> bytes:
    remote = _REMOTE if span.parent and span.kind != 1 else 0
    return b"".join(
        (
            part(1, span.trace.to_bytes(16, "big")),
            part(2, span.id.to_bytes(8, "big")),
            part(4, span.parent.to_bytes(8, "big")) if span.parent else b"",
            text(5, span.name),
            number(6, span.kind),
            key(7, 1) + struct.pack("<Q", span.start),
            key(8, 1) + struct.pack("<Q", span.end),
            _attributes(9, span.attributes),
            part(15, text(2, span.error) + number(3, _ERROR)) if span.error else b"",
            key(16, 5) + struct.pack("<I", SAMPLED | _REMOTE_KNOWN | remote),
        )
    )


def _attributes(field: int, values: Mapping[str, Any]) -> bytes:
    return b"".join(part(field, text(1, name) + part(2, _value(value))) for name, value in values.items())


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return number(2, value)
    if isinstance(value, int):
        return number(3, value)
    if isinstance(value, float):
        return key(4, 1) + struct.pack("<d", value)
    return text(1, str(value))
