"""What has been counted since the server's start, by series of calls, not of instances: for who scrapes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pyfc.observe.metrics.point import OTHERS, Point, Series

MOST_SERIES = 4096
"""Series that are told apart; what further ones do is told of OTHERS."""


class Example(NamedTuple):
    """A call that stands for others."""

    request_id: str
    duration: float | None
    """In seconds; None if it did not run."""
    time: float
    """When it ended, in seconds since the epoch."""

    def is_within(self, least: float, most: float) -> bool:
        """Whether its duration is above `least` and at most `most`."""
        return self.duration is not None and least < self.duration <= most


Examples = dict[Series, dict[str, Example]]
"""The newest that was noted, by series and outcome ('' for those that succeeded)."""


class Totals:
    """The sums of one server."""

    def __init__(self) -> None:
        self.points: dict[Series, Point] = {}
        self.examples: Examples = {}

    def add(self, points: Mapping[Series, Point], examples: Examples) -> None:
        """More was counted."""
        for series, point in points.items():
            if series.instance:
                continue
            known = self._known(series)
            self.points.setdefault(known, Point()).merge(point)
            self.examples.setdefault(known, {}).update(examples.get(series, {}))

    def _known(self, series: Series) -> Series:
        return series if series in self.points or len(self.points) < MOST_SERIES else OTHERS
