"""A pool whose calls belong to sessions: those of one go to the same instance for as long as it lasts.

1. An instance of sessions is a pool of its own with one instance at most, a *home*: waiting, starting, freezing and
   dying are what they are in every pool. Up to `sessions_per_instance` share one.
2. A home whose last session has ended answers what it has been given, and goes.
3. Where the server has no room left, idle instances of sessions go last; their sessions go on in new ones.
4. Calls without a session, which asynchronous ones are, go to the instances of the pool itself.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pyfc.errors import ResourceExhausted
from pyfc.model.function import Function, Provision
from pyfc.model.invocation import Invocation, Reply
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.interface import PoolContext
from pyfc.supervisor.line import Served, Waiter
from pyfc.supervisor.pool import Pool
from pyfc.supervisor.sessions import Session, Sessions


class _Home(Pool):
    """An instance of sessions: it is not released while there are any, and goes last when others need its room."""

    @property
    def has_spare(self) -> bool:
        """See Tended."""
        return False


class AffinePool(Pool):
    """A Route: the instances of one function version whose calls belong to sessions."""

    def __init__(self, function: Function, birth: Birth, context: PoolContext) -> None:
        super().__init__(function, birth, context)
        assert function.affinity is not None
        self.affinity = function.affinity
        self.sessions = Sessions(function.name, function.affinity, self._home, self._left)
        self._context = context
        self._homes: dict[Pool, None] = {}

    def submit(self, call: Invocation, reply: Reply) -> Waiter | Served:
        """See Route."""
        if not call.session:
            return super().submit(call, reply)
        return self.sessions.used(call.session, call.target.qualifier).home.submit(call, reply)

    def warm(self, session: Session) -> None:
        """Give a new session its instance before it is called. Raises ResourceExhausted if there is no room."""
        home = session.home
        if not home.roster.instances and not home.start_reserved():
            self.sessions.forget(session)
            raise self._exhausted("there is no room for an instance")

    # homes

    def _home(self, counts: Mapping[Pool, int]) -> Pool:
        """One with room for one more session. Raises ResourceExhausted."""
        self._tidy()
        for home in self._homes:
            if not home.draining and counts.get(home, 0) < self.affinity.sessions_per_instance:
                return home
        return self._new_home()

    def _new_home(self) -> Pool:
        count = len(self._homes) + len(self.roster.instances)
        if self.draining or self.population.is_over or count >= self.limit:
            raise self._exhausted(f"all {count} instances have as many sessions as they may have")
        function = dataclasses.replace(self.function, maximum_instance_count=1, provision=Provision())
        made = _Home(function, self.population.birth, self._context)
        self._homes[made] = None
        self._context.room.add(made)
        return made

    @property
    def size(self) -> int:
        """See Tended."""
        return sum(len(pool.roster.instances) for pool in pools_of(self))

    def reserve_one(self) -> bool:
        """See Tended: it is the home of sessions to come, which tries again by itself if it cannot be started."""
        self._tidy()
        if any(not home.roster.instances for home in self._spare_homes()):
            return False
        try:
            self._new_home().scale(Provision(target=1), 1)
        except ResourceExhausted:
            return False
        return True

    def scale(self, provision: Provision, limit: int) -> None:
        """See Pool; homes that are kept for sessions to come go when fewer are reserved."""
        super().scale(provision, limit)
        self._release()

    def _release(self) -> None:
        surplus = self.size - self.population.reserve.target
        for home in self._spare_homes()[: max(0, surplus)]:
            self._left(home)

    def _spare_homes(self) -> list[Pool]:
        """Those that are kept for sessions to come."""
        return [home for home in self._homes if not home.draining and not self.sessions.live_in(home)]

    def _exhausted(self, reason: str) -> ResourceExhausted:
        return ResourceExhausted(function=self.function.name, service=self.function.service, reason=reason)

    def _left(self, home: Pool) -> None:
        """Its last session has ended."""
        self._context.room.remove(home)
        home.drain()
        self._tidy()

    def _tidy(self) -> None:
        """Forget homes that are empty and get no call any more."""
        for home in [each for each in self._homes if each.draining and not each.roster.instances and not each.waiting]:
            self.roster.gone.extend(home.roster.gone)
            del self._homes[home]

    # all of them

    @property
    def homes(self) -> list[Pool]:
        """The pools of its sessions."""
        return list(self._homes)

    def drain(self) -> None:
        """See Pool."""
        super().drain()
        self.sessions.close()
        for home in self._homes:
            self._context.room.remove(home)
            home.drain()

    def kill(self) -> None:
        """See Pool."""
        super().kill()
        for home in self._homes:
            home.kill()

    def describe(self) -> dict[str, Any]:
        """See Pool; with the number of sessions."""
        states = Counter(instance.state.value for pool in pools_of(self) for instance in pool.roster.instances)
        told = self.population.reserve.describe(sum(len(pool.roster.by_link) for pool in pools_of(self)))
        if told:
            parts = [home.describe().get("provision", {}) for home in self._homes]
            told["provision"]["currentError"] = next(filter(None, (each.get("currentError") for each in parts)), "")
        return {**super().describe(), "instances": dict(states), **told, "sessions": len(self.sessions)}


def pools_of(pool: Pool) -> list[Pool]:
    """The pools that have its instances: itself, and those of its sessions."""
    return [pool, *pool.homes] if isinstance(pool, AffinePool) else [pool]
