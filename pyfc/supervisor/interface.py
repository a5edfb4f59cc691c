"""What those who look after a pool may ask of it, and what a pool asks before it starts an instance."""

from __future__ import annotations

from collections.abc import Sized
from typing import Protocol

from pyfc.supervisor.instance import Instance


class Tended(Protocol):
    """A pool (pool.py), as its idleness, its reserve and the scaler see it."""

    instances: set[Instance]
    idle: list[Instance]
    """In the order in which they became idle."""
    draining: bool
    """It serves those who wait and nobody else."""
    concurrency: int
    """Calls that an instance runs at once."""
    limit: int
    """Most instances."""

    @property
    def waiting(self) -> Sized:
        """The calls that wait for an instance."""

    @property
    def has_spare(self) -> bool:
        """Whether one instance less would leave the reserved ones."""

    def grow(self) -> None:
        """Start instances for those who wait, as far as the limits allow and as it is quicker than waiting."""

    def start_reserved(self) -> bool:
        """One more instance, for no call; False if there is no room."""

    def serve_waiting(self, instance: Instance) -> None:
        """Give an instance as many of those who wait as it has slots for, or let it rest."""

    def evict(self) -> None:
        """Stop the instance that has been idle longest, to make room for another function's."""


class Room(Protocol):
    """Who decides whether the server has room for one more instance (scaler.py)."""

    def take(self, pool: Tended) -> bool:
        """One more instance for `pool`; False when there is no room, and the pool is told when there is."""

    def give_back(self) -> None:
        """An instance is gone."""
