"""Content comes in: it is measured and written beside the loop while more of it arrives, and is durable at the end."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import lru_cache
from typing import Self

from fastcrc import crc64

from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.files import Files
from pyfc.cloud.oss.model import Content

_BLOCK = 512 * 1024
"""Bytes that are handed to a thread at once."""
_PIECE = 1024 * 1024
LARGEST = 5 * 1024**3
"""Bytes of an object that is put at once, of a part, or of one that is appended to."""
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Incoming:
    """A new file in a bucket's folder: `async with Incoming(files) as new`, and it is gone unless it was kept."""

    def __init__(self, files: Files, most: int = LARGEST) -> None:
        self._files = files
        self._most = most
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc = 0
        self._size = 0
        self._descriptor = -1
        self.name = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(asyncio.to_thread(self._end))

    def _end(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._files.discard(self.name)  # not there any more if it was kept

    @property
    def digest(self) -> bytes:
        """The MD5 of the content."""
        return self._md5.digest()

    async def take(self, chunks: AsyncIterator[bytes]) -> Content:
        """Write what comes; a chunk is written while the next ones arrive. Raises Fault EntityTooLarge,
        ServiceUnavailable if there is no room.
        """
        held: list[bytes] = []
        size, came, writing = 0, 0, None
        try:
            async for chunk in chunks:
                held.append(chunk)
                size, came = size + len(chunk), came + len(chunk)
                if came > self._most:
                    raise Fault("EntityTooLarge", f"The content is larger than {self._most} bytes.")
                if size >= _BLOCK:
                    if writing is not None:
                        await writing
                    writing = asyncio.ensure_future(asyncio.to_thread(self._write, held, is_last=False))
                    held, size = [], 0
        finally:
            if writing is not None:
                await asyncio.wait([writing])
        if writing is not None:
            await writing
        await asyncio.to_thread(self._write, held, is_last=True)
        return self.content

    def add(self, source: int) -> None:
        """Write what is in an open file behind what is there, without measuring it; for a thread. Raises Fault."""
        try:
            self._open()
            append(self._descriptor, source)
        except OSError as error:
            raise _no_room(error) from error

    def finish(self) -> None:
        """Make it durable; for a thread. Raises Fault."""
        self._write([], is_last=True)

    @contextlib.contextmanager
    def file(self) -> Iterator[tuple[str, int]]:
        """The file's name and descriptor, for the write that keeps it."""
        yield self.name, self.descriptor

    @property
    def content(self) -> Content:
        """What was measured."""
        return Content(self._size, self._md5.hexdigest().upper(), self._crc)

    def _write(self, pieces: Sequence[bytes], *, is_last: bool) -> None:
        try:
            self._open()
            for piece in pieces:
                self._md5.update(piece)
                self._crc = crc64.xz(piece, self._crc)
                self._size += len(piece)
                write_all(self._descriptor, piece)
            if is_last:
                os.fsync(self._descriptor)
        except OSError as error:
            raise _no_room(error) from error

    def _open(self) -> None:
        if self._descriptor < 0:
            self.name, self._descriptor = self._files.create()

    @property
    def descriptor(self) -> int:
        """The file, open."""
        return self._descriptor


class Held:
    """A small content that is at hand: its file is made by the write that keeps it."""

    def __init__(self, files: Files, data: bytes) -> None:
        self._files = files
        self.data = data
        md5 = hashlib.md5(data, usedforsecurity=False)
        self.digest = md5.digest()
        self.content = Content(len(data), md5.hexdigest().upper(), crc64.xz(data))

    @contextlib.contextmanager
    def file(self) -> Iterator[tuple[str, int]]:
        """A new file's name and descriptor; it is gone afterwards unless it was kept. Raises OSError."""
        name, descriptor = self._files.create()
        try:
            write_all(descriptor, self.data)
            yield name, descriptor
        except BaseException:
            self._files.discard(name)
            raise
        finally:
            os.close(descriptor)


async def begin(chunks: AsyncIterator[bytes], most: int) -> tuple[bytes, bool]:
    """What comes first, and whether that is all; it is if it has at most so many bytes."""
    held: list[bytes] = []
    size = 0
    while size <= most:
        try:
            held.append(await anext(chunks))
        except StopAsyncIteration:
            return b"".join(held), True
        size += len(held[-1])
    return b"".join(held), False


async def resumed(held: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What has come, and what comes then."""
    yield held
    async for chunk in chunks:
        yield chunk


def _no_room(error: OSError) -> Fault:
    why = "the disk is full" if error.errno in _FULL else error.strerror
    return Fault("ServiceUnavailable", f"The content cannot be written: {why}.")


def write_all(descriptor: int, piece: bytes) -> None:
    """Write a whole piece. Raises OSError."""
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def append(target: int, source: int) -> None:
    """Write all of an open file at the end of another; the kernel copies where it can. Raises OSError."""
    place, size = 0, os.fstat(source).st_size
    while place < size:
        try:
            done = os.copy_file_range(source, target, size - place, place)
        except (OSError, AttributeError):
            break
        if not done:
            break
        place += done
    while place < size and (piece := os.pread(source, _PIECE, place)):
        write_all(target, piece)
        place += len(piece)


def measure(descriptor: int, is_over: Callable[[], bool] = lambda: False) -> Content:
    """What is in an open file, as far as it was read until `is_over`. Raises OSError."""
    md5, crc, place = hashlib.md5(usedforsecurity=False), 0, 0
    while not is_over() and (piece := os.pread(descriptor, _PIECE, place)):
        md5.update(piece)
        crc = crc64.xz(piece, crc)
        place += len(piece)
    return Content(place, md5.hexdigest().upper(), crc)


def check_digest(stated: str, digest: bytes) -> None:
    """Raises Fault InvalidDigest if a Content-MD5 header is none, or of other content. '' is not looked at."""
    if not stated:
        return
    try:
        wanted = base64.b64decode(stated, validate=True)
    except (binascii.Error, ValueError):
        wanted = b""
    if wanted != digest:
        raise Fault("InvalidDigest", "The Content-MD5 you specified is not that of what was received.")


def check_text_digest(stated: str, body: bytes) -> None:
    """The same of a body that is at hand."""
    check_digest(stated, hashlib.md5(body, usedforsecurity=False).digest())


_POLYNOMIAL = 0xC96C5795D7870F42
"""Of CRC-64/XZ, reflected."""


def combined(first: int, second: int, size: int) -> int:
    """The CRC of two contents one after the other; the second has `size` bytes."""
    return _times(_lengthening(size), first) ^ second


@lru_cache(maxsize=64)
def _lengthening(size: int) -> Sequence[int]:
    """The matrix that makes of a CRC's bits that of the same content with `size` zero bytes behind it. A zero bit is a
    linear map, so more of them are a power of its matrix.
    """
    power = _squared(_squared(_squared([_POLYNOMIAL, *(1 << row for row in range(63))])))  # a byte
    found = [1 << row for row in range(64)]
    while size:
        if size & 1:
            found = [_times(power, row) for row in found]
        power = _squared(power)
        size >>= 1
    return found


def _times(matrix: Sequence[int], vector: int) -> int:
    found, row = 0, 0
    while vector:
        if vector & 1:
            found ^= matrix[row]
        vector >>= 1
        row += 1
    return found


def _squared(matrix: Sequence[int]) -> list[int]:
    return [_times(matrix, row) for row in matrix]
