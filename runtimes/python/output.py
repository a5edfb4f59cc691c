"""Where `print` and `logging` go: descriptor 1 and 2, which are one pipe to the supervisor.

Rules:
1. Both streams share one buffer, so that their order is the order of the writes.
2. The buffer is written out at the end of a call, and before that at the first write after 50 ms: a call that then
   hangs or is killed has lost at most what it wrote in its last moments.
3. A line of the logger carries the id of the request, as FC's Python runtime writes it.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

_FLUSH_AFTER = 0.05

current = {"request_id": ""}
"""The call that runs now. Replaced by the worker's loop, read by the log formatter."""


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

    def write(self, data: Any) -> int:
        self.pending = True
        count = super().write(data)
        now = time.monotonic()
        if now - self.flushed > _FLUSH_AFTER:
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
        return self._shared.write(data)

    def flush(self) -> None:
        self._shared.flush()

    def close(self) -> None:
        self._shared.flush()


class _Formatter(logging.Formatter):
    """`2019-11-25T09:22:20.641Z <request id> [INFO] text`"""

    def __init__(self) -> None:
        self.converter = time.gmtime
        super().__init__("%(asctime)s.%(msecs)03dZ %(request_id)s [%(levelname)s] %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = current["request_id"]
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


def install() -> Callable[[], None]:
    """Put both streams and the root logger in place; returns the function that writes the buffer out."""
    shared = _Shared(_Pipe(1), 65536)
    streams = []
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: Any = _Stream(shared, number)
        text = io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", write_through=True)
        streams.append(text)
        setattr(sys, name, text)
        setattr(sys, "__%s__" % name, text)
    root = logging.getLogger()
    root.handlers[:] = [_Handler()]
    root.setLevel(logging.INFO)

    def flush() -> None:
        if not shared.pending and sys.stdout is streams[0] and sys.stderr is streams[1]:
            return
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue  # a function may have closed or replaced its streams with something else
        shared.flush()
        shared.pending = False

    return flush


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
