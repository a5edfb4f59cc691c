"""A request to a stand-in as it was sent, before its service says what it means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Scope

_MOST_PARAMETERS = 200


class Head(NamedTuple):
    """What stands before a body."""

    method: str
    host: str
    """With the port, if it was there; in lower case."""
    path: str
    """Percent-encoded."""
    query: dict[str, str]
    """See query_of."""
    headers: dict[str, str]
    """Names in lower case, values in Latin-1: a byte a character; those of one name are joined."""


def head_of(scope: Scope, errors: str) -> Head:
    """`errors`: see query_of."""
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1"), value.decode("latin-1").strip()
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    query = query_of(scope["query_string"].decode("latin-1"), errors)
    return Head(scope["method"], headers.get("host", "").lower(), scope["raw_path"].decode("latin-1"), query, headers)


def query_of(text: str, errors: str) -> dict[str, str]:
    """The parameters of a query, decoded; the first of several with one name. `errors`: as `bytes.decode` has it, for
    what is no UTF-8.
    """
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors=errors, max_num_fields=_MOST_PARAMETERS):
        found.setdefault(name, value)
    return found


async def body_of(chunks: AsyncIterator[bytes], most: int) -> bytes | None:
    """The whole body; None for one that has more bytes than `most`, of which no more is read."""
    found, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            return None
        found.append(chunk)
    return b"".join(found)
