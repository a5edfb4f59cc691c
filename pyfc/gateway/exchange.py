"""One request, and the place of its answer: what connections hand to the call paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import msgspec

from pyfc.auth.digest import BodyDigest
from pyfc.errors import PyfcError
from pyfc.model.bodies import ENDLESS, Incoming
from pyfc.model.invocation import Trace


class Receiver(Protocol):
    """Takes what a client sends after its connection was upgraded."""

    def received(self, data: bytes) -> bool:
        """The next bytes. False: no more for now."""


class Outlet(Protocol):
    """A connection, as those see it who answer. What is said for an Exchange that is answered, or whose client has
    left, goes nowhere.
    """

    @property
    def address(self) -> str:
        """The client's."""

    def respond(self, exchange: Exchange, head: str, body: bytes | memoryview, *, is_last: bool = False) -> None:
        """Send the response: status line and headers (Latin-1, each ending in CR LF) without Date, then the body.
        `is_last`: the connection ends with it.
        """

    def begin(self, exchange: Exchange, head: str, *, is_last: bool) -> None:
        """Send the head of a response whose body comes piece by piece, by `send`; `finish` ends it."""

    def send(self, pieces: Sequence[bytes | memoryview], resume: Callable[[], None]) -> bool:
        """Send what belongs to a response. False: no more until `resume` was called."""

    def finish(self, exchange: Exchange, rest: bytes | None, *, is_last: bool) -> None:
        """`rest` ends a response that was begun; None: it never will be complete, so the connection is cut."""

    def switch(self, head: str, receiver: Receiver) -> None:
        """Go on as something else; `head` is whole but for its last line. It ends by `end`."""

    def end(self) -> None:
        """Close the connection when what was written is sent."""

    def abort(self) -> None:
        """Cut the connection, whatever is under way; who answers is told as if the client had left."""


class _Nobody:
    """Stands for the event that uvicorn sets for its own cycles: nobody waits for it here."""

    def set(self) -> None:
        """Nothing to wake."""


class Exchange(msgspec.Struct, eq=False):
    """One request on a path of calls; also a cycle in uvicorn's pipeline, where it stays until it is answered."""

    outlet: Outlet
    method: bytes
    url: bytes
    path: bytes
    """The url without its query (of FC 3's InvokeFunction with it); of a domain's request that of the HTTP trigger."""
    headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]
    """The headers by lower-case name; the last of those that are there twice."""
    is_http: bool
    """For an HTTP trigger, not InvokeFunction."""
    keep_alive: bool
    """Whether the connection outlives the response."""
    sent: bytes = b""
    """The url as it was sent, if a domain's route has made another one of it."""
    trace: Trace | None = None
    """What of an OpenTracing trace came with it: span context, baggage."""
    problem: PyfcError | None = None
    """Why no function can be found for it."""
    body: bytes = b""
    complete: bool = False
    """The request is whole."""
    declared: int = 0
    """Bytes of a body that may be passed on while it arrives."""
    incoming: Incoming | None = None
    """What of such a body is still on its way; then `body` is its beginning."""
    expects: bool = False
    """The client waits for 100 Continue."""
    is_current: bool = True
    """HTTP/1.1, not 1.0."""
    upgrades: bool = False
    """The client asks to go on as something else."""
    size: int = 0
    """Bytes of the body that have come."""
    pieces: list[bytes] | None = None
    digest: BodyDigest | None = None
    """Of a body that is passed on, if its MD5 is stated."""
    disconnected: bool = False
    """uvicorn's."""
    message_event: ClassVar[_Nobody] = _Nobody()
    response_complete: ClassVar[bool] = False

    def gather(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self.size += len(piece)
        if self.pieces is None:
            self.pieces = [piece]
        else:
            self.pieces.append(piece)

    def begin_passing(self, on_room: Callable[[], None]) -> None:
        """Pass the body on while it arrives from now on; `on_room` hears that there is room again. Raises what is wrong
        with the beginning.
        """
        self.body, self.pieces = b"".join(self.pieces or ()), None
        if b"content-md5" in self.fields:
            self.digest = BodyDigest(self.fields[b"content-md5"])
            self._check(self.body)
        self.incoming = Incoming(self.declared, on_room)

    def pass_on(self, piece: bytes) -> bool:
        """The next piece of such a body; False when no more should be read for now. Raises InvalidArgument if the body
        is not the one that was stated; then the last piece of it is not passed on.
        """
        self.size += len(piece)
        self._check(piece)
        assert self.incoming is not None
        return self.incoming.write(piece)

    def _check(self, piece: bytes) -> None:
        if self.digest is None:
            return
        self.digest.add(piece)
        if self.size >= self.declared:
            self.digest.check()

    def offer_upgrade(self, on_room: Callable[[], None]) -> None:
        """What follows the request belongs to the function that agrees to go on as something else."""
        self.incoming, self.upgrades = Incoming(ENDLESS, on_room), True

    def decline_upgrade(self) -> None:
        """It is a request like any other (RFC 9110)."""
        self.incoming, self.upgrades = None, False

    def finish(self) -> None:
        """The request is whole."""
        if self.pieces is not None:
            self.body = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
            self.pieces = None
        self.complete = True
