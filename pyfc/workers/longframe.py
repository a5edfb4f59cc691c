"""A frame that is too long to come in a few reads: read into its own place, never copied again."""

from __future__ import annotations

import os

THRESHOLD = 128 * 1024
"""Bytes from which a frame is worth a buffer of its own."""


class LongFrame:
    """The bytes of one frame, as far as they have arrived. `start` holds the first of them, its length included."""

    def __init__(self, start: bytes) -> None:
        self._data = bytearray(4 + int.from_bytes(start[:4], "big"))
        self.view = memoryview(self._data)
        self._filled = len(start)
        self.view[: self._filled] = start

    def fill(self, descriptor: int) -> bool:
        """Read what there is; whether the frame is whole. Raises EOFError when nothing more will come."""
        while self._filled < len(self._data):
            try:
                count = os.readv(descriptor, [self.view[self._filled :]])
            except BlockingIOError:
                return False
            if not count:
                raise EOFError
            self._filled += count
        return True
