"""What did not fit into a worker's pipe, written when there is room."""

from __future__ import annotations

import asyncio
import os


class Backlog:
    """The bytes that wait for room in one pipe, in order."""

    def __init__(self, descriptor: int) -> None:
        self.pieces: list[memoryview] = []
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()

    def add(self, piece: memoryview) -> None:
        """Write this after everything that waits already."""
        if not self.pieces:
            self._loop.add_writer(self._descriptor, self._writable)
        self.pieces.append(piece)

    def take(self) -> list[memoryview]:
        """What waits, which is then not written."""
        pieces = list(self.pieces)
        self.drop()
        return pieces

    def drop(self) -> None:
        """Nobody will read any more."""
        self.pieces.clear()
        self._loop.remove_writer(self._descriptor)

    def _writable(self) -> None:
        try:
            while self.pieces:
                written = os.write(self._descriptor, self.pieces[0])
                rest = self.pieces[0][written:]
                if rest:
                    self.pieces[0] = rest
                    return
                self.pieces.pop(0)
        except BlockingIOError:
            return
        except OSError:
            pass  # the worker is dying; its exit answers its calls
        self.drop()
