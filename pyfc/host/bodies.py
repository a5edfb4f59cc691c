"""Bodies that do not fit in one frame: Data frames within the credit that their reader gives.

A request's first `MAXIMUM_UNARY` bytes travel in its Invoke. What follows comes in Data frames of at most
`MAXIMUM_DATA`, of which as many bytes may be on their way as the reader has credited (window.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack

from pyfc.host import faults
from pyfc.host.output import LOG_KEPT
from pyfc.host.window import Window
from pyfc.model.invocation import Fault, Invocation, Reply, Result
from pyfc.wire import frames

if TYPE_CHECKING:
    from pyfc.host.link import Flight, Link

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


class Streams:
    """The large bodies of one link's calls."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def send_large(self, number: int, flight: Flight, header: bytes) -> None:
        """An Invoke that is longer than a read: in two pieces, and what does not fit into it afterwards."""
        link, call = self._link, flight.call
        first = call.body[: frames.MAXIMUM_UNARY]
        link.write(frames.PREFIX.pack(7 + len(header) + len(first), frames.INVOKE, number, len(header)) + header)
        link.write(first)
        if call.incoming is not None:
            call.incoming.on_more = partial(self._send_ready, number, flight)
        if call.size > len(first):
            flight.upload = Upload(number, call)
            self._send_ready(number, flight)

    def _send_ready(self, number: int, flight: Flight) -> None:
        upload = flight.upload
        if upload is None or number not in self._link.in_flight:
            return
        for piece in upload.ready():
            self._link.write(piece)
        if upload.broken:
            flight.upload = None
            self._link.send(frames.CANCEL, frames.Cancel("disconnected"), number)

    def take_credit(self, number: int, header: list[Any], _payload: bytes | memoryview) -> None:
        """A Credit frame: more of a request's body may be sent."""
        flight = self._link.in_flight.get(number)
        if flight is not None and flight.upload is not None:
            flight.upload.grant(int(header[0]))
            self._send_ready(number, flight)

    def begin(self, number: int, flight: Flight, head: Result, first: bytes | memoryview) -> None:
        """A Reply that says that more follows."""
        if flight.download is not None:
            raise ValueError("a second Reply")
        limit = self._link.maximum_result
        is_allowed = head.fault is None and (head.size is None or head.size <= limit)
        reply = flight.reply if flight.reply.streams and is_allowed else None
        flight.download = Download(head, limit, reply, partial(self._tell, number))
        if len(first):
            flight.download.take(first, credit=False)

    def _tell(self, number: int, kind: int, header: tuple[Any, ...]) -> None:
        if number in self._link.in_flight:
            self._link.send(kind, header, number)

    def take_data(self, number: int, _header: list[Any], payload: bytes | memoryview) -> None:
        """A Data frame: more of a result's body."""
        download = self._link.in_flight[number].download
        if download is None:
            raise ValueError("Data without a Reply before it")
        download.take(payload)

    def take_log(self, number: int, _header: list[Any], payload: bytes | memoryview) -> None:
        """A Log frame: output of one of several calls."""
        flight = self._link.in_flight[number]
        flight.log += payload
        if len(flight.log) > LOG_KEPT:
            self._link.on_output(flight.call.request_id, flight.log)
            flight.log = b""

    def take_abandoned(self, kind: int, number: int, payload: bytes | memoryview) -> None:
        """A frame of a call that has been answered because it was late."""
        if kind == frames.LOG:
            self._link.on_output(self._link.abandoned[number], bytes(payload))

    def end(self, flight: Flight, broken: list[Any] | None) -> tuple[Fault | None, bytes, Result]:
        """An End frame: the fault if there is one, the body if it was gathered, and what the Reply told."""
        download = flight.download
        if download is None:
            raise ValueError("End without a Reply before it")
        head = download.head
        if broken is not None:
            fault = faults.told(broken)
            return fault, fault.document(), head
        is_cancelled = download.is_cancelled or (flight.call.incoming is not None and flight.call.incoming.broken)
        if head.size not in {None, download.size} and not is_cancelled:
            raise ValueError("a body is not of the size that its Reply told")
        limit = self._link.maximum_result
        if not download.passed_on and download.size > limit:
            fault = faults.too_large(download.size, limit)
            return fault, fault.document(), head
        return head.fault, download.whole(), head
