"""Receivers that wait until a queue has a message for them."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque


class Arrivals:
    """Who waits at which queue; queues are told apart by their numbers."""

    def __init__(self) -> None:
        self._waiting: defaultdict[int, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._alarms: dict[int, asyncio.TimerHandle] = {}
        self.is_closed = False
        """Whether nobody waits any more."""

    def enter(self, queue: int) -> asyncio.Future[None]:
        """Wait: what is returned is done when there may be a message. Enter before looking, so that none is missed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.is_closed:
            waiter.set_result(None)
        self._waiting[queue].append(waiter)
        return waiter

    def again(self, queue: int, waiter: asyncio.Future[None]) -> asyncio.Future[None]:
        """Wait on, behind the others if it was told of a message: see enter."""
        if not waiter.done():
            return waiter
        self._waiting[queue].remove(waiter)
        return self.enter(queue)

    def leave(self, queue: int, waiter: asyncio.Future[None]) -> None:
        """Wait no more. What it was told is another one's now."""
        line = self._waiting[queue]
        line.remove(waiter)
        if waiter.done():
            self.told(queue, 1)
        if not line:
            del self._waiting[queue]
            alarm = self._alarms.pop(queue, None)
            if alarm is not None:
                alarm.cancel()

    def told(self, queue: int, count: int) -> None:
        """So many messages have come: wake those who have waited for longest."""
        for waiter in self._waiting.get(queue, ()):
            if not count:
                break
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    def expect(self, queue: int, seconds: float) -> None:
        """A message can be received after so many seconds."""
        if queue not in self._waiting:
            return
        loop = asyncio.get_running_loop()
        alarm = self._alarms.get(queue)
        due = loop.time() + max(seconds, 0)
        if alarm is None or due < alarm.when():
            if alarm is not None:
                alarm.cancel()
            self._alarms[queue] = loop.call_at(due, self._ring, queue)

    def _ring(self, queue: int) -> None:
        del self._alarms[queue]
        self.told_all(queue)

    def told_all(self, queue: int) -> None:
        """Wake all who wait at a queue."""
        self.told(queue, len(self._waiting.get(queue, ())))

    def close(self) -> None:
        """Nobody waits any more."""
        self.is_closed = True
        for queue in self._waiting:
            self.told_all(queue)
