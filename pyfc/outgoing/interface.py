"""What speaks HTTP for the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Answered(NamedTuple):
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Transport(Protocol):
    """Speaks HTTP (outgoing/transport.py)."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, reads: bool) -> Answered:
        """See Outgoing.post; there is no limit of time."""

    async def close(self) -> None:
        """Give up what is under way."""
