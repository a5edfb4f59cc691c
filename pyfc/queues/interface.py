"""Queue: events that were promised to be called, and the records of what became of them.

Promises of every engine: when `put` returns the event survives the end of the process and a loss of power; what
`settle` and `put` are given in one call happens as a whole; `take` gives the events of a lane in order of arrival,
those that are due, and never one that it has given before and that was not settled; after a start everything unsettled
is there to be taken. What can not be read is passed over. When records take more room than they may, the oldest of who
has most of them are forgotten.
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


class Outcome(NamedTuple):
    """What has become of an event."""

    event: Event
    followers: Sequence[Event] = ()
    """New ones that it leads to."""
    forget: bool = False
    """Leave no record of it, if its status is final."""


class Queue(Protocol):
    """One queue."""

    def now(self) -> float:
        """The queue's own time, in seconds that go on evenly whatever is done to the machine's clock."""

    def put(self, events: Sequence[Event]) -> asyncio.Future[bool]:
        """Keep new events; their `number`, `size` and `born` are set. Done when they are durable. Raises QueueFull, at
        once; AlreadyExists for an id that the function has had, Unavailable when the engine fails; then none is kept.
        """

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write what has become of events that were taken, and with it new ones, all in one step. An event whose status
        is final is never taken again; another one is taken when it is due.
        """

    async def replace(self, outcome: Outcome, expected: Status) -> bool:
        """Write another state of an event that nobody has taken. False, and nothing is written, unless what is kept of
        it has the status that is expected.
        """

    async def take(self, lane: Target, limit: int, size: int = ...) -> list[Event]:
        """The next due events of a lane: at most `limit`, and not many more bytes than `size`. None: there are none."""

    def claim(self, event: Event) -> bool:
        """Take an event that was just put, while nobody is taking from its lane. False if it was taken already: it may
        be read before who has put it hears that it is there.
        """

    async def lanes(self) -> list[Target]:
        """Those that have events which are due."""

    async def next_due(self) -> float | None:
        """When the next delayed event is due; None if there is none. Those that are due already wait in their lanes."""

    async def get(self, service: str, function: str, name: str) -> Event | None:
        """The record of an event by its id or its request id; with '' as service and function of any."""

    async def list(self, wanted: Filter) -> list[Event]:
        """Records, in the wanted order."""

    async def sweep(self, before: float) -> int:
        """Forget the records of what had ended before that time of the queue's; dead letters stay. How many."""

    async def depth(self) -> Depth:
        """How many events there are."""

    async def close(self) -> None:
        """End; what has been asked for before is done."""
