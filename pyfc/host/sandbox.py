"""Chooses what a worker may use on this host, and says what is in force.

Today: its own session and process group, no inherited descriptors, a clean environment, no way to gain privileges,
no core files and 1,024 descriptors. Files, network and memory are those of the user who runs pyfc.
"""

from __future__ import annotations

import sys

LIMITS = {"CORE": 0, "NOFILE": 1024}
"""Resource limits of every worker, by the name after RLIMIT_ (descriptors: FC's limit)."""


def report() -> str:
    """One line for a person: what protects this machine from its functions, and what does not."""
    missing = "" if sys.platform.startswith("linux") else " (no_new_privs and parent-death signals are missing here)"
    return (
        "functions run with your user's rights: they can read your files and use your network, "
        f"and memory sizes are not enforced yet{missing}"
    )
