"""The table by which calls find what serves them.

It is replaced whole, never edited, so that a call sees what was there before a change or what is there after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pyfc.auth.permissions import Subject
from pyfc.model.function import Function, Service
from pyfc.model.invocation import Result, Route
from pyfc.model.names import LATEST, Target
from pyfc.model.resources import SERVICE_SCOPE, Alias, Domain
from pyfc.model.trigger import Trigger


class Entry(NamedTuple):
    """A function that can be called."""

    function: Function
    route: Route
    triggers: tuple[Trigger, ...]
    newest: Result | None = None
    """What the start of a newer version ended with, which is therefore not served instead."""
    is_server: bool = False
    """Whether its program is an HTTP server: it gets HTTP requests as they came, and can answer a WebSocket."""


class Table(NamedTuple):
    """All that is served at one moment."""

    services: Mapping[str, Service]
    entries: Mapping[Target, Entry]
    """The newest version of each function has its triggers."""
    aliases: Mapping[tuple[str, str, str], Alias]
    """By service, scope and name."""
    domains: Mapping[str, Domain]

    @property
    def functions(self) -> list[Function]:
        """All versions that can be called."""
        return [entry.function for entry in self.entries.values()]


def newest(table: Table) -> list[Entry]:
    """Each function once, whatever of it was published."""
    return [entry for target, entry in table.entries.items() if target.qualifier == LATEST]


def subject_of(table: Table, target: Target) -> Subject | None:
    """What decides what the credentials of a function may do; None when it is gone."""
    entry = table.entries.get(target)
    if entry is None:
        return None
    newest = table.entries.get(target._replace(qualifier=LATEST), entry)
    return Subject(table.services.get(target.service), entry.function, newest.triggers)


def version_of(table: Table, target: Target) -> Target | None:
    """The version that a qualifier means, LATEST among them; of an alias the one that most calls get. None: there is no
    such thing.
    """
    if target in table.entries:
        return target
    alias = alias_of(table, target)
    found = target._replace(qualifier=alias.version_id) if alias is not None else None
    return found if found in table.entries else None


def alias_of(table: Table, target: Target) -> Alias | None:
    """The alias that a qualifier names: of the function, or of its whole service."""
    service, function, name = target
    return table.aliases.get((service, function, name)) or table.aliases.get((service, SERVICE_SCOPE, name))
