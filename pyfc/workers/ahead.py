"""Calls that are sent to a busy worker ahead of their turn, so that one wake-up serves several; and taking them back.

The pipe of frames is put into packet mode: each write is one packet, each read of the worker takes exactly one, and
calls that it has not come to stay in the kernel. The supervisor has a descriptor of its own on the reading end, by
which it takes them back when the worker stalls. Linux alone has such pipes; elsewhere nothing is sent ahead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
import termios
from collections.abc import Iterator, Sequence

from pyfc.wire import frames

PACKET = 4096
"""Most bytes of a frame that is one packet (PIPE_BUF)."""
_READ = 1 << 20
_BEFORE_ID = 32
"""Most bytes of an Invoke that stand before the id of its request."""


def open_claims(reading_end: int) -> int:
    """A descriptor of our own, not blocking, on the pipe that a worker reads; -1 where there is no packet mode."""
    if not sys.platform.startswith("linux"):
        return -1
    try:
        return os.open(f"/proc/self/fd/{reading_end}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1


def set_packets(descriptor: int, wanted: bool) -> bool:
    """Put the writing end of a pipe into packet mode or out of it; whether it is in it now.

    A packet that follows ordinary bytes could be cut off by the read that takes them, so the pipe has to be empty.
    """
    (unread,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
    if wanted and unread:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_NONBLOCK | (os.O_DIRECT if wanted else 0))
    return wanted


def claim(descriptor: int, first: int, backlog: Sequence[memoryview]) -> tuple[list[int], list[bytes | memoryview]]:
    """Take every packet that the worker has not read, and those of the backlog, which come after them: the numbers of
    the calls, in order, and what is to be written again: the other frames, the call `first` among them.
    """
    numbers: list[int] = []
    others: list[bytes | memoryview] = []
    packets: list[bytes | memoryview] = [*_packets(descriptor), *backlog]
    for packet in packets:
        _, kind, number, _ = frames.PREFIX.unpack_from(packet)
        if kind == frames.INVOKE and number != first:
            numbers.append(number)
        else:
            others.append(packet)
    return numbers, others


def _packets(descriptor: int) -> Iterator[bytes]:
    """What the worker has not read, as long as there is some."""
    with contextlib.suppress(BlockingIOError):
        while packet := os.read(descriptor, PACKET):
            yield packet


def unread(descriptor: int, backlog: Sequence[memoryview]) -> bytes:
    """Everything that a worker which has ended was sent and has not read: in the pipe, or waiting for room there."""
    pieces: list[bytes | memoryview] = []
    while descriptor >= 0:
        try:
            piece = os.read(descriptor, _READ)
        except BlockingIOError:
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join([*pieces, *backlog])


def holds_call(data: bytes, number: int, request_id: str) -> bool:
    """Whether the beginning of a call is in what was not read. Its frame may have been cut at any place; so it is its
    number that is looked for, with a length before it and the id of its request not far behind.
    """
    at = data.find(struct.pack(">BI", frames.INVOKE, number), 4)
    return at >= 4 and request_id.encode() in data[at : at + _BEFORE_ID + len(request_id)]
