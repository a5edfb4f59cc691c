"""Keeps a pool's reserved (provisioned) instances: alive and initialised although nobody calls them.

Their number is looked at every second, since scheduled actions and calls change it, and at once when an instance has
died. Starts that fail are tried again more and more seldom; the error stays visible until one succeeds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from pyfc.model.function import Provision
from pyfc.model.invocation import Fault, FaultKind, Result, Usage
from pyfc.model.policy import back_off, reserved
from pyfc.supervisor.interface import Tended

_INTERVAL = 1.0
_PAUSE = 0.25
"""Seconds after a refusal of the host in which no instance is started beside others."""
SUPERSEDED = "Superseded"
"""The type of the fault of a version that nobody waits for any more."""


class Reserve:
    """The reserve of one pool."""

    def __init__(
        self, pool: Tended, provision: Provision, counted: Callable[[int, float], None] = lambda *_: None
    ) -> None:
        """`counted` hears that so many instances were reserved for so many seconds, up to now."""
        self._pool = pool
        self._counted = counted
        self._kept, self._since = 0, 0.0
        """How many there were when that was looked at last."""
        self._provision = provision
        self.target = 0
        """Instances that are kept although nobody calls them."""
        self._failures = 0
        self._error = ""
        self._next_try = self._refused_until = 0.0
        self._proof: asyncio.Future[Result | None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def has_more(self) -> bool:
        """Whether one instance less would be enough."""
        return self._pool.size > self.target

    @property
    def must_wait(self) -> bool:
        """Whether this host has refused an instance just now, and there are others: those must do for the moment."""
        return time.monotonic() < self._refused_until and bool(self._pool.roster.instances)

    def use(self, provision: Provision) -> None:
        """Reserve by `provision` from now on."""
        if provision != self._provision:
            self._provision, self._next_try, self._failures, self._error = provision, 0.0, 0, ""
            self.look()

    def look(self) -> None:
        """Start what is missing."""
        pool = self._pool
        if self._timer is not None:
            self._timer.cancel()
        if self._provision.is_needed and not pool.draining:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self.look)
        self._count()
        if pool.draining:
            return
        self.target = min(pool.limit, reserved(self._provision, time.time(), pool.roster.busy, pool.concurrency))
        if time.monotonic() >= self._next_try:
            for _ in range(self.target - pool.size):
                pool.reserve_one()

    def _count(self) -> None:
        now = time.monotonic()
        if self._kept:
            self._counted(self._kept, now - self._since)
        self._kept = 0 if self._pool.draining else min(self.target, len(self._pool.roster.by_link))
        self._since = now

    async def prove(self) -> Result | None:
        """Start an instance for no call. What its start ended with by the user's fault; None if it went well, or if
        this host has no room to find out.
        """
        if not self._pool.start_reserved():
            return None
        self._proof = asyncio.get_running_loop().create_future()
        return await self._proof

    def give_up(self) -> None:
        """A newer version has come: whether this one starts is of no interest for now."""
        fault = Fault(FaultKind.INIT_FAILED, "a newer version came before it had started", SUPERSEDED)
        self._tell(Result(fault, fault.document(), Usage(0.0, 0.0, cold=True, instance_id="")))

    def failed(self, error: Exception, result: Result | None = None) -> None:
        """An instance could not be started; `result` if that is the user's fault."""
        self._failures += 1
        self._error = str(error)
        self._next_try = time.monotonic() + back_off(self._failures)
        if result is None:
            self._refused_until = time.monotonic() + _PAUSE
            asyncio.get_running_loop().call_later(_PAUSE, self._pool.grow)
        self._tell(result)

    def succeeded(self) -> None:
        """One was started."""
        self._failures, self._error, self._next_try = 0, "", 0.0
        self._tell(None)

    def _tell(self, result: Result | None) -> None:
        if self._proof is not None and not self._proof.done():
            self._proof.set_result(result)

    def describe(self, ready: int) -> dict[str, Any]:
        """`target`, `current` and `currentError`, as FC's provision-config has them; {} if nothing is reserved."""
        if not self._provision.is_needed:
            return {}
        current = min(self.target, ready)
        return {"provision": {"target": self.target, "current": current, "currentError": self._error}}
