"""What the log service keeps."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyfc.cloud.sls.faults import Fault

DEFAULT_DAYS = 30
"""What clients are told that logs are kept for, unless they ask for another time."""
_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,61}[a-z0-9]")
_MOST_CURSOR = 2**63 - 1


class Project(NamedTuple):
    """A project."""

    name: str
    description: str
    created: int
    """Seconds since the epoch, as all times here."""
    modified: int


OF_FUNCTIONS = "made for logs of functions"
"""The description of projects that the server makes itself."""


class Logstore(NamedTuple):
    """A logstore of a project."""

    number: int
    """No other logstore has or had it."""
    project: str
    name: str
    settings: Mapping[str, Any]
    """The properties that clients send and read."""
    indexed: Mapping[str, Any] | None
    """What of it can be searched, as clients have written it; None for everything."""
    created: int
    modified: int

    @property
    def days(self) -> int:
        """How long its logs are kept."""
        return int(self.settings["ttl"])


class Kept(NamedTuple):
    """A log group that is kept."""

    number: int
    """Those that came later have larger ones."""
    received: int
    data: bytes


def check_project(name: object) -> str:
    """Raises Fault for what is no name of a project."""
    if not isinstance(name, str) or not _PROJECT.fullmatch(name):
        raise Fault("ParameterInvalid", "A project's name has 3 to 63 lower-case letters, digits and hyphens.")
    return name


def check_logstore(name: object) -> str:
    """Raises Fault for what is no name of a logstore."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Fault("LogStoreInfoInvalid", "A logstore's name has 2 to 63 lower-case letters, digits, - and _.")
    return name


def cursor_of(number: int) -> str:
    """The cursor that is before the log group of this number."""
    return base64.b64encode(str(number).encode()).decode()


def number_of(cursor: str) -> int:
    """The log group that a cursor is before. Raises Fault InvalidCursor."""
    try:
        found = int(base64.b64decode(cursor, validate=True).decode("ascii")) if len(cursor) < 40 else -1
    except ValueError:
        found = -1
    if not 0 <= found <= _MOST_CURSOR:
        raise Fault("InvalidCursor", f"Cursor {cursor[:100]} is invalid")
    return found
