"""How long instances ran calls at all: what calls have in common that ran in one at once is counted once."""

from __future__ import annotations

import math

_MOST = 4096
"""Instances that are remembered; those that have been idle longest are forgotten first."""
_MOST_SPANS = 64
"""Of an instance: since calls end one after the other, older ones are hardly ever met again."""


class Activity:
    """Of the instances that run several calls at once."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[int, int]]] = {}
        """When they ran calls: first and last millisecond; no two of one meet, and they are in order of time."""

    def of(self, instance_id: str, ended: float, duration: float) -> int:
        """The milliseconds in which, of all calls of an instance that have ended, only this one ran. `ended`: seconds
        since the epoch.
        """
        spans = self._spans.pop(instance_id, [])
        last = round(ended * 1000)
        took = math.ceil(duration * 1000)
        first = last - took
        while spans and spans[-1][1] >= first:
            begins, ends = spans.pop()
            took -= max(min(ends, last) - max(begins, first), 0)
            first, last = min(first, begins), max(last, ends)
        spans.append((first, last))
        del spans[:-_MOST_SPANS]
        self._spans[instance_id] = spans
        if len(self._spans) > _MOST:
            del self._spans[next(iter(self._spans))]
        return took
