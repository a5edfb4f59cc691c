"""Keeps an instance that writes without end from filling logs: the rest is left out, and a line says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

BURST = 8
"""Seconds of the rate that may come at once."""

_TOLD_AFTER = 1.0
"""Seconds in which it is told at the latest that something is left out."""

Sink = Callable[[str, bytes], None]
"""Takes output that no answer carries: (request id or '', bytes)."""


class Flood:
    """A Sink before a sink: at most `rate` bytes a second, and `BURST` times as many at once."""

    def __init__(self, sink: Sink, rate: int) -> None:
        self._sink = sink
        self._rate = rate
        self._room = float(rate * BURST)
        self._filled = time.monotonic()
        self._left_out = 0

    def __call__(self, request_id: str, data: bytes) -> None:
        """Pass `data` on, or count it. b"" tells what was left out, if there was something."""
        now = time.monotonic()
        self._room = min(self._rate * BURST, self._room + (now - self._filled) * self._rate)
        self._filled = now
        if self._room < len(data):
            if not self._left_out:
                asyncio.get_running_loop().call_later(_TOLD_AFTER, self, "", b"")
            self._left_out += len(data)
            return
        self._room -= len(data)
        if self._left_out:
            data = self._mark() + data
        if data:
            self._sink(request_id, data)

    def _mark(self) -> bytes:
        text = f"\n[pyfc left out {self._left_out} bytes of output here: more than {self._rate} a second]\n"
        self._left_out = 0
        return text.encode()
