"""What people ask of asynchronous calls: their records, to stop them, to call again what was given up."""

from __future__ import annotations

import dataclasses
import time

from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.lanes import Lane, end_call
from pyfc.model.asynchronous import Event, Policy, Status
from pyfc.queues.interface import Depth, Filter
from pyfc.supervisor.pool import Pool


class Records:
    """The records of one server's asynchronous calls."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def list(self, wanted: Filter) -> list[Event]:
        """Records as they are kept."""
        return await self._dispatcher.queue.list(wanted)

    async def depth(self) -> Depth:
        """How many events wait, and how many were given up."""
        return await self._dispatcher.queue.depth()

    async def find(self, service: str, function: str, name: str) -> Event | None:
        """The record of a call as it is now, by its id or its request id; '' as names for any function's."""
        found = await self._dispatcher.queue.get(service, function, name)
        lane = self._dispatcher.lanes.get(found.lane) if found is not None else None
        running = lane.running.get(found.number) if found is not None and lane is not None else None
        return running or found

    async def stop(self, event: Event) -> None:
        """Do not call it any more; if it runs, end the instance that runs it."""
        lane = self._dispatcher.lanes.setdefault(event.lane, Lane())
        running = lane.running.get(event.number)
        if running is None:
            waiting = next((each for each in lane.ready if each.number == event.number), None)
            if waiting is not None:
                lane.ready.remove(waiting)
            event = waiting or event
            event.ended = time.time()
            event.note(Status.STOPPED, event.ended)
            await self._dispatcher.queue.settle([event])
            return
        running.note(Status.STOPPING, time.time())
        ticket = self._dispatcher.tickets.get(event.number)
        if ticket is not None and ticket.cancel():
            self._dispatcher.finish(running, Status.STOPPED, Policy())
            return
        for entry in list(self._dispatcher.supervisor.table.entries.values()):
            if isinstance(entry.route, Pool) and entry.function.target[:2] == running.target[:2]:
                end_call(entry.route, running.request_id)

    async def retry(self, event: Event) -> None:
        """Call it again from the beginning: a dead letter that somebody believes in."""
        again = dataclasses.replace(event, attempts=0, error="", condition="", due=0.0, ended=0.0)
        again.note(Status.ENQUEUED, time.time(), "retried by hand")
        await self._dispatcher.queue.settle([again])
        self._dispatcher.arrived(again)

    async def drop(self, event: Event) -> None:
        """Forget the record of an event that has ended."""
        event.status = Status.SUCCEEDED
        await self._dispatcher.queue.settle([event], forget=True)
