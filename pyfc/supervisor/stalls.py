"""Finds calls that hold others up: these go elsewhere, and the pool learns of it before the long one has ended."""

from __future__ import annotations

import asyncio
import time

from pyfc.supervisor.interface import Tended
from pyfc.workers.interface import Calls

_STALL = 0.01
"""Seconds after which a call that holds others up is no short one."""


class Stalls:
    """Looks at the calls of one pool."""

    def __init__(self, pool: Tended) -> None:
        self.is_armed = False
        self._pool = pool

    def arm(self) -> None:
        """Calls wait, or stand behind others."""
        if not self.is_armed:
            self.is_armed = True
            asyncio.get_running_loop().call_later(_STALL, self._look)

    def _look(self) -> None:
        """Take back what was sent behind a long call, and let its age count as run time."""
        self.is_armed = False
        pool, now = self._pool, time.monotonic()
        links = pool.roster.by_link
        for link in list(links):
            self._look_at(link, now)
        pool.judge()
        pool.grow()
        if pool.waiting or any(link.in_flight for link in links):
            self.arm()

    def _look_at(self, link: Calls, now: float) -> None:
        began = min((flight.started for _, flight in link.discipline.begun()), default=now)
        self._pool.runs(now - began)
        if link.discipline.is_stalled(now - _STALL):
            self._pool.returned(link, link.discipline.take_back())
        if began < now - _STALL or not link.in_flight:
            link.listen()
