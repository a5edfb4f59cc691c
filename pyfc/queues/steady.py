"""A clock that goes on evenly, whatever is done to the machine's: what is due in an hour is due in an hour.

Its seconds begin where the wall clock stood when the queue was made. While the machine runs, also over restarts of the
server, they are counted by the kernel's clock since the machine's start, sleep included. Only after the machine itself
was started anew does the wall clock tell how long that took, and then it never leads back.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

_BOOT = "/proc/sys/kernel/random/boot_id"
_CLOCK = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


class Mark(NamedTuple):
    """What is kept of a clock: the start of the machine, what was added to the seconds since, and the last time."""

    boot: str
    offset: float
    latest: float


class Steady:
    """Goes on from `mark`, if one was kept."""

    def __init__(self, mark: Mark | None) -> None:
        boot, since = _boot(), time.clock_gettime(_CLOCK)
        if mark is not None and mark.boot and mark.boot == boot:
            self._offset = mark.offset
        else:
            self._offset = max(time.time(), mark.latest if mark is not None else 0.0) - since
        self._boot = boot

    def now(self) -> float:
        """Seconds."""
        return time.clock_gettime(_CLOCK) + self._offset

    @property
    def mark(self) -> Mark:
        """To go on from later."""
        return Mark(self._boot, self._offset, self.now())


def _boot() -> str:
    """Which start of the machine this is; '' where that is not told."""
    try:
        return Path(_BOOT).read_text(encoding="ascii").strip()
    except OSError:
        return ""
