"""Events of Tablestore: JSON values as CBOR (RFC 8949)."""

from __future__ import annotations

import struct
from typing import Any

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)
_SIMPLE = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}
_WIDTHS = ((24, ">B", 1 << 8), (25, ">H", 1 << 16), (26, ">I", 1 << 32), (27, ">Q", 1 << 64))


def encode(value: Any) -> bytes:
    """A value of JSON. Raises ValueError for a whole number of more than 64 bits."""
    if value is None or isinstance(value, bool):
        return _SIMPLE[value]
    if isinstance(value, int):
        return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode("utf-8", "replace")
        return _head(_TEXT, len(text)) + text
    if isinstance(value, list):
        return _head(_ARRAY, len(value)) + b"".join(encode(each) for each in value)
    pairs = (encode(name) + encode(each) for name, each in value.items())
    return _head(_MAP, len(value)) + b"".join(pairs)


def _head(kind: int, number: int) -> bytes:
    first = kind << 5
    if number < 24:
        return bytes([first | number])
    for low, form, above in _WIDTHS:
        if number < above:
            return bytes([first | low]) + struct.pack(form, number)
    raise ValueError(f"{number} has more than 64 bits")
