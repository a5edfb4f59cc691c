"""The tickets of submitted calls: of those that wait for an instance, and of those that run."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from pyfc.errors import PyfcError, ResourceExhausted
from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Phases, Reply, Result, Start
from pyfc.settings import Settings
from pyfc.workers.flight import Flight

_log = logging.getLogger(__name__)
_monotonic = time.monotonic
_PAUSE = 0.1
"""Seconds between two looks for those who have waited too long."""


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

    def cancel(self) -> bool:
        """See Ticket."""
        self.gone = not self.served
        return self.gone


class Line(deque[Waiter]):
    """The calls that wait, in order of arrival. Those who have left stand in it until somebody looks. Who waits too
    long is refused, but for the first `sure()`, who are about to be served.
    """

    def __init__(self, function: Function, settings: Settings, sure: Callable[[], int]) -> None:
        super().__init__()
        self._function = function
        self._most = settings.maximum_waiting_calls
        self._patience = settings.maximum_wait
        self._sure = sure
        self._timer: asyncio.TimerHandle | None = None

    def join(self, call: Invocation, reply: Reply, reason: str) -> Waiter:
        """Wait behind the others. Raises ResourceExhausted if there are too many."""
        if len(self) >= self._most and self.purge() >= self._most:
            raise self._exhausted(f"{len(self)} calls wait already")
        loop = asyncio.get_running_loop()
        waiter = Waiter(call, reply, loop.time(), self._patience, reason)
        self.append(waiter)
        if self._timer is None:
            self._timer = loop.call_at(waiter.expires, self._expire)
        return waiter

    def rejoin(self, flight: Flight, reason: str) -> None:
        """A call that has been given back is the next one."""
        now = asyncio.get_running_loop().time()
        self.appendleft(Waiter(flight.call, flight.reply, now, self._patience, reason, flight.losses))

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
        waiter.served = False
        self.appendleft(waiter)

    def purge(self) -> int:
        """Forget those who have left; how many are left."""
        present = [waiter for waiter in self if not waiter.gone]
        self.clear()
        self.extend(present)
        return len(self)

    def fail_next(self, result: Result) -> bool:
        """Answer the first, whose instance could not be started; False if nobody waits."""
        waiter = self.next()
        if waiter is not None:
            tell(waiter, partial(waiter.reply.result, result))
        return waiter is not None

    def refuse_all(self, error: PyfcError) -> None:
        """Nobody will serve them."""
        while (waiter := self.next()) is not None:
            tell(waiter, partial(waiter.reply.refuse, error))

    def _expire(self) -> None:
        """Refuse those who have waited too long and for whom no instance is being started."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now, sure = loop.time(), self._sure()
        self.purge()
        late = [waiter for number, waiter in enumerate(self) if number >= sure and waiter.expires <= now]
        for waiter in late:
            self.remove(waiter)
        for waiter in late:
            tell(waiter, partial(waiter.reply.refuse, self._exhausted(f"the call waited {self._patience:g} s")))
        if self:
            soonest = min(waiter.expires for waiter in self)
            self._timer = loop.call_at(max(soonest, now + _PAUSE), self._expire)

    def _exhausted(self, reason: str) -> ResourceExhausted:
        return ResourceExhausted(function=self._function.name, service=self._function.service, reason=reason)


def tell(asked: Waiter | Flight, answer: Callable[[], None]) -> None:
    """A bug of ours in one answer must not keep the others from theirs."""
    try:
        answer()
    except Exception:
        _log.exception("an answer could not be given", extra={"request_id": asked.call.request_id})


@functools.lru_cache(maxsize=256)
def why(count: int, limit: int) -> str:
    """Why a call cannot begin at once, where there are `count` instances and may be `limit`."""
    if count < limit:
        return f"all {count} instances were busy" if count else "there was no instance"
    return f"all {count} instances were busy, and there may be no more"


class Served:
    """The ticket of a call that runs already."""

    def cancel(self) -> bool:
        """See Ticket."""
        return False


SERVED = Served()
