"""Started workers that wait for somebody to need them. One that is taken is replaced a moment later, so that its own
start is not slowed down by that of the next one. None is made while descriptors are short.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Iterator

from pyfc.errors import HostRefused
from pyfc.host.descriptors import BUDGET
from pyfc.tasks import Tasks
from pyfc.workers.launch import Worker

_log = logging.getLogger(__name__)
_REFILL_DELAY = 0.01


class Spares:
    """Spares of one kind, made by `make`; `wanted` tells how many there should be."""

    def __init__(self, make: Callable[[], Awaitable[Worker]], wanted: Callable[[], int]) -> None:
        self._make = make
        self._wanted = wanted
        self._ready: deque[Worker] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        self._task: asyncio.Task[None] | None = None
        self._dropped = False

    def take(self) -> Worker | None:
        """One that lives, if there is one."""
        while self._ready:
            worker = self._ready.popleft()
            if worker.process.exit is None:
                return worker
            worker.close()
        return None

    def refill(self) -> None:
        """Make what is missing, a moment after the last time that one was needed."""
        if self._dropped or (self._task is not None and not self._task.done()):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_REFILL_DELAY, self._start)

    def _start(self) -> None:
        self._task = self._tasks.begin("making spare workers", self._fill())

    async def _fill(self) -> None:
        try:
            while self._lacks():
                with BUDGET.making():
                    worker = await self._make()
                if self._dropped:
                    discard(worker)
                else:
                    self._ready.append(worker)
        except HostRefused as error:
            _log.info("no spare worker: %s", error)  # the next launch will tell whoever needs it
        except Exception:
            _log.exception("no spare worker could be made")

    def _lacks(self) -> bool:
        return not self._dropped and len(self._ready) < self._wanted() and not BUDGET.are_short()

    def drop(self) -> None:
        """Nobody needs them any more."""
        self._dropped = True
        if self._timer is not None:
            self._timer.cancel()
        while self._ready:
            discard(self._ready.popleft())

    async def close(self) -> deque[Worker]:
        """No more are made; those that there are, for the caller to close when they are gone."""
        self._dropped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        return self._ready


@contextlib.contextmanager
def undone(worker: Worker) -> Iterator[None]:
    """Discard a worker if what is made of it cannot be made."""
    try:
        yield
    except BaseException:
        discard(worker)
        raise


def discard(worker: Worker) -> None:
    """Kill a worker that nobody has seen; what it occupies is given back when it is gone."""
    for descriptor in (worker.incoming, worker.outgoing, worker.output):
        asyncio.get_running_loop().remove_reader(descriptor)
    if worker.process.exit is not None:
        worker.close()
        return
    worker.process.when_gone(lambda _: worker.close())
    worker.process.send_signal(signal.SIGKILL)
