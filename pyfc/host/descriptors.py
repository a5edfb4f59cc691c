"""One budget of descriptors for everything that the server opens: connections, the pipes of instances, files.

A process that has none left can neither accept a connection nor start a worker nor write a log, so each kind asks here
first and leaves some to the others: connections are refused while instances can still be started, and those are refused
(and idle ones released) while what runs can still open its files.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

OF_INSTANCE = 8
"""Descriptors that an instance holds here at most: its pipes, its output, its pidfd, and those of its start."""
_COUNTED = Path("/proc/self/fd")
_LISTED = Path("/dev/fd")
_FRESH = 1.0
"""Seconds for which a count is believed."""


def open_descriptors() -> tuple[int, int]:
    """How many descriptors this process may have open, and how many it has."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = soft if soft != resource.RLIM_INFINITY else 1 << 20
    if _COUNTED.exists():
        size = _COUNTED.stat().st_size  # Linux 6.2 and newer: their number
        return limit, size or len(os.listdir(_COUNTED))
    return limit, len(os.listdir(_LISTED))


class Descriptors:
    """The budget of this process. What is granted counts as used until it is counted again."""

    def __init__(self, count: Callable[[], tuple[int, int]] = open_descriptors) -> None:
        """`count`: the limit, and how many are open."""
        self._count = count
        self._limit = self._free = self._granted = 0
        self._old = 0.0
        """When the count is too old."""

    def has_room_for_connection(self) -> bool:
        """Whether one more connection may be accepted: the last quarter belongs to instances."""
        return self._has_room(1, 4, 1024)

    def has_room_for_instance(self) -> bool:
        """Whether one more instance may be started: the last sixteenth belongs to what runs."""
        return self._has_room(OF_INSTANCE, 16, 256)

    def _has_room(self, wanted: int, part: int, most: int) -> bool:
        """Whether `wanted` descriptors leave a `part` of all, but at most `most`, to others. Counts again only if the
        last count is old or what was granted since then uses up half of what was free.
        """
        now = time.monotonic()
        if now > self._old or 2 * (self._granted + wanted) > self._free - min(self._limit // part, most):
            self._limit, used = self._count()
            self._free, self._granted, self._old = self._limit - used, 0, now + _FRESH
        has_room = self._free - self._granted - wanted >= min(self._limit // part, most)
        if has_room:
            self._granted += wanted
        return has_room
