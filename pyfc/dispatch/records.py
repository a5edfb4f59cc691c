"""What people ask of asynchronous calls: their records, to stop them, to call again what was given up."""

from __future__ import annotations

import time

from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.lane import end_call
from pyfc.errors import InvocationEnded, InvocationNotEnded
from pyfc.model.asynchronous import Event, Policy, Status
from pyfc.queues.interface import Depth, Filter, Outcome
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
        return (self._dispatcher.held(found) or found) if found is not None else None

    async def stop(self, event: Event) -> None:
        """Do not call it any more; if it runs, end the instance that runs it. Raises InvocationEnded."""
        held = self._dispatcher.held(event)
        if (held or event).status.is_final:
            raise InvocationEnded(invocation=event.id, status=(held or event).status)
        if held is None:
            await self._stop_waiting(event)
        elif held.number not in self._dispatcher.lanes[event.lane].running:
            self._dispatcher.stop(held)
        else:
            self._stop_running(held)

    async def _stop_waiting(self, event: Event) -> None:
        """One that nobody has taken yet."""
        stopped, expected = event.copy(), event.status
        stopped.ended = time.time()
        stopped.note(Status.STOPPED, stopped.ended)
        if not await self._dispatcher.queue.replace(Outcome(stopped), expected):
            raise InvocationEnded(invocation=event.id, status="something else by now")

    def _stop_running(self, event: Event) -> None:
        event.note(Status.STOPPING, time.time())
        ticket = self._dispatcher.tickets.get(event.number)
        if ticket is not None and ticket.cancel():
            self._dispatcher.finish(event, Status.STOPPED, Policy())
            return
        for entry in list(self._dispatcher.supervisor.table.entries.values()):
            if isinstance(entry.route, Pool) and entry.function.target[:2] == event.target[:2]:
                end_call(entry.route, event.request_id)

    async def retry(self, event: Event) -> None:
        """Call it again from the beginning: a dead letter that somebody believes in. Raises InvocationNotEnded,
        QueueFull.
        """
        self._check_ended(event, "retried")
        again = event.copy(attempts=0, error="", condition="", due=0.0, ended=0.0)
        again.note(Status.ENQUEUED, time.time(), "retried by hand")
        if not await self._dispatcher.queue.replace(Outcome(again), event.status):
            raise InvocationNotEnded(invocation=event.id, status="something else by now", what="retried")
        self._dispatcher.arrived(again)

    async def drop(self, event: Event) -> None:
        """Forget the record of an event that has ended. Raises InvocationNotEnded."""
        self._check_ended(event, "dropped")
        if not await self._dispatcher.queue.replace(Outcome(event, forget=True), event.status):
            raise InvocationNotEnded(invocation=event.id, status="something else by now", what="dropped")

    def _check_ended(self, event: Event, what: str) -> None:
        held = self._dispatcher.held(event)
        if held is not None or not event.status.is_final:
            raise InvocationNotEnded(invocation=event.id, status=(held or event).status, what=what)
