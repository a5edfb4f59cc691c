"""The pipe of frames to a worker: what has no room in it is written when there is some."""

from __future__ import annotations

import asyncio
import os


class Outgoing:
    """The bytes that wait for room in one pipe, in order."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        """-1 once the worker is gone: the number may be another descriptor's then."""
        self.pieces: list[memoryview] = []
        self._loop = asyncio.get_running_loop()

    def add(self, piece: memoryview) -> None:
        """Write this after everything that waits already."""
        if not self.pieces:
            self._loop.add_writer(self.descriptor, self._writable)
        self.pieces.append(piece)

    def take(self) -> list[memoryview]:
        """What waits, which is then not written."""
        pieces = list(self.pieces)
        self._drop()
        return pieces

    def close(self) -> None:
        """Nobody will read any more."""
        if self.descriptor >= 0:
            self._drop()
        self.descriptor = -1

    def _drop(self) -> None:
        self.pieces.clear()
        self._loop.remove_writer(self.descriptor)

    def _writable(self) -> None:
        try:
            while self.pieces:
                written = os.write(self.descriptor, self.pieces[0])
                rest = self.pieces[0][written:]
                if rest:
                    self.pieces[0] = rest
                    return
                self.pieces.pop(0)
        except BlockingIOError:
            return
        except OSError:
            pass  # the worker is dying; its exit answers its calls
        self._drop()
