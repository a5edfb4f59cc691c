"""The tickets of submitted calls: of those that wait for an instance, and of those that run."""

from __future__ import annotations

import functools
import time
from collections import deque

from pyfc.model.invocation import Invocation, Phases, Reply, Start
from pyfc.workers.flight import Flight

_monotonic = time.monotonic


class Waiter:
    """A call that waits for an instance, and its ticket."""

    __slots__ = ("call", "expires", "gone", "losses", "reply", "served", "since", "why")

    def __init__(self, call: Invocation, reply: Reply, now: float, patience: float, why: str, losses: int = 0) -> None:
        self.since = now
        self.why = why
        self.call = call
        self.reply = reply
        self.expires = now + patience
        self.gone = False
        self.losses = losses
        """Instances that had been given it and ended before they had begun it."""
        self.served = False

    def flight(self, timeout: float, phases: Phases | None = None, startup: bytes = b"") -> Flight:
        """It is handed to a worker now; if it is the first call there, with the `phases` of the start and what was
        written in it.
        """
        now = _monotonic()
        start = Start(now - self.since, self.why, phases)
        return Flight(
            self.call, self.reply, timeout, now, now + timeout, startup, phases is not None, start, self.losses
        )

    def wait(self) -> None:
        """It is not served yet."""
        self.served = False

    def cancel(self) -> bool:
        """See Ticket."""
        self.gone = not self.served
        return self.gone


class Line(deque[Waiter]):
    """Those who wait, in order of arrival. Those who have left stand in it until somebody looks."""

    def next(self) -> Waiter | None:
        """The first who still waits, now served."""
        while self:
            waiter = self.popleft()
            waiter.served = True
            if not waiter.gone:
                return waiter
        return None

    def put_back(self, waiter: Waiter) -> None:
        """It could not be served after all, and is the next one again."""
        waiter.wait()
        self.appendleft(waiter)

    def purge(self) -> int:
        """Forget those who have left; how many are left."""
        present = [waiter for waiter in self if not waiter.gone]
        self.clear()
        self.extend(present)
        return len(self)

    def late(self, now: float, sure: int) -> list[Waiter]:
        """Take out those whose time is up, but for the first `sure`, who are about to be served."""
        self.purge()
        late = [waiter for number, waiter in enumerate(self) if number >= sure and waiter.expires <= now]
        for waiter in late:
            self.remove(waiter)
        return late

    def soonest(self) -> float:
        """When the next one's time is up."""
        return min(waiter.expires for waiter in self)


@functools.lru_cache(maxsize=256)
def why(count: int, limit: int) -> str:
    """Why a call can not begin at once, where there are `count` instances and may be `limit`."""
    if count < limit:
        return f"all {count} instances were busy" if count else "there was no instance"
    return f"all {count} instances were busy, and there may be no more"


class Served:
    """The ticket of a call that runs already."""

    def cancel(self) -> bool:
        """See Ticket."""
        return False


SERVED = Served()
