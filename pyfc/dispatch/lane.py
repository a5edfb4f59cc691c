"""What the dispatcher keeps in memory of a lane, and what events are made into."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

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
        self.resting: dict[int, tuple[Event, asyncio.TimerHandle]] = {}
        """Those by which pyfc has failed, until they are tried again."""
        self.refusals = 0
        self.is_disabled = False
        """Whether it pauses since its function may not be called."""
        self.pause: asyncio.TimerHandle | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it is in memory."""
        return not (self.ready or self.running or self.resting)

    def held(self, number: int) -> Event | None:
        """An event, wherever it is in here."""
        if number in self.resting:
            return self.resting[number][0]
        return self.running.get(number) or next((each for each in self.ready if each.number == number), None)

    def withdraw(self, number: int) -> None:
        """Of an event that does not run: it is not to be tried by itself any more."""
        if number in self.resting:
            self.resting.pop(number)[1].cancel()
        self.ready = deque(each for each in self.ready if each.number != number)


def request_of(kept: Sequence[Any] | None) -> HttpRequest | None:
    """The request of an HTTP function, as the queue keeps it."""
    if kept is None:
        return None
    method, path, uri, client, headers = kept
    return HttpRequest(method, path, uri, client, [(name, value) for name, value in headers])


class Ran(NamedTuple):
    """What has run an event: the version of its function, the checksum of the code, and the digests of that, of its
    installed packages and of its layers, where there are any.
    """

    version: str = LATEST
    checksum: str = ""
    code: str = ""
    packages: str = ""
    layers: str = ""

    @classmethod
    def of(cls, function: Function) -> Ran:
        """What runs a function."""
        code, layers = function.code, function.opt
        version, opt = function.version_id or LATEST, layers.digest if layers is not None else ""
        return cls(version, code.checksum, code.digest, code.packages, opt) if code is not None else cls(version)

    @classmethod
    def read(cls, text: str) -> Ran:
        """From a record."""
        return cls(*("" if word == "-" else word for word in text.split()))

    @property
    def text(self) -> str:
        """As a record keeps it."""
        return " ".join(word or "-" for word in self)

    @property
    def digests(self) -> list[str]:
        """Of all that it takes to run it again."""
        return [digest for digest in self[2:] if digest]


def end_call(pool: Pool, request_id: str) -> None:
    """End the instance that runs a call, as if it had been late."""
    for instance in list(pool.instances):
        flights = instance.link.in_flight.values() if instance.link is not None else ()
        if any(flight.call.request_id == request_id for flight in flights):
            pool.end(instance)
