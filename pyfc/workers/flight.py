"""One call in a worker, and its bodies that do not fit in one frame: Data frames within the credit that their reader
gives.

A request's first `MAXIMUM_UNARY` bytes travel in its Invoke. What follows comes in Data frames of at most
`MAXIMUM_DATA`, of which as many bytes may be on their way as the reader has credited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import msgspec

from pyfc.model.invocation import Invocation, Reply, Result, Start
from pyfc.sandbox.inside.window import Window
from pyfc.wire import frames
from pyfc.workers.output import LOG_KEPT

_MORE, _LAST = msgpack.packb((True,)), msgpack.packb((False,))


class Upload:
    """What of a request's body the worker has not been sent."""

    def __init__(self, number: int, call: Invocation) -> None:
        self._number = number
        self._rest = memoryview(call.body)[frames.MAXIMUM_UNARY :]
        self._incoming = call.incoming
        self._size = call.size
        self._sent = min(len(call.body), frames.MAXIMUM_UNARY)
        self._window = Window()

    @property
    def broken(self) -> bool:
        """The client has left in the middle of it."""
        return self._incoming is not None and self._incoming.broken

    def grant(self, size: int) -> None:
        """The worker took `size` bytes. Raises ValueError if it was never sent them."""
        self._window.give(size)

    def ready(self) -> list[bytes | memoryview]:
        """The frames that the credit allows and the client has sent, in pieces."""
        pieces: list[bytes | memoryview] = []
        while self._window.free and self._sent < self._size:
            piece = self._next(self._window.free)
            if piece is None:
                break
            self._sent += len(piece)
            self._window.use(len(piece))
            header = _MORE if self._sent < self._size else _LAST
            prefix = frames.PREFIX.pack(7 + len(header) + len(piece), frames.DATA, self._number, len(header))
            pieces += [prefix + header, piece]
        return pieces

    def _next(self, most: int) -> memoryview | None:
        if self._rest:
            piece, self._rest = self._rest[:most], self._rest[most:]
            return piece
        return self._incoming.take(most) if self._incoming is not None else None


class Download:
    """A result of which more is to come: passed on to a reply that takes it in pieces, or gathered for one that does
    not. Gathered bytes beyond `maximum` are counted and thrown away. It is the reply's Stream.
    """

    def __init__(self, head: Result, maximum: int, reply: Reply | None, send: Callable[[int, tuple[Any, ...]], None]):
        self.head = head
        self.size = 0
        self._reply = reply
        self._maximum = maximum
        self._parts: list[bytes | memoryview] = []
        self.is_cancelled = False
        """Nobody takes the rest, which need not come."""
        self._window = Window()
        self._send = send
        if reply is not None:
            reply.head(head, self)

    @property
    def passed_on(self) -> bool:
        """Whether the reply has had the pieces already."""
        return self._reply is not None

    def take(self, payload: bytes | memoryview, *, credit: bool = True) -> None:
        """The next bytes; their credit is given when there is room for more. Raises ValueError for too many, so that
        a worker that writes past its credit fills no memory here.
        """
        self.size += len(payload)
        if self.head.size is not None and self.size > self.head.size:
            raise ValueError("more than the Reply told")
        if credit:
            self._window.use(len(payload))
        if self._reply is None:
            if self.size <= self._maximum:
                self._parts.append(payload)
            self.resume()
        elif self._reply.piece(payload):
            self.resume()

    def resume(self) -> None:
        """See Stream."""
        owed = self._window.used
        if owed:
            self._window.give(owed)
            self._send(frames.CREDIT, frames.Credit(owed))

    def cancel(self) -> None:
        """See Stream."""
        self.is_cancelled = True
        self._send(frames.CANCEL, frames.Cancel("disconnected"))

    def whole(self) -> bytes:
        """The gathered body."""
        return b"".join(self._parts)


class Flight(msgspec.Struct, eq=False):
    """One call in a worker. A Struct, since one is made for every call, which costs no call of Python that way."""

    call: Invocation
    reply: Reply
    timeout: float
    """Seconds that it may take."""
    started: float
    """When it was sent, or, behind others, when its turn came; by the monotonic clock."""
    deadline: float
    startup: bytes = b""
    """What its instance wrote before it; of the first call alone."""
    cold: bool = False
    """The first call of its instance."""
    start: Start | None = None
    losses: int = 0
    """Workers that had been given it and ended before they had begun it."""
    late: bool = False
    log: bytes = b""
    """What it has written, if that comes in frames."""
    upload: Upload | None = None
    download: Download | None = None

    def begin(self, now: float) -> None:
        """Its turn has come."""
        self.started = now
        self.deadline = now + self.timeout

    def lose(self, now: float) -> None:
        """Its worker has ended and had not begun it."""
        self.losses += 1
        self.started = now

    def expire(self) -> None:
        """It has taken too long, and is answered when its worker has ended."""
        self.late = True

    def wrote(self, data: bytes | memoryview) -> bytes:
        """It has written this; what of its log has to be passed on as the answer cannot carry it all."""
        log = self.log + data
        self.log = b"" if len(log) > LOG_KEPT else log
        return b"" if self.log else log

    def send_rest(self, number: int) -> None:
        """The first bytes of its request are sent: the others follow."""
        self.upload = Upload(number, self.call)

    def break_off(self) -> None:
        """The rest of its request will not come."""
        self.upload = None

    def receive(self, download: Download) -> None:
        """Its answer comes in pieces."""
        self.download = download
