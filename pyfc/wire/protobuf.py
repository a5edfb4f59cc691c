"""Protocol buffers, written field by field: for messages so small that their package would cost more than they do."""

from __future__ import annotations

_VARINT, _BYTES = 0, 2
_WORD = (1 << 64) - 1


def varint(value: int) -> bytes:
    """A number, which is not below 0, in groups of seven bits."""
    if value <= 0x7F:
        return bytes((value,))
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def key(field: int, kind: int) -> bytes:
    """What stands before the value of a field. `kind`: of the value (0 varint, 1 eight bytes, 2 bytes, 5 four)."""
    return varint(field << 3 | kind)


def number(field: int, value: int) -> bytes:
    """A field that is a number; one below 0 is of 64 bits."""
    return key(field, _VARINT) + varint(value & _WORD)


def part(field: int, data: bytes) -> bytes:
    """A field that is bytes, or a message."""
    return key(field, _BYTES) + varint(len(data)) + data


def text(field: int, value: str) -> bytes:
    """A field that is text; what is no text in it becomes a question mark."""
    return part(field, value.encode("utf-8", "replace"))
