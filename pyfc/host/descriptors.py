"""One budget of descriptors for everything that the server opens: connections, the pipes of instances, files.

A process that has none left can neither accept a connection nor start a worker nor write a log, so each kind asks here
first and leaves some to the others: connections are refused while instances can still be started, and those are refused
(and idle ones released) while what runs can still open its files.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

OF_INSTANCE = 17
"""Descriptors that an instance holds here at most, which is while it is started: both ends of its pipes, what its
control groups tell and those to join them, its pidfd, and one to look at that.
"""
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
    """The budget of this process. What is granted counts as used until it is counted again.

    A quarter is there for connections, but those beyond it leave as much to instances; the last sixteenth is there for
    what runs already.
    """

    def __init__(self, count: Callable[[], tuple[int, int]] = open_descriptors) -> None:
        """`count`: the limit, and how many are open."""
        self._count = count
        self._limit = self._free = self._granted = 0
        self._old = 0.0
        """When the count is too old."""
        self._connections = 0
        self._starting = 0
        """Instances that were granted and may not have opened theirs yet."""

    def has_room_for_connection(self, connections: int) -> bool:
        """Whether one more may be accepted, beside so many."""
        self._connections = connections
        return self._has_room(1, lambda: 0 if connections < self._share() else self._share() + self._of_starts())

    def has_room_for_instance(self) -> bool:
        """Whether one more instance may be started."""
        has_room = self._has_room(OF_INSTANCE, self._of_others)
        if has_room:
            self._granted -= OF_INSTANCE
            self._starting += 1
        return has_room

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """Meanwhile something is made that takes as much as an instance and is only there to be quick: a spare, say."""
        self._starting += 1
        try:
            yield
        finally:
            self.instance_has_started()

    def instance_has_started(self) -> None:
        """What it opens is open by now, or it was given up; the next count will tell."""
        if self._starting:
            self._starting -= 1
            self._granted += OF_INSTANCE

    def are_short(self) -> bool:
        """Whether what is only there to be quick (spares, templates, idle instances) should make room."""
        return not self._has_room(0, lambda: self._of_others() + 2 * OF_INSTANCE)

    def _share(self) -> int:
        return min(self._limit // 4, 1024)

    def _of_others(self) -> int:
        """What connections have not used of their quarter, and those need that are about to start."""
        return max(0, self._share() - self._connections) + self._of_starts()

    def _of_starts(self) -> int:
        return OF_INSTANCE * self._starting

    def _has_room(self, wanted: int, others: Callable[[], int]) -> bool:
        """Whether `wanted` descriptors leave so many to `others`. Counts again only if the last count is old or what
        was granted since then uses up half of what was free.
        """
        now = time.monotonic()
        if now > self._old or 2 * (self._granted + wanted) > self._left(others):
            self._limit, used = self._count()
            self._free, self._granted, self._old = self._limit - used, 0, now + _FRESH
        has_room = self._left(others) - self._granted >= wanted
        if has_room:
            self._granted += wanted
        return has_room

    def _left(self, others: Callable[[], int]) -> int:
        return self._free - others() - min(self._limit // 16, 256)


BUDGET = Descriptors()
"""That of this process, as its table of descriptors is."""
