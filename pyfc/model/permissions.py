"""What functions may do, as RAM's policies say it: names of managed policies, and statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OWN = "pyfc:own"
"""The policy of functions without a role: calling functions, and everything with the buckets, log projects, queues and
topics that their own triggers, mounts, logs and environment variables name.
"""
ALL = "pyfc:all"
"""The policy that opens everything, whatever others deny."""
EVERYTHING = "AdministratorAccess"
"""The managed policy that allows all there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One rule. In actions and resources `*` stands for any text, `?` for a character."""

    effect: Literal["Allow", "Deny"] = "Allow"
    actions: tuple[str, ...]
    """Like oss:PutObject."""
    resources: tuple[str, ...]
    """Like acs:oss:*:*:photos/*; region and account are not compared, since there is one of each here."""


Policies = tuple[str | Statement, ...]
"""Names of managed policies, and statements of others; together they are one policy."""
