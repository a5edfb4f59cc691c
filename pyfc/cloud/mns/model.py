"""What the message service keeps: queues and topics with their settings, and messages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pyfc.cloud.mns.faults import Fault
from pyfc.model.topic import LONGEST_NAME, is_name

Kind = Literal["queues", "topics"]
"""As paths have it."""
NAMED: Mapping[Kind, str] = MappingProxyType({"queues": "Queue", "topics": "Topic"})
"""As XML and errors have it."""
Settings = dict[str, Any]
"""By MNS's names."""
_RANGES: Mapping[Kind, Mapping[str, tuple[int, int, int]]] = MappingProxyType(
    {
        "queues": {
            "DelaySeconds": (0, 0, 604800),
            "MaximumMessageSize": (65536, 1024, 65536),
            "MessageRetentionPeriod": (345600, 60, 1296000),
            "VisibilityTimeout": (30, 1, 43200),
            "PollingWaitSeconds": (0, 0, 30),
        },
        "topics": {"MaximumMessageSize": (65536, 1024, 65536)},
    }
)
"""What it is by itself, the least and the most; seconds and bytes."""
LOGGING = "LoggingEnabled"
USUAL_PRIORITY, LOWEST_PRIORITY = 8, 16
LONGEST_DELAY = 604800
LONGEST_VISIBILITY = 43200


class Resource(NamedTuple):
    """A queue or a topic."""

    kind: Kind
    number: int
    name: str
    settings: Settings
    created: int
    modified: int
    """Both seconds since the epoch."""


class Draft(NamedTuple):
    """A message as it is sent to a queue."""

    body: str
    delay: int | None = None
    """Seconds until it can be received; None for the queue's."""
    priority: int = USUAL_PRIORITY
    """1 is the highest."""
    properties: str = ""
    """See Properties in properties.py; '' for none."""
    depth: int = 0
    """How many calls have led to it."""


class Message(NamedTuple):
    """A message as it is received. Times are seconds since the epoch."""

    id: str
    handle: str
    """'' for one that was looked at only."""
    body: str
    enqueued: float
    visible: float
    """When it can be received again."""
    first: float
    """When it was received first; 0 if it was not."""
    receptions: int
    """How often it was received."""
    priority: int
    properties: str
    depth: int


def check_name(what: str, name: str) -> None:
    """`what`: Queue, Topic or Subscription. Raises Fault for what can be no name of one."""
    if len(name) > LONGEST_NAME:
        raise Fault(f"{what}NameLengthError", f"The name of a {what.lower()} has {LONGEST_NAME} characters at most.")
    if not is_name(name):
        raise Fault("InvalidArgument", f"{name!r} can be no name of a {what.lower()}: use letters, digits, - and _.")


def settings_of(kind: Kind, given: Mapping[str, str], before: Settings | None = None) -> Settings:
    """All settings, of which some are `given`. `before`: those that the others stay as; None for a new one. Raises
    Fault InvalidArgument.
    """
    found: Settings = dict(before) if before is not None else {LOGGING: False}
    for name, (usual, least, most) in _RANGES[kind].items():
        found[name] = whole(name, given.get(name, ""), found.get(name, usual), least, most)
    logging = given.get(LOGGING, "").lower()
    if logging not in {"", "true", "false"}:
        raise Fault("InvalidArgument", f"{LOGGING} is {logging[:50]!r}: it must be True or False.")
    if logging:
        found[LOGGING] = logging == "true"
    return found


def whole(name: str, text: str, usual: int, least: int, most: int) -> int:
    """A whole number that was sent, `usual` for ''. Raises Fault InvalidArgument."""
    text = text.strip()
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise Fault("InvalidArgument", f"The value of {name} is {text[:50]!r}: it must be between {least} and {most}.")
    return int(text)
