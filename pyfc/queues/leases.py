"""Which events of an engine of one process are held: taken, and not settled yet.

A reader may have seen a row before it was settled, and come back with it after that. So what is given back while
somebody reads stays out of reach until the last of those who read then has read.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pyfc.model.asynchronous import Event
from pyfc.model.names import Target


class Leases:
    """The events that are held, by lane and number."""

    def __init__(self) -> None:
        self._held: defaultdict[Target, set[int]] = defaultdict(set)
        self._late: defaultdict[Target, set[int]] = defaultdict(set)
        """Given back while somebody read."""
        self._reads: dict[object, list[Event]] = {}
        """Those that are reading, in their order, with what was given back meanwhile."""
        self._released: asyncio.Future[None] | None = None
        """Done when one of them has read, if somebody waits for that."""

    def hold(self, event: Event) -> bool:
        """Hold it from now on. False if it is out of reach: it is held, or was until a moment ago."""
        if not self.is_free(event.lane, event.number):
            return False
        self._held[event.lane].add(event.number)
        return True

    def holds(self, event: Event) -> bool:
        """Whether somebody has it."""
        return event.number in self._held.get(event.lane, ())

    def is_free(self, lane: Target, number: int) -> bool:
        """Whether it may be taken. To be asked in any thread."""
        return number not in self._held.get(lane, ()) and number not in self._late.get(lane, ())

    def hold_all(self, lane: Target, numbers: Iterable[int]) -> None:
        """Hold what was just read and is free."""
        self._held[lane].update(numbers)

    def give_back(self, events: Iterable[Event]) -> None:
        """They are settled, or nobody wants them now."""
        reading = next(reversed(self._reads.values())) if self._reads else None  # one thread reads: it ends last
        for event in events:
            self._held[event.lane].discard(event.number)
            if reading is not None:
                self._late[event.lane].add(event.number)
                reading.append(event)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is given back inside is out of reach until the end."""
        read = object()
        self._reads[read] = []
        try:
            yield
        finally:
            for event in self._reads.pop(read):
                self._late[event.lane].discard(event.number)
            released, self._released = self._released, None
            if released is not None:
                released.set_result(None)

    def is_held_back(self, lane: Target) -> bool:
        """Whether something of this lane is free again as soon as others have read: who takes now would miss it, and
        be told of it by nobody.
        """
        return bool(self._late.get(lane))

    async def next_release(self) -> None:
        """Return when one of those who read has read."""
        if self._released is None:
            self._released = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._released)
