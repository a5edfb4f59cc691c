"""Bodies that come piece by piece: a request's on its way in, a result's on its way out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

_HIGH_WATER = 256 * 1024
ENDLESS = 1 << 62
"""The size of a body that goes on until somebody ends it: a connection that was upgraded."""


def _nothing() -> None:
    """Nobody has to know yet."""


class Incoming:
    """The rest of a request's body, whose first bytes stand in the Invocation.

    The gateway writes what arrives; the link takes it as fast as the worker gives credit.
    """

    def __init__(self, size: int, on_room: Callable[[], None] = _nothing) -> None:
        """`on_room`: there is room again after `write` has said that there is none."""
        self.size = size
        """Bytes of the whole body, the first ones included."""
        self.broken = False
        """The client has left in the middle of it."""
        self._on_more: Callable[[], None] = _nothing
        self._on_room = on_room
        self._pieces: deque[memoryview] = deque()
        self._held = 0

    def when_more(self, action: Callable[[], None]) -> None:
        """Have `action` called when there is more to take, or it is `broken`."""
        self._on_more = action

    def write(self, piece: bytes) -> bool:
        """Keep a piece for the worker; False when no more should be read from the client for now."""
        self._pieces.append(memoryview(piece))
        self._held += len(piece)
        self._on_more()
        return self._held < _HIGH_WATER

    def take(self, most: int) -> memoryview | None:
        """The next bytes, at most so many; None when there are none yet."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        if len(piece) > most:
            self._pieces.appendleft(piece[most:])
            piece = piece[:most]
        was_full = self._held >= _HIGH_WATER
        self._held -= len(piece)
        if was_full and self._held < _HIGH_WATER:
            self._on_room()
        return piece

    def break_off(self) -> None:
        """The rest will not come."""
        self.broken = True
        self._on_more()


class Stream(Protocol):
    """A Reply's hold on a result that comes piece by piece."""

    def resume(self) -> None:
        """There is room again after `Reply.piece` has said that there is none."""

    def cancel(self) -> None:
        """Nobody takes the pieces any more."""
