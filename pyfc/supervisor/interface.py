"""What those who look after a pool may ask of it, and what a pool asks before it starts an instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from pyfc.errors import PyfcError
from pyfc.model.function import Function
from pyfc.observe.lives import Passed
from pyfc.settings import Settings
from pyfc.supervisor.instance import Instance
from pyfc.supervisor.line import Line
from pyfc.supervisor.roster import Roster
from pyfc.workers.interface import LinkOwner
from pyfc.workers.launch import Launcher

OutputSink = Callable[[Function, str, str, bytes], None]
"""Takes output that no answer carries: function, instance id, request id or '', bytes."""
LifeSink = Callable[[Function, str, Passed, float], None]
"""Takes what an instance has gone through: function, instance id, what, and when in seconds since the epoch."""


class Tended(LinkOwner, Protocol):
    """A pool (pool.py), as those see it who look after it: its starts, idleness, reserve, stalls and the scaler."""

    roster: Roster
    waiting: Line
    """The calls that wait for an instance."""
    draining: bool
    """It serves those who wait and nobody else."""
    concurrency: int
    """Calls that an instance runs at once."""
    limit: int
    """Most instances."""

    @property
    def size(self) -> int:
        """How many instances there are."""

    @property
    def has_spare(self) -> bool:
        """Whether one instance less would leave the reserved ones."""

    def grow(self) -> None:
        """Start instances for those who wait, as far as the limits allow and as it is quicker than waiting."""

    def start_reserved(self) -> bool:
        """One more instance, for no call; False if there is no room."""

    def reserve_one(self) -> bool:
        """One more for the reserve; False if there is no room."""

    def started(self, instance: Instance) -> None:
        """An instance takes its first call, or waits for one."""

    def predicted_wait(self) -> float:
        """Seconds that the last of those who wait will wait for the instances there are."""

    def refuse_all(self, error: PyfcError) -> None:
        """Unless another instance lives or is being started, nobody is left to serve those who wait."""

    def serve_waiting(self, instance: Instance) -> None:
        """Give an instance as many of those who wait as it has slots for, or let it rest."""

    def evict(self) -> None:
        """Stop the instance that has been idle longest, to make room for another function's."""

    def runs(self, seconds: float) -> None:
        """A call that has not ended runs so long already."""

    def judge(self) -> None:
        """See whether the function has become short, or is so no more."""


class Room(Protocol):
    """Who decides whether the server has room for one more instance (scaler.py)."""

    def take(self, pool: Tended) -> bool:
        """One more instance for `pool`; False when there is no room, and the pool is told when there is."""

    def add(self, pool: Tended) -> None:
        """Its idle instances may go when others need room."""

    def remove(self, pool: Tended) -> None:
        """It ends its instances by itself."""

    def started(self) -> None:
        """The start of an instance has ended, well or not: it has opened what it opens."""

    def give_back(self) -> None:
        """An instance is gone."""


OnReserved = Callable[[Function, int, float], None]
"""Hears that so many instances of a function were reserved for so many seconds, up to now."""


class PoolContext(NamedTuple):
    """What the pools of one server share."""

    settings: Settings
    launcher: Launcher
    room: Room
    sink: OutputSink
    """Of each instance it gets at most `log_rate` bytes a second."""
    told: LifeSink
    reserved: OnReserved = lambda *_: None
