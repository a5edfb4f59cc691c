"""Frames out of the bytes of a stream, however these are cut: no input, no output. What the frames mean is declared in
pyfc/wire/frames.py; who reads bytes, and unpacks headers, is somebody else. Standard library only, Python 3.9 syntax,
imports no pyfc: the server and the runtimes that are written in Python load this very file.

1. A frame that arrives whole is cut out of what was fed. One that does not is gathered in a buffer of its own size, so
   each byte is copied once, in however many pieces it comes.
2. The payload of a long frame is a view of that buffer; nobody else writes there afterwards.
3. A read that brings exactly one frame, as most do, is no work for a parser: the two readers on the way of a call, the
   link and the Python worker's channel, take it apart at once.
4. A length that no frame has is an error where it stands: the frames before it are given, and nothing after it ever.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Union

PREFIX = struct.Struct(">IBIH")
"""Length, type, call id, header length. The length counts what follows it."""
_prefix, _HEAD = PREFIX.unpack_from, PREFIX.size
LEAST = _HEAD - 4
"""Smallest length: neither header nor payload."""
MOST = LEAST + 65535 + 1024 * 1024
"""Largest length: the longest header, and the most that a payload holds."""
LONG = 128 * 1024
"""Bytes from which a frame is worth a view instead of a copy."""

Frame = tuple[int, int, bytes, Union[bytes, memoryview]]
"""Type, call id, header as it was packed, payload."""


class Malformed(ValueError):
    """What was fed is no frame, and what follows it cannot be told apart."""


class Parser:
    """The frames of one stream."""

    def __init__(self) -> None:
        self._begun = b""
        """Of a length that is not whole: up to three bytes."""
        self._frame: memoryview | None = None
        """Room for a frame that is not whole, of which `_filled` bytes have come."""
        self._filled = 0
        self._error = ""
        self.is_amid = False
        """Whether a frame has begun and is not whole (or none can follow any more): a stream must not end here."""

    @property
    def missing(self) -> int:
        """Bytes that are certainly of the frame which comes next, or is under way: all that it lacks once its length is
        known. Who reads no more than that reads no byte of a later frame.
        """
        return 4 - len(self._begun) if self._frame is None else len(self._frame) - self._filled

    @property
    def room(self) -> memoryview | None:
        """Where the rest of a long frame that is under way belongs: to be read into, and then told to `filled`."""
        frame = self._frame
        return frame[self._filled :] if frame is not None and len(frame) >= LONG else None

    def filled(self, count: int) -> Iterator[Frame]:
        """`count` bytes have been read into `room`: the frame, if it is whole now. Raises Malformed."""
        self._filled += count
        if self._frame is not None and self._filled == len(self._frame):
            yield self._whole(self._frame)

    def feed(self, data: bytes) -> Iterable[Frame]:
        """The frames that these bytes make whole, to be iterated to the end. Raises Malformed in its place."""
        if self.is_amid:
            return self._take(data)
        found: list[Frame] = []  # mostly it is whole frames and nothing else
        at, end = 0, len(data)
        while end - at >= _HEAD:
            length, kind, call, header_size = _prefix(data, at)
            start, stop = at + _HEAD + header_size, at + 4 + length
            if stop > end or start > stop or length > MOST:
                break
            found.append((kind, call, data[at + _HEAD : start], data[start:stop]))
            at = stop
        return found if at == end else chain(found, self._take(data[at:]))

    def _take(self, data: bytes) -> Iterator[Frame]:
        """The same for bytes that are cut in any way."""
        if self._error:
            raise Malformed(self._error)
        at = 0
        if self._frame is not None:
            at = min(len(data), len(self._frame) - self._filled)
            self._frame[self._filled : self._filled + at] = data[:at]
            yield from self.filled(at)
        elif self._begun:
            data, self._begun, self.is_amid = self._begun + data, b"", False
        end = len(data)
        while end - at >= 4:
            length = int.from_bytes(data[at : at + 4], "big")
            if not LEAST <= length <= MOST:
                self._refuse("a frame of %d bytes" % length)
            stop = at + 4 + length
            if stop > end:
                self._frame, self._filled, self.is_amid = memoryview(bytearray(4 + length)), end - at, True
                self._frame[: self._filled] = data[at:]
                return
            yield self._cut(data, at, stop)
            at = stop
        if at < end:
            self._begun, self.is_amid = data[at:], True

    def _whole(self, frame: memoryview) -> Frame:
        """The frame that has been gathered."""
        self._frame, self.is_amid = None, False
        size = len(frame)
        if size < LONG:
            return self._cut(bytes(frame), 0, size)
        kind, call, header, payload = self._cut(frame, 0, size)
        return kind, call, bytes(header), payload

    def _cut(self, data: Any, at: int, stop: int) -> Frame:
        """The frame that lies there in bytes or in a view of some."""
        _, kind, call, header_size = _prefix(data, at)
        start = at + _HEAD + header_size
        if start > stop:
            self._refuse("a header of %d bytes in a frame of %d" % (header_size, stop - at))
        return kind, call, data[at + _HEAD : start], data[start:stop]

    def _refuse(self, error: str) -> None:
        self._error, self.is_amid = error, True
        raise Malformed(error)
