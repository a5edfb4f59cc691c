"""What becomes of a pool's idle instances: frozen after `freeze_after`, released after `idle_timeout`.

1. A frozen instance gets no processor at all; a call thaws it. preFreeze runs before, and the instance takes no call
   meanwhile.
2. No more are released than leave the reserved ones.
3. There is one timer per pool, armed for the next thing to do; the warm path does not know of it.
"""

from __future__ import annotations

import asyncio

from pyfc.model.instance import State
from pyfc.supervisor.instance import Instance
from pyfc.supervisor.interface import Tended
from pyfc.tasks import Tasks

_PAUSE = 0.05
"""Seconds between two looks."""


class Idleness:
    """Looks after the idle instances of one pool."""

    def __init__(self, pool: Tended, freeze_after: float, idle_timeout: float) -> None:
        self._pool = pool
        self._freeze_after = freeze_after
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()

    @property
    def freezing(self) -> int:
        """Instances whose preFreeze runs."""
        return len(self._tasks)

    def arm(self) -> None:
        """An instance is, or may soon be, idle."""
        soonest = self._loop.time() + max(_PAUSE, min(self._freeze_after, self._idle_timeout))
        if self._timer is None or self._timer.when() > soonest:
            self._arm(soonest)

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look)

    def woken(self, instance: Instance) -> Instance:
        """It is needed for a call."""
        if instance.is_frozen:
            instance.thaw()
            self.arm()
        return instance

    def _look(self) -> None:
        self._timer = None
        try:
            self._look_now(self._loop.time())
        finally:
            if self._pool.roster.instances:
                now = self._loop.time()
                self._arm(max(now + _PAUSE, self._next(now)))

    def _look_now(self, now: float) -> None:
        pool = self._pool
        while pool.roster.idle and pool.roster.idle_since <= now - self._idle_timeout and pool.has_spare:
            pool.evict()
        for instance, since in list(pool.roster.idle.items()):
            if not instance.is_frozen and since <= now - self._freeze_after:
                self._freeze(instance)

    def _next(self, now: float) -> float:
        """When there is something to do, if nothing happens before."""
        roster = self._pool.roster
        warm = [since for instance, since in roster.idle.items() if not instance.is_frozen]
        busy = len(roster.instances) > len(roster.idle)
        freeze = min([*warm, *([now] if busy else [])], default=float("inf")) + self._freeze_after
        is_spare = roster.idle and self._pool.has_spare
        return min(freeze, (roster.idle_since if is_spare else now) + self._idle_timeout)

    def _freeze(self, instance: Instance) -> None:
        if not instance.has_pre_freeze:
            instance.freeze()
            return
        since = self._pool.roster.idle.pop(instance)
        name = f"the preFreeze hook of instance {instance.id}"
        self._tasks.begin(name, self._freeze_politely(instance, since), lambda _: instance.kill())

    async def _freeze_politely(self, instance: Instance, since: float) -> None:
        await instance.pre_freeze()
        if instance.state is not State.FREEZING:
            return
        pool = self._pool
        if pool.waiting or pool.draining:
            instance.thaw()
            pool.serve_waiting(instance)
            return
        instance.freeze()
        pool.roster.rest_again(instance, since)
