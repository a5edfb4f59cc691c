"""Decides how many instances the whole server may have, and whose go first.

1. There are at most `maximum_server_instances`, of all functions together.
2. A function that needs one when there is no room gets that of another function which has been idle longest, reserved
   ones last; the functions that wait for room are served in the order in which they began to wait.
3. While the machine is short of memory, or this process of descriptors, what has been idle longest goes as well, one at
   a time. Without descriptors there is no room either.
"""

from __future__ import annotations

import asyncio

from pyfc.host.descriptors import BUDGET, Descriptors
from pyfc.host.process import is_memory_short
from pyfc.supervisor.interface import Tended

_INTERVAL = 1.0
"""Seconds between two looks at the machine's memory."""


class Scaler:
    """The server's room for instances; see Room (interface.py)."""

    def __init__(self, maximum: int, descriptors: Descriptors = BUDGET) -> None:
        self._pools: set[Tended] = set()
        self._maximum = maximum
        self._descriptors = descriptors
        self._count = 0
        self._hungry: dict[Tended, None] = {}
        self._leaving = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, pool: Tended) -> None:
        """See Room."""
        self._pools.add(pool)

    def remove(self, pool: Tended) -> None:
        """See Room."""
        self._pools.discard(pool)

    def _relieve(self) -> None:
        """Every now and then while there are instances."""
        self._timer = None
        try:
            if is_memory_short() or self._descriptors.are_short():
                self._evict()
            self._feed()
        finally:
            if self._count or self._hungry:
                self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._relieve)

    def take(self, pool: Tended) -> bool:
        """See Room."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._relieve)
        has_room = not self._count or self._descriptors.has_room_for_instance()  # the first one is tried in any case
        if self._count < self._maximum and has_room:
            self._count += 1
            self._hungry.pop(pool, None)
            return True
        self._hungry[pool] = None
        if self._leaving < sum(len(hungry.waiting) for hungry in self._hungry):
            self._evict()
        return False

    def _evict(self) -> None:
        idle = [pool for pool in self._pools if pool.roster.idle]
        if idle:
            self._leaving += 1
            min(idle, key=lambda pool: (not pool.has_spare, pool.roster.idle_since)).evict()

    def started(self) -> None:
        """See Room."""
        self._descriptors.instance_has_started()

    def give_back(self) -> None:
        """See Room."""
        self._count -= 1
        self._leaving = max(0, self._leaving - 1)
        self._feed()

    def _feed(self) -> None:
        """Those who wait for room ask again; who gets none waits on."""
        for pool in list(self._hungry):
            if self._count >= self._maximum:
                return
            self._hungry.pop(pool)
            pool.grow()
