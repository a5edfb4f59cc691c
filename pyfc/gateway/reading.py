"""What may be read of a connection, in one total table.

Rule 1: whatever changes it goes through `Connection._advance`. Rule 2: every pair of state and happening has an answer,
a new state or "cannot happen", which is our own bug and raised as one. Which request is being answered is not a state:
answers lag behind what was read, when requests are pipelined.
"""

from __future__ import annotations

from enum import IntEnum


class Reading(IntEnum):
    """Where in a request a connection is."""

    IDLE = 0
    """Between two requests."""
    HEAD = 1
    """In a request's head."""
    BODY = 2
    """In a request's body."""
    DEAF = 3
    """Nothing that still comes in is taken: the connection ends with the answers that are owed."""
    TUNNEL = 4
    """What comes in belongs to the function that agreed to an upgrade."""


class Happening(IntEnum):
    """What happens to a connection."""

    BEGUN = 0
    """The first byte of a request."""
    HEADED = 1
    """A head is whole."""
    WHOLE = 2
    """A request is whole."""
    SWITCHED = 3
    """A function has agreed to go on as something else."""
    ENDED = 4
    """A request was refused, the last answer was written, or the client has left."""


_NEXT: dict[Reading, dict[Happening, Reading]] = {
    Reading.IDLE: {Happening.BEGUN: Reading.HEAD, Happening.SWITCHED: Reading.TUNNEL},
    Reading.HEAD: {Happening.HEADED: Reading.BODY},
    Reading.BODY: {Happening.WHOLE: Reading.IDLE},
    Reading.DEAF: {},
    Reading.TUNNEL: {},
}


def _following(reading: Reading, happening: Happening) -> Reading | None:
    """The state after `happening`; None if that cannot happen."""
    if happening is Happening.ENDED or reading is Reading.DEAF:
        return Reading.DEAF  # the parser goes on to tell what is left of its piece
    return _NEXT[reading].get(happening)


TRANSITIONS: tuple[tuple[Reading | None, ...], ...] = tuple(
    tuple(_following(reading, happening) for happening in Happening) for reading in Reading
)
"""By state, then by what happens; None means that it cannot happen."""
