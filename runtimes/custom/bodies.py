"""The two bodies of a bridge's call: the request's, on its way to the user's server, and the answer, on its way to
pyfc. When which of it happens is decided in calls.py and pull.py.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Protocol

import client
import window
import wire

Fault = tuple[str, str, str]
"""Kind, message, type."""


class Sender(Protocol):
    """What they need of the bridge."""

    def send(self, kind: int, number: int, header: tuple[Any, ...], payload: bytes = b"") -> None:
        """A frame to pyfc."""

    def done(self, number: int) -> None:
        """The call has been answered."""


class Request:
    """The body of `size` bytes of a call's request, of which `first` came with its Invoke frame. What comes later waits
    until there is a connection that takes it.
    """

    def __init__(self, bridge: Sender, number: int, size: int, first: bytes) -> None:
        self.size = size
        self.first = first
        self._bridge = bridge
        self._number = number
        self._connection: client.Connection | None = None
        self._missing = size - len(first)
        self._waiting: deque[bytes] = deque()
        self._writing = 0
        """Bytes that wait for the server to take them."""
        self._window = window.Window()

    @property
    def is_at_hand(self) -> bool:
        """Whether all of it came at once, so that it can be sent again."""
        return self.size == len(self.first)

    def add(self, piece: bytes) -> None:
        """The next bytes have come."""
        self._window.use(len(piece))
        self._missing -= len(piece)
        self._waiting.append(piece)
        self._pump()

    def go_to(self, connection: client.Connection | None) -> None:
        """Send the rest on this connection, whose head has been sent; None: nowhere."""
        self._connection = connection
        self._pump()

    def _pump(self) -> None:
        while self._connection is not None and self._waiting and not self._writing:
            piece = self._waiting.popleft()
            self._writing = len(piece)
            if self._connection.write(piece, self._drained):
                self._written()

    def _drained(self) -> None:
        self._written()
        self._pump()

    def _written(self) -> None:
        """The server has taken a piece: there is room for as much again."""
        size, self._writing = self._writing, 0
        self._window.give(size)
        if self._missing:
            self._bridge.send(wire.CREDIT, self._number, (size,))


class Answer:
    """What goes out as the answer to one call: one Reply; or a Reply, Data as there is credit for it, and End."""

    def __init__(self, bridge: Sender, number: int) -> None:
        self.size = 0
        """Bytes of it that have come."""
        self._bridge = bridge
        self._number = number
        self._pieces: deque[bytes | memoryview] = deque()
        self._window = window.Window()

    def add(self, piece: bytes) -> None:
        """The next bytes of its body."""
        self._pieces.append(piece)
        self.size += len(piece)

    def body(self) -> bytes:
        """What has come and not been sent."""
        return b"".join(self._pieces)

    def give(self, fault: Fault | None, status: int, headers: list[list[str]] | None) -> None:
        """It is whole, and goes out in one frame."""
        body = self.body()
        self._bridge.send(wire.REPLY, self._number, (False, len(body), fault, status, headers, True), body)
        self._bridge.done(self._number)

    def refuse(self, fault: Fault, document: bytes = b"") -> None:
        """There is none but this fault, with its error document."""
        body = document or json.dumps({"errorMessage": fault[1], "errorType": fault[2]}).encode()
        self._bridge.send(wire.REPLY, self._number, (False, len(body), fault, 200, None, True), body)
        self._bridge.done(self._number)

    def begin(self, size: int | None, status: int, headers: list[list[str]] | None) -> None:
        """It goes out piece by piece from here on."""
        self._bridge.send(wire.REPLY, self._number, (True, size, None, status, headers, False))

    def credit(self, size: int) -> None:
        """So much more may be sent."""
        self._window.give(size)

    def send(self) -> bool:
        """Send what there is credit for; whether nothing is left."""
        while self._pieces and self._window.free:
            piece = memoryview(self._pieces.popleft())
            part, rest = piece[: self._window.free], piece[self._window.free :]
            if rest:
                self._pieces.appendleft(rest)
            if part:
                self._window.use(len(part))
                self._bridge.send(wire.DATA, self._number, (True,), bytes(part))
        return not self._pieces

    def end(self, fault: Fault | None = None) -> None:
        """Nothing more of what was begun goes out."""
        self._bridge.send(wire.END, self._number, (fault, True))
        self._bridge.done(self._number)
