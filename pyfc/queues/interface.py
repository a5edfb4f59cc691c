"""Queue: events that were promised to be called, and the records of what became of them.

Promises of every engine:

1. When `put` returns, the event survives the end of the process and a loss of power.
2. Who takes an event has a lease of it: nobody else is given it until it is settled, or until the process that took it
   has ended or closed the queue; then it is there to be taken. The lease is the engine's, which keeps it for as long as
   the process lives; nobody else remembers or renews it.
3. An outcome is one step: what has become of the event, and new ones that follow from it, are written together or not
   at all. To settle again what has ended changes nothing: it was written although that seemed to fail, or by somebody
   who was given the event when the lease of this one was lost.
4. `take` gives the events of a lane in order of arrival, those that are due. What cannot be read is passed over.
5. Marks that come with events are written with them or not at all: a source of events remembers by them what it has
   seen.
6. When records take more room than they may, the oldest of who has most of them are forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
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

    @property
    def leaves_nothing(self) -> bool:
        """Whether there is no record of the event any more."""
        return self.forget and self.event.status.is_final


NO_MARKS: Mapping[str, str] = MappingProxyType({})


class Queue(Protocol):
    """One queue."""

    def now(self) -> float:
        """The queue's own time, in seconds that go on evenly whatever is done to the machine's clock."""

    def put(self, events: Sequence[Event], marks: Mapping[str, str] = NO_MARKS) -> asyncio.Future[bool]:
        """Keep new events; their `number`, `size` and `born` are set. Done when they are durable. Raises QueueFull, at
        once; AlreadyExists for an id that the function has had, Unavailable when the engine fails; then none is kept.
        `marks`: values by name that are kept with them; '' forgets one.
        """

    async def marks(self, prefix: str) -> dict[str, str]:
        """The marks whose names begin with `prefix`."""

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write what has become of events that were taken, and end their leases. One whose status is final is never
        taken again; another one is taken when it is due. Raises AlreadyExists for the id of a new one, Unavailable when
        the engine fails; some of them may be written then, and who settles all of them again does no harm.
        """

    async def replace(self, outcome: Outcome, expected: Status) -> bool:
        """Write another state of an event. False, and nothing is written, if somebody has a lease of it, or what is
        kept of it has another status than expected.
        """

    async def take(self, lane: Target, limit: int, size: int = ...) -> list[Event]:
        """The next due events of a lane: at most `limit`, and not many more bytes than `size`. None: there are none."""

    def claim(self, event: Event) -> bool:
        """Take an event that was just put, without asking for it. False if it must be asked for: somebody has taken it
        already, or the engine cannot know.
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

    def unfinished(self) -> dict[tuple[str, str], int]:
        """How many events have not ended (they wait, are delayed or run), by the service and function that have any."""

    async def close(self) -> None:
        """End, and with it every lease; what has been asked for before is done."""
