"""pyfc with --sandbox off: what the sandbox costs a warm call is the difference to `pyfc`."""

from __future__ import annotations

from pathlib import Path

from peers import pyfc

PACKAGES: list[str] = []
KINDS = {"event"}


def start(python: str, workload: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """See package."""
    command, path = pyfc.start(python, workload, port, scratch)
    return [*command, "--sandbox", "off"], path
