"""The most memory that one worker has held."""

from __future__ import annotations

import time

from pyfc.host.process import Memory
from pyfc.sandbox.sandbox import Cell

_MEGABYTE = 1024 * 1024


class Peak:
    """The largest resident memory of a worker so far."""

    def __init__(self, pid: int, cell: Cell) -> None:
        self.megabytes = 0.0
        """As far as it is known."""
        self.when = 0.0
        """Of the last measurement, by the monotonic clock."""
        self._memory: Memory | None = Memory(pid)
        self._cell = cell

    def measure(self) -> float:
        """Ask the kernel, unless the worker is gone; MB."""
        if self._memory is not None:
            self.when = time.monotonic()
            self.megabytes = max(self.megabytes, self._memory.peak(), self._cell.peak())
        return self.megabytes

    def saw(self, held: int) -> None:
        """Somebody else has found so many bytes."""
        self.megabytes = max(self.megabytes, held / _MEGABYTE)

    def close(self) -> None:
        """The worker is gone."""
        if self._memory is not None:
            self._memory.close()
        self._memory = None
