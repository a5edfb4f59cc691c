"""Names and identifiers: their grammar, and the key of everything at run time.

Grammar of service, function and trigger names: FC's API reference (fc naming rules): a letter or `_`, then letters,
digits, `_` and `-`, 1 to 128 characters, case-sensitive.
"""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
LATEST = "LATEST"
DEFAULT_SERVICE = "default"
"""The service of functions that have none: those of FC 3 and of bare folders."""


class Target(NamedTuple):
    """What a call addresses."""

    service: str
    function: str
    qualifier: str = LATEST


def is_name(text: str) -> bool:
    """Whether `text` may name a service, function or trigger."""
    return NAME.fullmatch(text) is not None


def numbered(qualifier: str) -> str:
    """A qualifier as it is kept where '' stands for the newest version."""
    return "" if qualifier == LATEST else qualifier


def whole(text: str, digits: int = 9) -> int | None:
    """The whole number that a text is; None if it is none, or has more digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def request_id() -> str:
    """A new request id: UUID text, 36 characters. It begins with the time (version 7), so that an index of many has the
    newest side by side: a hundred that are written together are then few pages of a disk.
    """
    return request_ids(1)[0]


def request_ids(count: int = 256) -> list[str]:
    """New request ids in advance: one call of the kernel's generator for many."""
    now = f"{time.time_ns() // 1_000_000:012x}"
    start, digits = f"{now[:8]}-{now[8:]}-7", os.urandom(9 * count).hex()
    return [
        f"{start}{digits[at : at + 3]}-a{digits[at + 3 : at + 6]}-{digits[at + 6 : at + 18]}"
        for at in range(0, len(digits), 18)
    ]


def instance_id() -> str:
    """A new instance id in FC's newer form `c-<8 hex>-<20 hex>`."""
    digits = os.urandom(14).hex()
    return f"c-{digits[:8]}-{digits[8:]}"
