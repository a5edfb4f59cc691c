"""How many calls have led to what is in a logstore, so that functions in a circle come to an end.

It is forgotten with the server: a circle begins anew then, and ends later.
"""

from __future__ import annotations


class Depths:
    """Of the groups of all logstores. One thread may note while another asks."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], int] = {}
        """By logstore and depth, the number of the last group with it: as many as calls may lead to each other."""

    def note(self, logstore: int, depth: int, number: int) -> None:
        """So many calls have led to a group."""
        self._last[logstore, depth] = number

    def since(self, logstore: int, begin: int) -> int:
        """The most that have led to one from a number on."""
        known = list(self._last.items())
        return max((depth for (of, depth), last in known if of == logstore and last >= begin), default=0)
