"""pyfc with its line per call, written to a file."""

from __future__ import annotations

from pathlib import Path

from peers import pyfc

PACKAGES: list[str] = []
KINDS = {"event"}


def start(python: str, workload: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """See package."""
    command, path = pyfc.start(python, workload, port, scratch / "lines")
    return [part for part in command if part != "--quiet"], path
