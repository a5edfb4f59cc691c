"""How much of what calls ran was on reserved instances: those take calls first, whatever instance it was here.

What is reserved and not used by calls remains for the next ones for as long as a call may take, since a call is counted
when it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pyfc.model.function import Function
from pyfc.observe.metrics.point import Point, Series

_SHORTEST = 10
"""Seconds for which it remains at least."""


class _Account(NamedTuple):
    series: Series
    """Where it is counted."""
    unused: int
    """Milliseconds of reserved instances in which no call was counted."""
    most: int
    """What of that is kept."""
    heard: float
    """When there was any last, by the clock."""


class Reserved:
    """The reserved instances of all functions."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: dict[tuple[str, str], _Account] = {}

    def add(self, function: Function, count: int, milliseconds: int) -> None:
        """So many of its instances were reserved, for so long all together."""
        names = (function.service, function.name)
        before = self._accounts.get(names)
        most = count * max(function.limits.timeout, _SHORTEST) * 1000
        unused = milliseconds + (before.unused if before is not None else 0)
        self._accounts[names] = _Account(Series(*function.target), unused, most, self._clock())

    def count(self, points: Mapping[Series, Point]) -> dict[Series, int]:
        """Of the time in which calls ran since the last count, the milliseconds on reserved instances."""
        found: dict[Series, int] = {}
        for names, account in list(self._accounts.items()):
            active = sum(point["active_ms"] for series, point in points.items() if series[:2] == names)
            covered = min(active, account.unused)
            found[account.series] = found.get(account.series, 0) + covered
            if self._clock() - account.heard > _SHORTEST:
                del self._accounts[names]
            else:
                self._accounts[names] = account._replace(unused=min(account.unused - covered, account.most))
        return found
