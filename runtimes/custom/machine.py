"""A thing whose life is one total table. The tables themselves are beside the things: calls.py, pull.py.

Rule 1: whatever happens to it goes through `happens`. Rule 2: every pair of state and event has an answer: the next
state and what is done in it, or None, "cannot happen", which is our own bug and raised as one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar


class Name(Enum):
    """A state or an event."""

    __hash__ = object.__hash__  # there is one of each: by its text it would take as long to find as a step takes


Step = tuple[Name, Callable[..., None]] | None
Table = dict[Name, dict[Name, Step]]


class Machine:
    """`steps`: its table, by state and event."""

    steps: ClassVar[Table]
    state: Name

    def happens(self, event: Name, *told: Any) -> None:
        """Go on to the next state, and do there what `told` is for. Raises RuntimeError for what cannot happen."""
        step = self.steps[self.state][event]
        if step is None:
            raise RuntimeError("a call that is %s was told '%s'" % (self.state.value, event.value))
        self.state, act = step
        act(self, *told)

    def ignore(self, *_told: object) -> None:
        """What to do about what comes too late to change anything."""


def total(events: type[Name], rows: dict[Any, dict[Any, Any]]) -> Table:
    """The table of these rows, in which what they leave out cannot happen."""
    return {state: {event: row.get(event) for event in events} for state, row in rows.items()}
