"""What is published to topics, and what triggers want to hear of it (FC's topic trigger, contract §8.1 and §8.3)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Notice(msgspec.Struct, array_like=True, frozen=True):
    """A message that was published."""

    id: str
    topic: str
    body: str
    time: float
    """When, seconds since the epoch."""
    tag: str = ""
    properties: str = ""
    """What it has beside its body, as the message service keeps it."""
    attributes: dict[str, str] = {}
    """The same for functions, by name."""
    depth: int = 0
    """How many calls led to it."""


class Wish(NamedTuple):
    """What a trigger wants to hear of a topic."""

    trigger: str
    """Names the trigger."""
    tag: str = ""
    """Only messages with this one; '' for all."""

    def fits(self, tag: str) -> bool:
        """Whether it is for a message with this tag."""
        return self.tag in {"", tag}
