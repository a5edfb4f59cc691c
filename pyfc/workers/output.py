"""What a worker writes to its descriptors 1 and 2, and whose it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

READ = 65536
LOG_KEPT = 65536
"""Bytes of a call's log that are kept for its answer; of a longer one the newest `_LOG_TAIL`."""
_LOG_TAIL = 8192
_READS_AT_ONCE = 15
_PACE, _PACED = 0.02, 256 * 1024
"""Seconds, and the bytes that are read in them while one listens."""
_NUMBER = 4
"""Bytes of the call's id, which follow the mark."""


class Output:
    """The output of a worker that runs one call at a time. With a `mark`, the output of a call that has written
    something ends with it and the call's id; without, with its answer.

    Answers say whether there is something to read. What is read before the answer (while one listens) is the running
    call's; so there must be no other then which could begin meanwhile.
    """

    def __init__(self, descriptor: int, mark: bytes, on_more: Callable[[], None]) -> None:
        self.listens = False
        self.is_quiet = False
        self.is_empty = True
        """Nothing is held that has been read and not asked for."""
        self._descriptor = descriptor
        self._mark = mark
        self._logs: dict[int, bytes] = {}
        self._rest = b""
        self._on_more = on_more
        self._pace_began = 0.0
        self._paced = 0
        self._loop = asyncio.get_running_loop()

    def listen(self) -> None:
        """Read as soon as something is written, and tell it."""
        if not self.listens and self._descriptor >= 0:
            self.listens = True
            self._loop.add_reader(self._descriptor, self._readable)

    def be_quiet(self, *, quiet: bool) -> None:
        """Whether calls are so short that it is enough to read when they are answered."""
        self.is_quiet = quiet

    def ignore(self) -> None:
        """Read when asked."""
        self.listens = False
        self._loop.remove_reader(self._descriptor)

    def close(self) -> None:
        """The worker is gone: there is nothing any more."""
        if self._descriptor >= 0:
            self.ignore()
        self._descriptor = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, READ)
        except BlockingIOError:
            return
        if data:
            self.add(data)
            self._on_more()
            self._pace(len(data))
        else:
            self._loop.remove_reader(self._descriptor)  # everyone who could write has closed it

    def _pace(self, size: int) -> None:
        """Who writes faster than a person could ever read waits for the pipe, so that others are served meanwhile."""
        now = self._loop.time()
        if now - self._pace_began > _PACE:
            self._pace_began, self._paced = now, 0
        self._paced += size
        if self._paced > _PACED:
            self._loop.remove_reader(self._descriptor)
            self._loop.call_at(self._pace_began + _PACE, self._go_on)

    def _go_on(self) -> None:
        if self.listens:
            self._loop.add_reader(self._descriptor, self._readable)

    def add(self, data: bytes) -> None:
        """What has just been read from the pipe."""
        self.is_empty = False
        if not self._mark:
            self._rest += data
            return
        pieces = (self._rest + data).split(self._mark)
        log = pieces[0]
        for number, piece in enumerate(pieces[1:], 1):
            if len(piece) < _NUMBER:
                if number < len(pieces) - 1:
                    continue  # the function imitates marks; no call waits for this one
                self._rest = log + self._mark + piece  # the rest of the id is still in the pipe
                return
            self._logs[int.from_bytes(piece[:_NUMBER], "big")] = log
            log = piece[_NUMBER:]
        self._rest = log

    def log_of(self, number: int, *, written: bool) -> bytes:
        """What the call wrote whose answer has arrived; `written`: the pipe holds some of it."""
        if written and number not in self._logs:
            self.read(until=number)
        log = self._logs.pop(number, None)
        if log is None:  # it has all been read before; or no marks; or the function has closed their descriptor
            log, self._rest = self._rest, b""
        self.is_empty = not self._logs and not self._rest
        return log

    def take(self) -> bytes:
        """Everything there is, whoever wrote it: no call is in flight, or the worker is gone; b"" once it is closed."""
        if self._descriptor < 0:
            return b""
        self.read()
        data = b"".join([*self._logs.values(), self._rest])
        self._logs.clear()
        self._rest = b""
        self.is_empty = True
        return data

    def holds(self, text: bytes) -> bool:
        """Whether `text`, if it is any, is among what has been written and not asked for."""
        self.read()
        return bool(text) and text in self._rest

    def read(self, until: int = 0) -> None:
        """Read what the pipe holds, up to a limit: a writer that never pauses must not hold the loop."""
        for _ in range(_READS_AT_ONCE):
            try:
                data = os.read(self._descriptor, READ)
            except BlockingIOError:
                return
            if data:
                self.add(data)
            if len(data) < READ or until in self._logs:
                return

    def overflow(self) -> tuple[int, bytes] | None:
        """If the call that writes now has written more than is kept: how many calls before it have ended, and what is
        to be passed on at once.
        """
        if len(self._rest) <= LOG_KEPT:
            return None
        spilled, self._rest = self._rest[:-_LOG_TAIL], self._rest[-_LOG_TAIL:]
        return len(self._logs), spilled
