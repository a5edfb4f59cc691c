"""Queue: events that were promised to be called, and the records of what became of them.

Promises of every engine: when `put` returns the event survives the end of the process and a loss of power; what
`settle` and `put` are given in one call happens as a whole; `take` gives the events of a lane in order of arrival,
those that are due, and never one that it has given before and that was not settled; after a start everything unsettled
is there to be taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target


class Filter(NamedTuple):
    """Which records are wanted."""

    service: str = ""
    function: str = ""
    qualifier: str = ""
    statuses: tuple[Status, ...] = ()
    prefix: str = ""
    """Of the id."""
    begin: float = 0.0
    end: float = float("inf")
    """When they were enqueued."""
    only_kept: bool = False
    """Given up and not dropped: dead letters."""
    newest_first: bool = True
    after: int = 0
    """The number of the last one that is known; 0 to begin."""
    limit: int = 100


class Depth(NamedTuple):
    """What a queue holds."""

    waiting: int
    delayed: int
    given_up: int


class Queue(Protocol):
    """One queue."""

    def put(self, events: Sequence[Event]) -> asyncio.Future[None]:
        """Keep new events; their `number` is set. Done when they are durable. Raises AlreadyExists for an id that the
        function has had, Unavailable when the engine fails; then none is kept.
        """

    async def settle(self, events: Sequence[Event], also: Sequence[Event] = (), *, forget: bool = False) -> None:
        """Write what has become of events, and with it new ones. An event whose status is final is never taken again;
        another one is taken when it is due. With `forget` final ones leave no record.
        """

    async def take(self, lane: Target, limit: int) -> list[Event]:
        """The next due events of a lane."""

    def claim(self, event: Event) -> None:
        """Take an event that was just put, while nobody is taking from its lane."""

    async def lanes(self) -> list[Target]:
        """Those that have events which are due."""

    async def next_due(self) -> float | None:
        """When the next delayed event is due; None if there is none. Those that are due already wait in their lanes."""

    async def get(self, service: str, function: str, name: str) -> Event | None:
        """The record of an event by its id or its request id; with '' as service and function of any."""

    async def list(self, wanted: Filter) -> list[Event]:
        """Records, in the wanted order."""

    async def sweep(self, before: float) -> int:
        """Forget the records of what had ended before; dead letters stay. How many."""

    async def depth(self) -> Depth:
        """How many events there are."""

    async def close(self) -> None:
        """End; what has been asked for before is done."""
