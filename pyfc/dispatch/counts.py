"""What asynchronous calls count for in the metrics of their functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from pyfc.dispatch.outcomes import function_of
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target
from pyfc.observe.metrics.point import Series


class _Context(msgspec.Struct, rename="camel"):
    function_arn: str


class _Message(msgspec.Struct, rename="camel"):
    request_context: _Context


_read = msgspec.json.Decoder(_Message).decode


class Counts:
    """Counts events, once each: what becomes of them is told when it is durable."""

    def __init__(self, note: Callable[[Series, Mapping[str, int]], None]) -> None:
        self._note = note

    def arrived(self, event: Event) -> None:
        """It is in the queue."""
        if not event.address:
            self._note(Series(*event.target), {"enqueued": 1})

    def followed(self, event: Event) -> None:
        """It is in the queue since another one has ended: a function that is a destination has its message by that."""
        source = _source(event) if not event.address else None
        if source is not None:
            self._note(Series(*source), {"destination_successes": 1})

    def settled(self, event: Event) -> None:
        """It has ended, and that is durable."""
        if event.address:
            source = _source(event)
            if source is not None and event.status is not Status.STOPPED:
                field = "destination_successes" if event.status is Status.SUCCEEDED else "destination_errors"
                self._note(Series(*source), {field: 1})
            return
        waited = round(max(_begun(event) - event.enqueued, 0.0) * 1_000_000)
        values = {"dequeued": 1, "async_wait_us": waited, "async_wait_max_us": waited}
        self._note(Series(*event.target), {**values, "expired": int(event.status is Status.EXPIRED)})


def _begun(event: Event) -> float:
    """When it ran first, or ended without."""
    runs = (moment for status, moment, _ in event.history if status == Status.RUNNING.value)
    return next(runs, event.ended or time.time())


def _source(event: Event) -> Target | None:
    """The function whose call a message to a destination is about; None for what is no such message."""
    try:
        return function_of(_read(event.payload).request_context.function_arn)
    except msgspec.MsgspecError:
        return None
