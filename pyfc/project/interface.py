"""What a project format gives: model objects, and what it could not honour.

A format is a module in this folder with `NAMES`, the file names it reads (the preferred first), and
`read(path, boundary, given) -> Project`, which raises ProjectError with file and line. A mistake in one function is
kept in the project and takes no other down. `load.py` lists the formats in order.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pyfc.boundary import Boundary
from pyfc.build.actions import Action
from pyfc.errors import ProjectError
from pyfc.model.function import Function, Service
from pyfc.model.resources import Config, Domain
from pyfc.model.trigger import Trigger


class Given(NamedTuple):
    """What a project is read with, beside its files."""

    account_id: str = ""
    region: str = ""
    environment: str = ""
    """The environment of Serverless Devs that is chosen; '' for none."""
    variables: Mapping[str, str] = os.environ
    """Environment variables; those of `.env` beside the template among them."""


class Folders(NamedTuple):
    """Folders of a project that stand for what is elsewhere in the cloud."""

    mounts: Mapping[str, Path] = MappingProxyType({})
    """By where a NAS or a bucket would be mounted."""
    buckets: Mapping[str, Path] = MappingProxyType({})
    """By the bucket's name."""


NO_FOLDERS = Folders()
"""A project that has none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One declared function and where its code lies."""

    function: Function
    code: Path | None
    """A file, a folder or a zip; None when there is none to be had here."""
    where: str
    """`file:line`, for messages."""
    region: str = ""
    """The region it is declared for, if it says so."""
    layers: Path | None = None
    """What its layers hold together, a folder or a zip, if that is at hand here."""


_LOCATED = re.compile(r"(.+?:[0-9]+): (.+)", re.DOTALL)


class Mistake(NamedTuple):
    """What is wrong with one function, trigger or domain."""

    error: ProjectError
    function: tuple[str, str] | None
    """Service and name of the function that is left out for it."""


@dataclass(slots=True, kw_only=True)
class Project:
    """A folder, read. Lists keep the order of the file."""

    root: Path
    boundary: Boundary = field(default_factory=lambda: Boundary(Path(os.devnull)))
    """What its files must lie in; by default nothing does."""
    source: Path | None = None
    """The template that was read; None for a bare folder."""
    given: Given = field(default_factory=Given)
    files: list[Path] = field(default_factory=list)
    """What was read to know all this: the template, pyfc.yml, .env."""
    services: list[Service] = field(default_factory=list)
    functions: list[Declaration] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    """HTTP triggers, by which clients call."""
    event_triggers: list[Trigger] = field(default_factory=list)
    """Those that a source of events fires."""
    places: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Where these stand, as `file:line`, by service, function and name."""
    domains: list[Domain] = field(default_factory=list)
    configs: list[Config] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    """What `pyfc build` runs first."""
    unsupported: list[str] = field(default_factory=list)
    """What is declared and cannot be honoured yet."""
    warnings: list[str] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    """What is wrong with single functions, triggers and domains, which are left out for it."""
    is_strict: bool = True
    """Whether a mistake that is found later, in the code of a function, is one for all."""

    @property
    def all_triggers(self) -> list[Trigger]:
        """Of both kinds."""
        return [*self.triggers, *self.event_triggers]

    @contextlib.contextmanager
    def tolerating(self, function: tuple[str, str] | None = None) -> Iterator[None]:
        """What is read meanwhile is left out if there is a mistake in it, which is kept. `function`: whose it is."""
        kinds: tuple[list[Any], ...] = (
            self.services, self.functions, self.triggers, self.event_triggers, self.domains, self.configs,
        )  # fmt: skip
        lengths = [len(kind) for kind in kinds]
        try:
            yield
        except ProjectError as error:
            for kind, length in zip(kinds, lengths, strict=True):
                del kind[length:]
            self.mistakes.append(Mistake(error, function))

    @property
    def mistaken(self) -> set[tuple[str, str]]:
        """Service and name of the functions that are left out."""
        return {each.function for each in self.mistakes if each.function is not None}

    @property
    def has_stray_mistakes(self) -> bool:
        """Whether there are mistakes of which it is not known whose they are: of triggers, domains or pyfc.yml."""
        return any(each.function is None for each in self.mistakes)

    def check(self) -> None:
        """Raises ProjectError, with all mistakes that there are, if they stop everything: there is no function left, or
        it is read strictly.
        """
        left = [each for each in self.functions if (each.function.service, each.function.name) not in self.mistaken]
        if self.mistakes and (self.is_strict or not left):
            first, *others = [each.error for each in self.mistakes]
            lines = "".join(f"\n{each}" for each in others)
            if self.actions:
                lines += "\n(the template has actions: `pyfc build` runs them, and they may make what is missing)"
            raise ProjectError(where=first.fields["where"], message=f"{first.fields['message']}{lines}") from first

    def refuse_warnings(self) -> None:
        """Make a mistake of each warning."""
        for text in self.warnings:
            located = _LOCATED.fullmatch(text)
            where, message = located.groups() if located is not None else (str(self.source or self.root), text)
            self.mistakes.append(Mistake(ProjectError(where=where, message=message), None))

    @property
    def notes(self) -> list[str]:
        """Warnings, and what of its files is left out; that is known when they have been read."""
        return [*self.warnings, *self.boundary.left_out]
