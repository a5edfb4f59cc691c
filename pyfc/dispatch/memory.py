"""How much of what waits is in memory: a long queue, or many of them, must not fill it."""

from __future__ import annotations

from collections.abc import Iterable

from pyfc.model.asynchronous import Event

MOST_HELD, MOST_TAKEN = 64 * 1024 * 1024, 4 * 1024 * 1024
"""Bytes of events that are in memory, and that are read at once; a lane with none may always have one."""
_EVENT = 1024
"""Bytes that an event takes beside its payload."""


class Memory:
    """Counts the bytes of events that are in memory, and of those for which there must be room since they are read."""

    def __init__(self) -> None:
        self.held = 0

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return self.held < MOST_HELD

    def reserve(self) -> int:
        """Bytes that may be read now, for which there is room from now on."""
        size = max(1, min(MOST_TAKEN, MOST_HELD - self.held))
        self.held += size
        return size

    def fill(self, reserved: int, events: Iterable[Event]) -> None:
        """These were read."""
        self.held -= reserved
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """It is in memory."""
        self.held += _EVENT + len(event.payload)

    def drop(self, event: Event) -> None:
        """It is not any more."""
        self.held -= _EVENT + len(event.payload)
