"""What is published to topics, and what triggers want to hear of it (FC's topic trigger, contract §8.1 and §8.3)."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from pyfc.model.invocation import Trace

LONGEST_NAME = 256
"""Characters of the name of a queue or a topic."""
NAME = "a letter or a digit, then letters, digits, - and _, at most 256"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def is_name(text: str) -> bool:
    """Whether a queue or a topic can have this name, whatever its length."""
    return _NAME.fullmatch(text) is not None


def can_be(text: str) -> bool:
    """Whether a queue or a topic can have this name."""
    return is_name(text) and len(text) <= LONGEST_NAME


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
    trace: Trace | None = None
    """What of an OpenTracing trace those had."""


class Wish(NamedTuple):
    """What a trigger wants to hear of a topic."""

    trigger: str
    """Names the trigger."""
    tag: str = ""
    """Only messages with this one; '' for all."""

    def fits(self, tag: str) -> bool:
        """Whether it is for a message with this tag."""
        return self.tag in {"", tag}
