"""Which consumer of a group has the one shard of a logstore."""

from __future__ import annotations

import time


class Heartbeats:
    """Who has the one shard of each group. It is forgotten with the server; consumers take it up again."""

    def __init__(self) -> None:
        self._owners: dict[tuple[int, str], tuple[str, float]] = {}

    def beat(self, group: tuple[int, str], consumer: str, timeout: float) -> list[int]:
        """The shards that a consumer has from now on."""
        now = time.monotonic()
        owner, until = self._owners.get(group, ("", 0.0))
        if owner != consumer and now < until:
            return []
        self._owners[group] = (consumer, now + timeout)
        return [0]

    def owner(self, group: tuple[int, str]) -> str:
        """Who has the shard; '' for nobody."""
        owner, until = self._owners.get(group, ("", 0.0))
        return owner if time.monotonic() < until else ""
