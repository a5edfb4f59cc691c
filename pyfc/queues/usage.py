"""What a queue holds, by function, and whether there is room for more: a function that anybody may call must not fill
the disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pyfc.errors import QueueFull
from pyfc.model.asynchronous import Event, Status
from pyfc.queues.interface import Outcome

Owner = tuple[str, str]
"""Service and function; ('', ADDRESS) for a destination."""
_ROW = 1024
"""Bytes that an event takes beside its payload, its result and its log."""


class Bounds(NamedTuple):
    """How much a queue takes. What waits: in number and bytes, of one function and in all; records: bytes in all."""

    events: int = 1_000_000
    size: int = 1 << 30
    all_events: int = 4_000_000
    all_size: int = 4 << 30
    records_size: int = 2 << 30


def size_of(event: Event) -> int:
    """Bytes that an event counts for."""
    size = _ROW + len(event.payload) + len(event.result) + len(event.log)
    if event.http is not None:
        size += len(event.http[2]) + sum(len(name) + len(value) for name, value in event.http[4])
    if event.trace is not None:
        span, baggage = event.trace
        size += len(span) + sum(len(name) + len(value) for name, value in baggage.items())
    return size


class _Amount:
    __slots__ = ("count", "size")

    def __init__(self) -> None:
        self.count = self.size = 0


class Usage:
    """Counts what waits and what are records."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._waiting: dict[Owner, _Amount] = {}
        self._records: dict[Owner, _Amount] = {}
        self._all = _Amount()
        self._all_records = _Amount()

    def claim(self, event: Event) -> None:
        """One more waits. Raises QueueFull if there is no room for it."""
        bounds, total, size = self._bounds, self._all, event.size
        owner = event.lane[:2]
        own = self._waiting.get(owner)
        if own is None:
            own = self._waiting[owner] = _Amount()
        if total.count >= bounds.all_events or total.size + size > bounds.all_size:
            raise _full(event, "in all", total)
        if own.count >= bounds.events or own.size + size > bounds.size:
            raise _full(event, "of it", own)
        own.count += 1
        own.size += size
        total.count += 1
        total.size += size

    def wait(self, owner: Owner, size: int, count: int = 1) -> None:
        """So much more waits; less, if `count` is negative (and so `size`)."""
        _add(self._waiting, self._all, owner, size, count)

    def counts(self) -> dict[Owner, int]:
        """How many wait, by whose they are."""
        return {owner: amount.count for owner, amount in self._waiting.items() if amount.count}

    def keep(self, owner: Owner, size: int, count: int = 1) -> None:
        """There are so many more records, or fewer."""
        _add(self._records, self._all_records, owner, size, count)

    def take_off(self, events: Iterable[Event]) -> None:
        """They do not wait after all."""
        for event in events:
            self.wait(event.lane[:2], -event.size, -1)

    def settle(self, outcome: Outcome, size: int) -> None:
        """It is written: what waited is something else now, of another size."""
        event = outcome.event
        self.take_off([event])
        if not outcome.leaves_nothing:
            (self.keep if event.status.is_final else self.wait)(event.lane[:2], size)
            event.size = size
        for each in outcome.followers:
            self.wait(each.lane[:2], each.size)

    def replace(self, outcome: Outcome, size: int, before: Status) -> None:
        """It is written in the place of what it was before."""
        event = outcome.event
        owner = event.lane[:2]
        (self.keep if before.is_final else self.wait)(owner, -event.size, -1)
        event.size = size
        if not outcome.forget:
            (self.keep if event.status.is_final else self.wait)(owner, size)

    def excess(self) -> tuple[Owner, int] | None:
        """Bytes of records to be forgotten, and whose: of who has most of them. None if there is room."""
        excess = self._all_records.size - self._bounds.records_size
        if excess <= 0:
            return None
        owner, most = max(self._records.items(), key=lambda each: each[1].size)
        return owner, min(excess + self._bounds.records_size // 16, most.size)


def _add(amounts: dict[Owner, _Amount], total: _Amount, owner: Owner, size: int, count: int) -> None:
    amount = amounts.get(owner)
    if amount is None:
        amount = amounts[owner] = _Amount()
    amount.count += count
    amount.size += size
    total.count += count
    total.size += size
    if not amount.count:
        total.size -= amount.size
        del amounts[owner]


def _full(event: Event, whose: str, amount: _Amount) -> QueueFull:
    reason = f"{amount.count} calls {whose} wait already, with {amount.size} bytes"
    return QueueFull(function=event.target.function, service=event.target.service, reason=reason)
