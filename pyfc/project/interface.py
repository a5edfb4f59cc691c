"""What a project format gives: model objects, and what it could not honour.

A format is a module in this folder with `NAMES`, the file names it reads (the preferred first), and
`read(path, boundary) -> Project`, which raises ProjectError with file and line. `load.py` lists them in order.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.model.function import Function, Service
from pyfc.model.resources import Config, Domain
from pyfc.model.trigger import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One declared function and where its code lies."""

    function: Function
    code: Path | None
    """A file, a folder or a zip; None when there is none to be had here."""
    where: str
    """`file:line`, for messages."""
    layers: Path | None = None
    """What its layers hold together, a folder or a zip, if that is at hand here."""


@dataclass(slots=True, kw_only=True)
class Project:
    """A folder, read. Lists keep the order of the file."""

    root: Path
    boundary: Boundary = field(default_factory=lambda: Boundary(Path(os.devnull)))
    """What its files must lie in; by default nothing does."""
    source: Path | None = None
    """The template that was read; None for a bare folder."""
    files: list[Path] = field(default_factory=list)
    """What was read to know all this: the template, pyfc.yml, .env."""
    services: list[Service] = field(default_factory=list)
    functions: list[Declaration] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    domains: list[Domain] = field(default_factory=list)
    configs: list[Config] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    """What is declared and can not be honoured yet."""
    warnings: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Warnings, and what of its files is left out; that is known when they have been read."""
        return [*self.warnings, *self.boundary.left_out]
