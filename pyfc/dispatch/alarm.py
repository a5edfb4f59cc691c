"""When delayed events are due: one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from pyfc.dispatch.persistence import until_done
from pyfc.model.names import Target
from pyfc.queues.interface import Queue
from pyfc.tasks import Tasks

_LONGEST = 60.0
"""Seconds after which one looks again what is due: a machine that slept has timers that know nothing of it."""


class Alarm:
    """Looks into the queue when something is due; `due` hears which lanes have something."""

    def __init__(self, queue: Queue, tasks: Tasks, due: Callable[[Sequence[Target]], None]) -> None:
        self._queue = queue
        self._tasks = tasks
        self._tell = due
        self._timer: asyncio.TimerHandle | None = None
        self._at = float("inf")
        self._is_stopped = False

    def look(self) -> None:
        """Look now, and then whenever something is due."""
        self._timer, self._at = None, float("inf")
        self._tasks.begin("looking for delayed calls", self._awaken())

    def set(self, at: float) -> None:
        """Look at that time of the queue's, or before if that was planned."""
        if self._is_stopped or (at >= self._at and self._timer is not None):
            return
        self._cancel()
        self._at = at
        delay = min(max(0.0, at - self._queue.now()), _LONGEST)
        self._timer = asyncio.get_running_loop().call_later(delay, self.look)

    def stop(self) -> None:
        """Look no more."""
        self._is_stopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def _awaken(self) -> None:
        due = await until_done("delayed calls can not be looked for", self._look)
        if due is not None:
            self.set(due)

    async def _look(self) -> float | None:
        due = await self._queue.next_due()
        self._tell(await self._queue.lanes())
        return due
