"""Names and identifiers: their grammar, and the key of everything at run time.

Grammar of service, function and trigger names: FC's API reference (fc naming rules): a letter or `_`, then letters,
digits, `_` and `-`, 1 to 128 characters, case-sensitive.
"""

from __future__ import annotations

import os
import re
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


def request_id() -> str:
    """A new request id: random UUID text (version 4), 36 characters."""
    return _uuid(os.urandom(16).hex())


def request_ids(count: int = 256) -> list[str]:
    """New request ids in advance: one call of the kernel's generator for many."""
    digits = os.urandom(16 * count).hex()
    return [_uuid(digits[at : at + 32]) for at in range(0, len(digits), 32)]


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def instance_id() -> str:
    """A new instance id in FC's newer form `c-<8 hex>-<20 hex>`."""
    digits = os.urandom(14).hex()
    return f"c-{digits[:8]}-{digits[8:]}"
