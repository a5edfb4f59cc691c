"""The asynchronous calls of a server: the door through which they come, and the parts that see to them.

1. A 202 is sent after `submit` returned: the event is durable then. It runs at least once: what was not settled when
   the server died runs again after its start, with the same request id.
2. `lanes` take events out of the queue, `attempts` call functions, `endings` say what becomes of an event, `outbox`
   writes that, `alarm` knows when delayed ones are due.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pyfc.calls.table import Table
from pyfc.dispatch.alarm import Alarm
from pyfc.dispatch.attempts import Attempts, DispatchContext
from pyfc.dispatch.counts import Counts
from pyfc.dispatch.endings import Endings
from pyfc.dispatch.lane import Gate, Lane
from pyfc.dispatch.lanes import Lanes
from pyfc.dispatch.outbox import Outbox
from pyfc.dispatch.persistence import until_done
from pyfc.model.asynchronous import Event, Policy, Status
from pyfc.model.names import Target
from pyfc.observe.metrics.gauges import Queued
from pyfc.queues.interface import NO_MARKS, Filter, Queue
from pyfc.tasks import Tasks

Listener = Callable[[Event, Status | None], None]
_log = logging.getLogger(__name__)
_SWEEP = 3600.0
_KEPT = 10_000


class Dispatcher:
    """The asynchronous calls of one server."""

    def __init__(self, queue: Queue, context: DispatchContext) -> None:
        self._settings = settings = context.settings
        self._queue = queue
        self._tasks = Tasks()
        self._listeners: list[Listener] = []
        self._lanes = Lanes(queue, self._tasks, self._begin)
        self._alarm = Alarm(queue, self._tasks, self._lanes.look)
        self._counts = Counts(context.note)
        outbox = Outbox(queue, self._tasks, self._settled, self._followed)
        self._endings = Endings(settings, queue.now, outbox.add)
        self._attempts = Attempts(context, self._tasks, self._lanes, self._endings)

    async def start(self) -> None:
        """Take up what the queue holds. What the table leads to is served already."""
        for event in await self._queue.list(Filter(only_kept=True, limit=_KEPT)):
            self._endings.keep_code(event)
        self._alarm.look()
        self._tasks.begin("forgetting old records of asynchronous calls", self._sweep())

    @property
    def kept_codes(self) -> set[str]:
        """Digests of the code of events that were given up: it stays, so that they can be replayed."""
        return self._endings.kept_codes

    @property
    def queue(self) -> Queue:
        """Where they wait."""
        return self._queue

    def submit(self, event: Event, delay: float = 0.0) -> asyncio.Future[bool]:
        """Promise to call, not before `delay` seconds from now: done when the event is durable. Raises QueueFull, at
        once; AlreadyExists, Unavailable.
        """
        event.due = self._queue.now() + delay if delay else 0.0
        return self.submit_all([event])

    def submit_all(self, events: Sequence[Event], marks: Mapping[str, str] = NO_MARKS) -> asyncio.Future[bool]:
        """Promise some calls or none, and keep the marks with them. Raises as `submit` does."""
        now = time.time()
        for event in events:
            event.enqueued = now
            event.note(Status.ENQUEUED, now)
        return self._queue.put(events, marks)

    def arrived(self, event: Event) -> None:
        """An event is in the queue now: to be told by who has put it there."""
        self._counts.arrived(event)
        if event.due > self._queue.now():
            self._alarm.set(event.due)
        else:
            self._lanes.arrived(event)

    def _followed(self, event: Event) -> None:
        """An event is in the queue now that follows from the end of another one."""
        self._counts.followed(event)
        self.arrived(event)

    def queued(self) -> list[Queued]:
        """How many events of each function have not ended, and run."""
        running = Counter[tuple[str, str]]()
        for lane in self._lanes.all():
            running[lane.name[:2]] += len(lane.running)
        unfinished = self._queue.unfinished()
        return [Queued(*names, count, running[names]) for names, count in unfinished.items() if names[0]]

    def hear(self, listener: Listener) -> None:
        """Tell what becomes of calls that triggers have fired."""
        self._listeners.append(listener)

    def tell(self, event: Event, status: Status | None) -> None:
        """Something has become of an event: its status, None if its record was dropped."""
        if status is not None and status.is_final:
            self._counts.settled(event)
        for listener in self._listeners if event.trigger else ():
            listener(event, status)

    def _begin(self, lane: Lane, event: Event) -> None:
        self._attempts.begin(lane, event)

    def _settled(self, event: Event) -> None:
        """Its outcome is durable."""
        if not event.status.is_final:
            self._alarm.set(event.due)
        self._lanes.settled(event)
        if event.status.is_final:
            self.tell(event, event.status)

    def use(self, table: Table) -> None:
        """Something else is served: calls of a function that is enabled again begin, those of one that is disabled
        wait.
        """
        lanes = list(self._lanes.all())
        disabled = [lane for lane in lanes if lane.gate is Gate.DISABLED]
        self._attempts.use(table, [lane for lane in lanes if lane.running and lane not in disabled])
        for lane in disabled:
            self._lanes.resume(lane)

    def held(self, event: Event) -> Event | None:
        """An event as it is in memory, if it is."""
        return self._lanes.held(event)

    def stop(self, event: Event) -> None:
        """Make an end of an event that is in memory; if it runs, of the instance that runs it too."""
        if self._lanes.withdraw(event):
            self._endings.finish(event, Status.STOPPED)
        else:
            self._attempts.stop(event)

    def deepest(self, function: Target) -> int:
        """How many calls have led to what a function does now, at the most."""
        return self._lanes.deepest(function)

    def policy(self, target: Target) -> Policy:
        """The asynchronous configuration of a function: of this qualifier, else of the newest version."""
        return self._attempts.policy(target)

    async def _sweep(self) -> None:
        """Forget old records, now and every hour."""
        while True:
            before = self._queue.now() - self._settings.async_retention
            await until_done("old records can not be forgotten", partial(self._queue.sweep, before))
            await asyncio.sleep(_SWEEP)

    async def close(self) -> None:
        """Take nothing more, and wait for what runs, for at most `drain_timeout`: the rest runs again after the next
        start.
        """
        self._alarm.stop()
        try:
            async with asyncio.timeout(self._settings.drain_timeout):
                await self._lanes.close()
        except TimeoutError:
            _log.warning("asynchronous calls still run; they are called again after the next start")
        await self._tasks.close()
