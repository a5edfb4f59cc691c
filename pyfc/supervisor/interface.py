"""What a pool asks before it starts an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyfc.supervisor.pool import Pool


class Room(Protocol):
    """Who decides whether the server has room for one more instance (scaler.py)."""

    def take(self, pool: Pool) -> bool:
        """One more instance for `pool`; False when there is no room, and the pool is told when there is."""

    def give_back(self) -> None:
        """An instance is gone."""
