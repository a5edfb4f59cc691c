"""How many columns of a terminal text takes: characters of East Asian scripts take two, combining marks none."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_MORE = "…"
_WIDE = {"W", "F"}


def width_of(text: str) -> int:
    """Columns that text of one line takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def cut(text: str, width: int) -> str:
    """Text of at most `width` columns; what had more ends with `…`."""
    if width_of(text) <= width:
        return text
    return _fitting(text, width - 1) + _MORE if width > 0 else ""


def _fitting(text: str, width: int) -> str:
    """As much of its beginning as has room."""
    taken = 0
    for place, character in enumerate(text):
        taken += _width(character)
        if taken > width:
            return text[:place]
    return text


def left(text: str, width: int) -> str:
    """Flush left in so many columns, and cut to them."""
    text = cut(text, width)
    return text + " " * (width - width_of(text))


def right(text: str, width: int) -> str:
    """Flush right in so many columns, and cut to them."""
    text = cut(text, width)
    return " " * (width - width_of(text)) + text


def wrapped(text: str, width: int, indent: str = "  ") -> Iterator[str]:
    """Lines of at most `width` columns: broken between words, or in a word that is longer; all but the first begin with
    `indent`.
    """
    line = begin = " " * (len(text) - len(text.lstrip(" ")))
    for word in text.lstrip(" ").split(" "):
        rest = word
        if line != begin and width_of(line) + 1 + width_of(word) > width:
            yield line
            line = begin = indent
        elif line != begin:
            rest = f" {word}"
        while width_of(line) + width_of(rest) > width > len(indent) + 2:
            head = _fitting(rest, width - width_of(line))
            yield line + head
            line, begin, rest = indent, indent, rest[len(head) :]
        line += rest
    yield line
