"""Lists of objects: in the order of their keys' bytes, in parts, with what keys have in common up to a delimiter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyfc.cloud.oss.index import Index, key_bytes
from pyfc.cloud.oss.model import Object

_ROWS = 1000
"""Rows that are read at once."""


class Page(NamedTuple):
    """Part of a list."""

    objects: Sequence[Object]
    prefixes: Sequence[str]
    """What keys have in common up to the delimiter, each once."""
    marker: str
    """Key or prefix after which the next part begins; '' if there is none."""


class _Gathered:
    """What a part of a list holds so far."""

    def __init__(self, most: int) -> None:
        self.objects: list[Object] = []
        self.prefixes: list[str] = []
        self.last = ""
        self._most = most

    @property
    def is_full(self) -> bool:
        return len(self.objects) + len(self.prefixes) >= self._most

    def add(self, found: Object) -> None:
        self.objects.append(found)
        self.last = found.key

    def add_prefix(self, prefix: str) -> None:
        self.prefixes.append(prefix)
        self.last = prefix


async def page(index: Index, bucket: str, prefix: str, delimiter: str, after: str, most: int) -> Page:
    """At most `most` keys and prefixes after `after`."""
    start, end = key_bytes(prefix), behind(key_bytes(prefix))
    begin = max(start, _first_after(after, prefix, delimiter)) if after else start
    found, limit = _Gathered(most), min(most + 1, _ROWS)
    while True:
        rows = await index.objects(bucket, begin, end, limit)
        for row in rows:
            if key_bytes(row.key) < begin:
                continue  # under a prefix that is told already
            if found.is_full:
                return Page(found.objects, found.prefixes, found.last if most else "")
            common = _common(row.key, prefix, delimiter)
            if common:
                found.add_prefix(common)
                begin = behind(key_bytes(common))
                if not begin:
                    return Page(found.objects, found.prefixes, "")
            else:
                found.add(row)
        if len(rows) < limit:
            return Page(found.objects, found.prefixes, "")
        begin = max(begin, key_bytes(rows[-1].key) + b"\0")


def _common(key: str, prefix: str, delimiter: str) -> str:
    """What a key has in common with others up to the delimiter, '' if it stands for itself."""
    place = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: place + len(delimiter)] if place >= 0 else ""


def _first_after(after: str, prefix: str, delimiter: str) -> bytes:
    """Where a list goes on. After a prefix come the keys that do not begin with it."""
    is_prefix = bool(delimiter) and after.startswith(prefix) and after.endswith(delimiter) and len(after) > len(prefix)
    return behind(key_bytes(after)) if is_prefix else key_bytes(after) + b"\0"


def behind(prefix: bytes) -> bytes:
    """The first bytes after all that begin with `prefix`; b"" if there are none."""
    short = prefix.rstrip(b"\xff")
    return short[:-1] + bytes([short[-1] + 1]) if short else b""
