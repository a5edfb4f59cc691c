"""The table by which calls find what serves them, and how it follows the desired state.

A table is replaced whole, never edited, so that a call sees what was there before a change or what is there after it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from pyfc.calls.table import Entry, Table, version_of
from pyfc.errors import PyfcError, ServiceNotFound
from pyfc.model.function import Function, Provision, Service
from pyfc.model.invocation import Invocation, Reply, Route, Ticket
from pyfc.model.names import LATEST, Target
from pyfc.model.permissions import OWN
from pyfc.model.resources import SERVICE_SCOPE, Alias, Config, Domain, Version
from pyfc.model.trigger import Trigger
from pyfc.registry.registry import Change, key_of
from pyfc.supervisor.pool import Pool

_log = logging.getLogger(__name__)


class Dormant:
    """The route of a function that nobody has called yet: its pool is made for the first call. Thousands of functions
    and versions cost next to nothing until then.
    """

    def __init__(self, wake: Callable[[Dormant], Route]) -> None:
        self._wake = wake

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        """See Route."""
        return self._wake(self).submit(call, reply)

    def rouse(self) -> Route:
        """Make the pool although nobody calls."""
        return self._wake(self)


class MakeEntry(Protocol):
    """How the supervisor makes what serves a function."""

    def __call__(self, service: Service, function: Function, *, eager: bool) -> Entry:
        """`eager`: at once, and not when it is called."""


class Draft:
    """A table that is being made from another one. `configs` is kept up to date too."""

    def __init__(self, table: Table, configs: dict[tuple[str, str, str, str], Config], make: MakeEntry) -> None:
        self.services = dict(table.services)
        self.entries = dict(table.entries)
        self.aliases = dict(table.aliases)
        self.domains = dict(table.domains)
        self.retired: list[Entry] = []
        self.failed: set[str] = set()
        """Keys of what cannot be served as it was declared; the log says why."""
        self._configs = configs
        self._make = make

    def table(self) -> Table:
        """What it has become."""
        return Table(self.services, self.entries, self.aliases, self.domains)

    def apply(self, change: Change) -> None:
        """Take one change. One that cannot be taken keeps no other from being so."""
        with self._apart(change.key):
            self._apply(change)

    @contextmanager
    def _apart(self, name: str) -> Iterator[None]:
        """What fails here concerns only what has this key."""
        try:
            yield
        except PyfcError as error:
            _log.error("%s can not be served as it was declared: %s", name, error)
            self.failed.add(name)
        except Exception:
            _log.exception("%s can not be served as it was declared", name)
            self.failed.add(name)

    def _apply(self, change: Change) -> None:
        match change.value:
            case Service() as service:
                self._service(service)
            case Function() as function:
                self._function(function)
            case Version() as version:
                for function in version.functions:
                    with self._apart(change.key):
                        numbered = _published(version, function)
                        self.entries[numbered.target] = self._make(version.of, numbered, eager=False)
            case Trigger() as trigger:
                self._trigger(trigger.service, trigger.function, trigger.name, trigger)
            case Alias() as alias:
                self.aliases[alias.service, alias.scope, alias.name] = alias
            case Domain() as domain:
                self.domains[domain.name] = domain
            case Config() as config:
                self._configs[config.service, config.function, config.qualifier, config.kind] = config
            case None:
                self._deleted(*change.key.split("/"))

    def _service(self, service: Service) -> None:
        old = self.services.get(service.name)
        self.services[service.name] = service
        if old is not None and _as_born(old) != _as_born(service):
            concerned = [entry for target, entry in self.entries.items() if target[::2] == (service.name, LATEST)]
            for entry in concerned:
                with self._apart(key_of(entry.function)):
                    self._replace(entry.function, entry)

    def _function(self, function: Function) -> None:
        old = self.entries.get(function.target)
        if old is not None and _runs_as(old.function, function) and old.newest is None:
            self.entries[function.target] = old._replace(function=function)
        else:
            self._replace(function, old)

    def _replace(self, function: Function, old: Entry | None) -> None:
        service = self.services.get(function.service)
        if service is None:  # its record cannot be read: whether it has a network is not known
            raise ServiceNotFound(service=function.service)
        made = self._make(service, function, eager=True)
        if old is not None:
            self.retired.append(old)
        self.entries[function.target] = made._replace(triggers=old.triggers if old else ())

    def _trigger(self, service: str, function: str, name: str, trigger: Trigger | None) -> None:
        target = Target(service, function)
        entry = self.entries.get(target)
        if entry is not None:
            kept = [other for other in entry.triggers if other.name != name]
            self.entries[target] = entry._replace(triggers=(*kept, *([trigger] if trigger is not None else [])))

    def _deleted(self, kind: str, *names: str) -> None:
        match kind, names:
            case "services", (name,):
                self.services.pop(name, None)
            case "functions", (service, name):
                self._retire([Target(service, name)])
            case "versions", (service, scope, number):
                self._retire(self._of_version(service, scope, str(int(number))))
            case "triggers", (service, function, name):
                self._trigger(service, function, name, None)
            case "aliases", (service, scope, name):
                self.aliases.pop((service, scope, name), None)
            case "domains", (name,):
                self.domains.pop(name, None)
            case "configs", (of, service, function, qualifier):
                self._configs.pop((service, function, qualifier, of), None)

    def _of_version(self, service: str, scope: str, number: str) -> list[Target]:
        """The functions of a version of a service, or of one function alone."""
        return [
            target
            for target in self.entries
            if (target.service, target.qualifier) == (service, number) and scope in {SERVICE_SCOPE, target.function}
        ]

    def _retire(self, targets: list[Target]) -> None:
        self.retired += [self.entries.pop(target) for target in targets if target in self.entries]


def _published(version: Version, function: Function) -> Function:
    """A function as it is in a version, with the policies that its service had then."""
    policies = function.policies or version.of.policies or (OWN,)
    return dataclasses.replace(function, version_id=str(version.number), policies=policies)


_BORN_WITH = ("nasConfig", "ossMountConfig", "disableInjectCredentials", "tracingConfig")


def _as_born(service: Service) -> Service:
    """What instances are born with."""
    return dataclasses.replace(service, description="", extras=_of_birth(service.extras), tags={}, policies=())


def _of_birth(extras: Mapping[str, Any]) -> dict[str, Any]:
    """What of it instances are born with."""
    return {name: extras[name] for name in _BORN_WITH if name in extras}


def _runs_as(one: Function, other: Function) -> bool:
    """Whether the instances of one can serve the other."""
    return _of_birth(one.extras) == _of_birth(other.extras) and one == dataclasses.replace(
        other,
        description=one.description,
        tags=one.tags,
        is_declared=one.is_declared,
        is_disabled=one.is_disabled,
        why_disabled=one.why_disabled,
        extras=one.extras,
        policies=one.policies,
    )


def scale(
    table: Table, configs: Mapping[tuple[str, str, str, str], Config], most: int, only: Target | None = None
) -> None:
    """Give pools the reserved instances and the limits that are configured for their version, or for an alias that
    leads to it; where nothing is, those that the function was declared with, or at most `most`.
    """
    provisions: dict[Target, Provision] = {}
    limits: dict[Target, int] = {}
    for config in configs.values():
        target = version_of(table, Target(config.service, config.function, config.qualifier))
        if target is not None and config.provision is not None:
            provisions[target] = config.provision
        if target is not None and config.limit is not None:
            limits[target] = config.limit
    for target in [only] if only is not None else list(table.entries):
        _scale(table.entries[target], provisions.get(target), limits.get(target), most)


def _scale(entry: Entry, provision: Provision | None, limit: int | None, most: int) -> None:
    """`provision`, `limit`: as configured, if they are."""
    function, route = entry.function, entry.route
    if isinstance(route, Dormant) and provision is not None and provision.is_needed:
        route.rouse()
    elif isinstance(route, Pool):
        declared = most if function.maximum_instance_count is None else function.maximum_instance_count
        route.scale(provision or function.provision, declared if limit is None else limit)
