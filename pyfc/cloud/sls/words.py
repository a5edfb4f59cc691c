"""Words of logs: what separates them, how one that is asked for is found in a text, and what the index has of them.

SLS separates words by characters that an index may set; Chinese has no such characters, so what has any is found
wherever it stands. The index is made of the smallest pieces that any setting may lead to (runs of letters and digits,
single Chinese characters and pairs of them); what it finds is looked at again by the words themselves.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

DELIMITERS = ", '\";=()[]{}?@&<>/:\n\t\r"
"""What separates words where no index says otherwise."""
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_HAN_RUN = re.compile(f"[{_HAN}]+")
_PIECE = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+")
_WILD = re.compile(r"[*?]")
_LONGEST = 100
"""Characters of a piece in the index; a longer one is known by its beginning."""


def pieces(text: str) -> Iterator[str]:
    """What the index has of a text, in lower case; some of them several times."""
    for found in _PIECE.findall(text.lower()):
        if _HAN_RUN.match(found):
            yield from found
            yield from map("".join, itertools.pairwise(found))
        else:
            yield found[:_LONGEST]


def wanted(text: str, *, has_wildcards: bool) -> list[str]:
    """What the index must have of a log in which `text` is found: pieces, and beginnings that end with *."""
    found: list[str] = []
    text = text.lower()
    for match in _PIECE.finditer(text):
        piece = match[0]
        if _HAN_RUN.match(piece):
            found += [piece] if len(piece) == 1 else map("".join, itertools.pairwise(piece))
        elif not (has_wildcards and text[: match.start()].endswith(("*", "?"))):
            is_open = has_wildcards and text[match.end() :].startswith(("*", "?"))
            found.append(f"{piece[:_LONGEST]}*" if is_open or len(piece) > _LONGEST else piece)
    return found


def split(text: str, delimiters: str) -> list[str]:
    """The words of what is asked for."""
    return [word for word in re.split(f"[{re.escape(delimiters)}]+", text) if word] if delimiters else [text]


def pattern(word: str, delimiters: str, *, has_wildcards: bool, is_exact: bool) -> re.Pattern[str]:
    """Finds a word in a text. `is_exact`: capital letters count."""
    flags = re.NOFLAG if is_exact else re.IGNORECASE
    inner = f"[^{re.escape(delimiters)}]" if delimiters else "."
    parts = (
        (f"{inner}*" if each == "*" else inner) if has_wildcards and _WILD.match(each) else re.escape(each)
        for each in word
    )
    text = "".join(parts)
    if not delimiters:
        return re.compile(f"^{text}$", flags | re.DOTALL)
    if _HAN_RUN.search(word):
        return re.compile(text, flags)
    return re.compile(f"(?<!{inner}){text}(?!{inner})", flags)


def phrase(text: str, *, is_exact: bool) -> re.Pattern[str]:
    """Finds a text as it stands, from a word's beginning to a word's end."""
    begin = r"(?<![^\W_])" if text[:1].isalnum() and not _HAN_RUN.match(text[:1]) else ""
    end = r"(?![^\W_])" if text[-1:].isalnum() and not _HAN_RUN.match(text[-1:]) else ""
    return re.compile(f"{begin}{re.escape(text)}{end}", re.NOFLAG if is_exact else re.IGNORECASE)
