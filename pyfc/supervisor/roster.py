"""The instances of a pool by what they do, and what became of those that have been."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from typing import Any, NamedTuple

from pyfc.supervisor.instance import Instance
from pyfc.workers.interface import Calls

_GONE = 100
"""Instances that are told of when they are dead."""


class Gone(NamedTuple):
    """An instance that was. Times are seconds since the epoch."""

    id: str
    created: float
    died: float


class Roster:
    """The instances of one pool. Those that can take a call are found first in `preferred`, then in `otherwise`:
    `fills` prefers one that runs calls and has slots left to one that is idle.
    """

    def __init__(self, *, fills: bool) -> None:
        self.instances: set[Instance] = set()
        self.idle: dict[Instance, float] = {}
        """Since when, by the monotonic clock; who became idle last stands last."""
        self.open: dict[Instance, None] = {}
        """Those that run calls and have slots left."""
        self.preferred: dict[Instance, Any] = self.open if fills else self.idle
        self.otherwise: dict[Instance, Any] = self.idle if fills else self.open
        self.by_link: dict[Calls, Instance] = {}
        """Those that have been started."""
        self.deaths: Counter[str] = Counter()
        """How many died before their time, by the cause: `outOfMemory`, `timedOut`, `exited`."""
        self.gone: deque[Gone] = deque(maxlen=_GONE)
        """The newest that are dead."""
        self.drained = asyncio.Event()
        """There is none."""
        self.drained.set()

    @property
    def idle_since(self) -> float:
        """Of the one that has been idle longest."""
        return next(iter(self.idle.values()))

    @property
    def busy(self) -> int:
        """How many calls they run."""
        return sum(len(instance.link.in_flight) for instance in self.instances if instance.link is not None)

    def add(self, instance: Instance) -> None:
        """It is about to be started."""
        self.instances.add(instance)
        self.drained.clear()

    def take_longest_idle(self) -> Instance:
        """The one that has been idle longest, which takes no call from here on."""
        instance = next(iter(self.idle))
        del self.idle[instance]
        return instance

    def rest_again(self, instance: Instance, since: float) -> None:
        """It is idle again, as if it had not been away."""
        later = {other: when for other, when in self.idle.items() if when > since}
        self.idle[instance] = since
        for other, when in later.items():
            del self.idle[other]
            self.idle[other] = when

    def take_out(self, instance: Instance) -> None:
        """It gets no further call."""
        self.idle.pop(instance, None)
        self.open.pop(instance, None)

    def forget(self, instance: Instance) -> None:
        """It is dead."""
        if instance.died_of:
            self.deaths[instance.died_of] += 1
        self.take_out(instance)
        self.instances.discard(instance)
        self.gone.append(Gone(instance.id, instance.created, time.time()))
        if instance.link is not None:
            self.by_link.pop(instance.link, None)
        if not self.instances:
            self.drained.set()

    def describe(self) -> dict[str, Any]:
        """How many instances there are, by state; how many have died before their time, by cause."""
        return {
            "instances": dict(Counter(each.state.value for each in self.instances)),
            "deaths": dict(self.deaths),
        }
