"""One call as the worker holds it: the body of its request, and an answer in one piece or in many. What the function
makes of it is none of its business: bootstrap.py and wsgi.py run that.

1. What a frame does not hold follows in Data frames within the credit of a Window, which is given as the function
   reads. An answer in more than one frame is ended by End.
2. A worker that runs one call at a time lets the call read the channel itself; one that runs several reads it in one
   place and puts each call's frames into its inbox.
3. A call waits for a frame only while it cannot go on without one: what has arrived already may be another call's.
4. When the caller has left, reading on or writing on raises `Gone`.
"""

from __future__ import annotations

import io
import queue
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import window
import wire


class Gone(ConnectionError):
    """The caller has left: nobody will read the answer, and the rest of the request will not come."""

    def __init__(self) -> None:
        super().__init__("the caller has left")


class Call:
    """`size` is that of the whole body, `first` what came of it with the Invoke frame."""

    def __init__(
        self,
        channel: wire.Channel,
        number: int,
        size: int,
        first: bytes,
        inbox: queue.SimpleQueue[wire.Frame] | None = None,
    ) -> None:
        self.number = number
        self.size = size
        self.inbox = inbox
        self._channel = channel
        self._first = first
        self._chunks: deque[bytes] = deque()
        """What has come in Data frames and has no credit yet."""
        self._missing = size - len(first)
        self._incoming, self._outgoing = window.Window(), window.Window()
        self._gone = False

    # the request

    def body(self) -> bytes:
        """The whole body."""
        pieces: list[bytes] = []
        while True:
            piece = self.read_some()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    def read_some(self) -> bytes:
        """The next bytes of the body, as soon as there are any; b"" at its end."""
        if self._first:
            piece, self._first = self._first, b""
            return piece
        while not self._chunks and self._missing:
            self._take(self._next())
        if not self._chunks:
            return b""
        piece = self._chunks.popleft()
        self._incoming.give(len(piece))
        if self._missing:
            self._channel.write(wire.CREDIT, self.number, (len(piece),))
        return piece

    def file(self) -> Any:
        """The body as a file to read."""
        if self._missing:
            return io.BufferedReader(_Body(self))
        return io.BytesIO(self._first)

    # the answer

    def answer(self, fault: Any, status: int, headers: Any, body: bytes, finish: Callable[[], bool]) -> None:
        """Answer with a whole body. `finish` is called before the last frame; it tells whether there is output."""
        if len(body) > wire.MAXIMUM_UNARY:
            self.stream(fault, status, headers, len(body), (body,), finish)
        elif fault is None and headers is None:
            self._channel.send(wire.plain_reply(self.number, body, finish()))
        else:
            self._channel.write(wire.REPLY, self.number, (False, len(body), fault, status, headers, finish()), body)

    def stream(
        self,
        fault: Any,
        status: int,
        headers: Any,
        size: int | None,
        pieces: Iterable[bytes],
        finish: Callable[[], bool],
        describe: Callable[[Exception], Any] = lambda _: None,
    ) -> None:
        """Answer piece by piece, each sent at once; `describe` makes a fault of what a piece raises."""
        self._channel.write(wire.REPLY, self.number, (True, size, fault, status, headers, False))
        broken = None
        try:
            self._send_all(size, pieces)
        except Gone:
            pass
        except Exception as error:
            broken = describe(error)
        self._channel.write(wire.END, self.number, (broken, finish()))

    def _send_all(self, size: int | None, pieces: Iterable[bytes]) -> None:
        sent = 0
        try:
            for piece in pieces:
                sent += len(piece)
                if size is not None and sent > size:
                    raise ValueError("the body is longer than its Content-Length of %d" % size)
                self._send(piece)
            if size is not None and sent < size:
                raise ValueError("the body has %d bytes, its Content-Length is %d" % (sent, size))
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()  # what a generator does at its end is still part of the call

    def _send(self, piece: bytes) -> None:
        at = 0
        while at < len(piece):
            self._take_arrived()
            while not self._outgoing.free:
                self._take(self._next())
            end = min(at + self._outgoing.free, len(piece))
            self._outgoing.use(end - at)
            self._channel.write(wire.DATA, self.number, (True,), piece[at:end])
            at = end

    # frames

    def _next(self) -> wire.Frame:
        """The next frame of this call, however long it takes to come."""
        if self._gone:
            raise Gone
        if self.inbox is not None:
            return self.inbox.get()
        while True:
            frame = self._channel.read()
            if frame is None:
                raise wire.WireError("the other side went away in the middle of a body")
            if self._is_own(frame):
                return frame

    def _take_arrived(self) -> None:
        """Take the frames of this call that are there. It never waits: what is there may be another call's, of one
        that has been answered or is yet to begin, and may be taken back at any time.
        """
        if self.inbox is not None:
            while not self.inbox.empty():
                self._take(self.inbox.get())
            return
        while (frame := self._channel.arrived()) is not None:
            if self._is_own(frame):
                self._take(frame)

    def _is_own(self, frame: wire.Frame) -> bool:
        """Whether it is of this call. A call that was sent ahead is given back."""
        if frame[1] == self.number:
            return True
        if frame[0] == wire.INVOKE:  # to be run after this one, which takes longer than anyone thought
            self._channel.write(wire.CANCEL, frame[1], ("busy",))
        return False

    def _take(self, frame: wire.Frame) -> None:
        kind, _, header, payload = frame
        if kind == wire.DATA:
            self._incoming.use(len(payload))
            self._chunks.append(payload)
            self._missing -= len(payload)
        elif kind == wire.CREDIT:
            self._outgoing.give(header[0])
        elif kind == wire.CANCEL:
            self._gone = True
        if self._gone:
            raise Gone


class _Body(io.RawIOBase):
    """What io needs to make a file of a call's body."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        data = self._rest or self._call.read_some()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        self._rest = data[count:]
        return count
