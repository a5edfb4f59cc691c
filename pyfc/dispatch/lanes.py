"""What the dispatcher keeps in memory of a lane, and what events are made into."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from pyfc.model.asynchronous import Event
from pyfc.model.function import Function
from pyfc.model.invocation import HttpRequest
from pyfc.model.names import LATEST
from pyfc.supervisor.pool import Pool


class Lane:
    """The events of one function or destination that are in memory."""

    def __init__(self) -> None:
        self.ready: deque[Event] = deque()
        self.running: dict[int, Event] = {}
        self.is_whole = False
        """Whether no others of it wait in the queue."""
        self.is_fetching = False
        self.refusals = 0
        self.pause: asyncio.TimerHandle | None = None


def request_of(kept: tuple[Any, ...] | None) -> HttpRequest | None:
    """The request of an HTTP function, as the queue keeps it."""
    if kept is None:
        return None
    method, path, uri, client, headers = kept
    return HttpRequest(method, path, uri, client, [(name, value) for name, value in headers])


def version_text(function: Function) -> str:
    """The version of a function and the code it has, as a record keeps them: version, checksum, digest."""
    code = function.code
    return f"{function.version_id or LATEST} {code.checksum} {code.digest}" if code is not None else LATEST


def end_call(pool: Pool, request_id: str) -> None:
    """End the instance that runs a call, as if it had been late."""
    for instance in list(pool.instances):
        flights = instance.link.in_flight.values() if instance.link is not None else ()
        if any(flight.call.request_id == request_id for flight in flights):
            instance.kill()
