"""What people ask of asynchronous calls: their records, to stop them, to call again what was given up."""

from __future__ import annotations

import time

from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.errors import InvocationEnded, InvocationNotEnded
from pyfc.model.asynchronous import Event, Status
from pyfc.queues.interface import Depth, Filter, Outcome, Queue


class Records:
    """The records of one server's asynchronous calls: as the queue keeps them, or as the dispatcher has them now."""

    def __init__(self, queue: Queue, dispatcher: Dispatcher) -> None:
        self._queue = queue
        self._dispatcher = dispatcher

    async def list(self, wanted: Filter) -> list[Event]:
        """Records as they are kept."""
        return await self._queue.list(wanted)

    async def depth(self) -> Depth:
        """How many events wait, and how many were given up."""
        return await self._queue.depth()

    def unfinished(self) -> dict[tuple[str, str], int]:
        """How many events of each service and function wait, are delayed or run."""
        return self._queue.unfinished()

    async def find(self, service: str, function: str, name: str) -> Event | None:
        """The record of a call as it is now, by its id or its request id; '' as names for any function's."""
        found = await self._queue.get(service, function, name)
        return (self._dispatcher.held(found) or found) if found is not None else None

    async def stop(self, event: Event) -> None:
        """Do not call it any more; if it runs, end the instance that runs it. Raises InvocationEnded."""
        held = self._dispatcher.held(event)
        if (held or event).status.is_final:
            raise InvocationEnded(invocation=event.id, status=(held or event).status)
        if held is not None:
            self._dispatcher.stop(held)
            return
        stopped = event.copy(ended=time.time())
        stopped.note(Status.STOPPED, stopped.ended)
        if not await self._queue.replace(Outcome(stopped), event.status):
            raise InvocationEnded(invocation=event.id, status="something else by now")
        self._dispatcher.tell(stopped, stopped.status)

    async def retry(self, event: Event) -> None:
        """Call it again from the beginning: a dead letter that somebody believes in. Raises InvocationNotEnded,
        QueueFull.
        """
        self._check_ended(event, "retried")
        again = event.copy(attempts=0, error="", condition="", due=0.0, ended=0.0)
        again.note(Status.ENQUEUED, time.time(), "retried by hand")
        if not await self._queue.replace(Outcome(again), event.status):
            raise InvocationNotEnded(invocation=event.id, status="something else by now", what="retried")
        self._dispatcher.tell(again, again.status)
        self._dispatcher.arrived(again)

    async def drop(self, event: Event) -> None:
        """Forget the record of an event that has ended. Raises InvocationNotEnded."""
        self._check_ended(event, "dropped")
        if not await self._queue.replace(Outcome(event, forget=True), event.status):
            raise InvocationNotEnded(invocation=event.id, status="something else by now", what="dropped")
        self._dispatcher.tell(event, None)

    def _check_ended(self, event: Event, what: str) -> None:
        held = self._dispatcher.held(event)
        if held is not None or not event.status.is_final:
            raise InvocationNotEnded(invocation=event.id, status=(held or event).status, what=what)
