"""What has become of events, until it is written.

One that cannot be written must hold up no other: a batch that the queue refuses is written one by one, each as often
as it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pyfc.dispatch.persistence import report, until_done
from pyfc.errors import Unavailable
from pyfc.model.asynchronous import Event
from pyfc.queues.interface import Outcome, Queue
from pyfc.tasks import Tasks

_WHAT = "the outcome of an asynchronous call can not be written"


class Outbox:
    """Writes outcomes; `written` hears of each that is durable, `arrived` of each new event that followed from it."""

    def __init__(
        self, queue: Queue, tasks: Tasks, written: Callable[[Event], None], arrived: Callable[[Event], None]
    ) -> None:
        self._queue = queue
        self._tasks = tasks
        self._written = written
        self._arrived = arrived
        self._waiting: list[Outcome] = []
        self._is_writing = False

    def add(self, outcome: Outcome) -> None:
        """Write an outcome, with whatever else there is to write."""
        self._waiting.append(outcome)
        if not self._is_writing:
            self._is_writing = True
            self._tasks.begin("the outcomes of asynchronous calls", self._write())

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await until_done(_WHAT, partial(self._settle, batch))
        finally:
            self._is_writing = False

    async def _settle(self, batch: list[Outcome]) -> None:
        """Raises Unavailable: then nothing can be written now."""
        try:
            await self._queue.settle(batch)
        except Unavailable:
            raise
        except Exception as error:
            if len(batch) > 1:
                report(f"{_WHAT} with others: {len(batch)} are written one by one", error)
            for outcome in batch:
                self._tasks.begin("the outcome of an asynchronous call", self._alone(outcome))
        else:
            for outcome in batch:
                self._tell(outcome)

    async def _alone(self, outcome: Outcome) -> None:
        what = f"{_WHAT}: {outcome.event.request_id} of {'/'.join(outcome.event.lane)}"
        await until_done(what, partial(self._queue.settle, [outcome]))
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        try:
            self._written(outcome.event)
            for event in outcome.followers:
                self._arrived(event)
        except Exception as error:
            report("what follows from an asynchronous call", error)
