"""Where `print` and `logging` go: descriptor 1 and 2, which are one pipe to the supervisor. How much of it is kept, and
where, is the server's business.

Rules:
1. Both streams share one buffer, so that their order is the order of the writes.
2. The buffer is written out at the end of a call, and before that at the first write after 50 ms: a call that then
   hangs or is killed has lost at most what it wrote in its last moments. A line that is not at its end waits for one
   more write, since `print` writes the end by itself and others, who write beside the buffer, would get in between.
3. A line of the logger carries the id of the request, as FC's Python runtime writes it.
4. The output of a call that has written something, by whatever means, ends with a mark, so that the next call may
   begin before anybody has read it. With several calls at once there are no marks: what a call's own thread prints
   goes to its `CallLog` instead.
"""

from __future__ import annotations

import array
import fcntl
import io
import logging
import os
import sys
import termios
import time
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Any

import hiding

_FLUSH_AFTER = 0.05
_BUFFER = 65536

_OWN_DESCRIPTOR = 5

current = {"request_id": ""}
"""The call that runs now, if there is one at a time. Replaced by the worker's loop, read by the log formatter."""


class CallLog:
    """What one of several calls at once has printed and nobody has been sent yet."""

    def __init__(self, request_id: str, send: Callable[[bytes], None]) -> None:
        self.request_id = request_id
        self._send = send
        self._data = bytearray()
        self._flushed = 0.0

    def write(self, data: Any) -> int:
        """Keep `data`, or send it with what was kept before."""
        self._data += data
        now = time.monotonic()
        if now - self._flushed > _FLUSH_AFTER or len(self._data) > _BUFFER:
            self._flushed = now
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Send what is kept."""
        for start in range(0, len(self._data), _BUFFER):
            self._send(bytes(self._data[start : start + _BUFFER]))
        self._data.clear()


call_log: ContextVar[CallLog | None] = ContextVar("call_log", default=None)
"""The log of the call that runs in this context, if there are several at once."""


class _Pipe(io.RawIOBase):
    """A descriptor that is never closed by user code."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: Any) -> int:
        return os.write(self._descriptor, data)


class _Shared(io.BufferedWriter):
    """The one buffer of both streams."""

    flushed = 0.0
    pending = False
    """Something was written since the last flush at the end of a call."""
    waits = False
    """It is time to write out, and a line was not at its end."""

    def write(self, data: Any) -> int:
        count = super().write(data)
        self.pending = True
        now = time.monotonic()
        if now - self.flushed > _FLUSH_AFTER:
            self.waits = not self.waits and data[-1:] != b"\n"
            if not self.waits:
                self.flushed = now
                self.flush()
        return count

    def close(self) -> None:
        self.flush()


class _Stream(io.BufferedIOBase):
    """One stream's door to the shared buffer, with its own descriptor number."""

    def __init__(self, shared: _Shared, descriptor: int) -> None:
        self._shared = shared
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: Any) -> int:
        return (call_log.get() or self._shared).write(data)

    def flush(self) -> None:
        (call_log.get() or self._shared).flush()

    def close(self) -> None:
        self._shared.flush()


class _Formatter(logging.Formatter):
    """`2019-11-25T09:22:20.641Z <request id> [INFO] text`"""

    def __init__(self) -> None:
        self.converter = time.gmtime
        super().__init__("%(asctime)s.%(msecs)03dZ %(request_id)s [%(levelname)s] %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        log = call_log.get()
        record.request_id = log.request_id if log is not None else current["request_id"]
        return super().format(record)


class _Handler(logging.Handler):
    """Writes to whatever sys.stderr is at the time, so that a function may replace it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


class Output:
    """Both streams and the root logger, put in place."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._descriptor = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, _OWN_DESCRIPTOR)
        """The pipe for marks, also when a function puts something else in the place of descriptor 1."""
        self._unread = array.array("i", [0])
        self._shared = _Shared(_Pipe(1), _BUFFER)
        self._streams = []
        for number, name in ((1, "stdout"), (2, "stderr")):
            stream: Any = _Stream(self._shared, number)
            text = io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", write_through=True)
            self._streams.append(text)
            setattr(sys, name, text)
            setattr(sys, "__%s__" % name, text)
        root = logging.getLogger()
        root.handlers[:] = [_Handler()]
        root.setLevel(logging.INFO)

    def renew(self) -> None:
        """Descriptor 1 is another pipe now: this process is a copy of the one that made this object."""
        os.dup2(1, self._descriptor, inheritable=False)

    def mark_with(self, mark: str) -> None:
        """Whoever reads the pipe knows another mark than the template's."""
        self._mark = mark.encode()

    def flush(self) -> None:
        """Write out what is buffered, also where a function has replaced the streams."""
        log = call_log.get()
        if log is not None:
            log.flush()
        if not self._shared.pending and sys.stdout is self._streams[0] and sys.stderr is self._streams[1]:
            return
        self._shared.pending = False  # first: another thread may write meanwhile
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue  # a function may have closed or replaced its streams with something else
        self._shared.flush()

    def finish(self, number: int) -> bool:
        """A call has ended: what is written from here on is not its own. Whether there is something to be read."""
        self.flush()
        if not self._mark:
            return True
        try:
            fcntl.ioctl(self._descriptor, termios.FIONREAD, self._unread)
            if not self._unread[0]:
                return False  # nobody reads before the answer arrives, unless it is the only call
            os.write(self._descriptor, self._mark + number.to_bytes(4, "big"))
        except OSError:
            self._mark = b""  # a function has closed it; who reads the pipe gets along without
        return True


def stacks(frames: dict[int, FrameType]) -> str:
    """Where each thread is, in the user's code."""
    lines = ["Dumping stack trace after function timeout"]
    for number, frame in frames.items():
        stack = [entry for entry in traceback.extract_stack(frame) if not hiding.is_ours(entry.filename)]
        lines.append("Thread %d:\n%s" % (number, "".join(traceback.format_list(stack)).rstrip()))
    return "\n".join(lines) + "\n"


def rehearse() -> None:
    """Format a line for nobody (see zygote.py)."""
    record = logging.LogRecord("rehearsal", logging.INFO, "", 0, "text %s", ("argument",), None)
    _Formatter().format(record)
    with open(os.devnull, "wb") as null:
        shared = _Shared(_Pipe(null.fileno()), 1024)
        stream: Any = _Stream(shared, 1)
        text = io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", write_through=True)
        text.write("text")
        text.flush()
        text.detach()
