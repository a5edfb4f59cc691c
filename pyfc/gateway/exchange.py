"""One request and the place of its response, as the call paths see it; gateway/connection.py has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from pyfc.errors import PyfcError
from pyfc.gateway.bodies import Outgoing, Tunnel
from pyfc.model.bodies import Incoming
from pyfc.model.invocation import Ticket


class Head(NamedTuple):
    """The head of a request, checked and taken apart."""

    whole: int
    """Bytes of head and body."""
    method: bytes
    path: bytes
    url: bytes
    headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]
    sent: bytes


class Exchange(Protocol):
    """One request and the place of its response."""

    method: bytes
    url: bytes
    path: bytes
    """The url without its query."""
    headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]
    """The headers by lower-case name; the last of those that are there twice."""
    sent: bytes
    """The url as it was sent, if a domain's route has made another one of it; else b""."""
    problem: PyfcError | None
    """Why no function can be found for it."""
    body: bytes
    incoming: Incoming | None
    """What of a large body is still on its way; then `body` is its beginning."""
    gone: bool
    """The client has left."""
    ticket: Ticket | None
    on_gone: Callable[[], None] | None
    keep_alive: bool
    """Whether the connection outlives the response."""

    @property
    def client(self) -> str:
        """The client's address."""

    def respond(self, head: str, body: bytes | memoryview) -> None:
        """Send the response: status line and headers (Latin-1, each ending in CR LF) without Date, then the body."""

    def abort(self) -> None:
        """Cut the connection: the response has begun and can not be completed."""

    upgrades: bool
    """The client asks to go on as something else."""

    def stream(self, head: str, size: int | None, resume: Callable[[], None]) -> Outgoing:
        """Begin a response whose body comes piece by piece; `head` without its length."""

    def tunnel(self, head: str, resume: Callable[[], None]) -> Tunnel:
        """Go on as something else; `head` is whole but for its last line."""
