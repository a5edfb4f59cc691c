"""What a user manages beside services and functions: versions, aliases, layers, domains, and the configurations that
belong to a qualifier.

Versions and aliases have a scope: in the API 2016-08-15 a whole service is published, in 2023-03-30 a function. `scope`
is the function's name then, and SERVICE_SCOPE otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyfc.model.affinity import cookie_of
from pyfc.model.function import Code, Function, Provision, Service
from pyfc.model.names import LATEST

SERVICE_SCOPE = "-"
"""No function can have this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A service, or one function of it, as it was when it was published. Never changes."""

    service: str
    scope: str
    number: int
    description: str
    of: Service
    functions: tuple[Function, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for a version, with part of the calls for another one."""

    service: str
    scope: str
    name: str
    version_id: str
    description: str = ""
    additional_version_weight: Mapping[str, float] = field(default_factory=dict)
    """Part of the calls (0 to 1) that the other version gets; at most one."""
    resolve_policy: str = "Random"
    """`Random`, or `Content`: calls to which the route policy applies get the other version."""
    route_policy: Mapping[str, Any] = field(default_factory=dict)
    """FC's routePolicy: condition, policyItems."""

    @property
    def is_split(self) -> bool:
        """Whether calls may lead to different versions."""
        return bool(self.additional_version_weight)

    def choose(self, headers: Mapping[bytes, bytes], chance: float | None = None) -> str:
        """The version of one call. `chance`: a number from 0 to 1 by which it is drawn, if not by chance."""
        for version, weight in self.additional_version_weight.items():
            if self.resolve_policy == "Content":
                return version if applies(self.route_policy, headers) else self.version_id
            drawn = random.random() if chance is None else chance  # noqa: S311  no secret
            if drawn < weight:
                return version
        return self.version_id


def applies(policy: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
    """Whether FC's routePolicy wants a call with these headers: its items about headers and cookies, joined by AND or
    OR. An item of another type never applies.
    """
    items: Sequence[Mapping[str, Any]] = policy.get("policyItems") or []
    outcomes = [_item_applies(item, headers) for item in items]
    return bool(outcomes) and (all if str(policy.get("condition", "AND")).upper() == "AND" else any)(outcomes)


def _item_applies(item: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
    key, wanted = str(item.get("key", "")), str(item.get("value", ""))
    found = _item_found(str(item.get("type") or "header").lower(), key, headers)
    if found is None:
        return False
    text = found.decode("latin-1")
    operator = str(item.get("operator") or "=").lower()
    if operator in {"in", "contains"}:
        return text in [part.strip() for part in wanted.split(",")]
    return text != wanted if operator == "!=" else text == wanted


def _item_found(kind: str, key: str, headers: Mapping[bytes, bytes]) -> bytes | None:
    """What a request has for an item of a policy."""
    if kind == "header":
        return headers.get(key.lower().encode())
    return cookie_of(headers, key) if kind == "cookie" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One version of a layer: files that functions find in /opt."""

    name: str
    number: int
    code: Code
    description: str = ""
    compatible_runtime: tuple[str, ...] = ()
    license: str = ""
    is_public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the paths of a domain lead: `path` is whole, or a beginning that ends with `/*`."""

    path: str
    service: str
    function: str
    qualifier: str = ""
    methods: tuple[str, ...] = ()
    """() for all of the trigger's."""
    rewrite: Mapping[str, Any] = field(default_factory=dict)
    """FC's rewriteConfig: equalRules, wildcardRules, regexRules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain name whose requests go to functions."""

    name: str
    protocol: str = "HTTP"
    routes: tuple[Route, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)
    """certConfig, tlsConfig and the like, as they were declared."""
    is_declared: bool = False
    spelling: str = ""
    """The name as it was given, if that has capitals."""

    def only(self, path: str) -> Domain:
        """With its one route of this path, with all of them for ''."""
        return replace(self, routes=tuple(route for route in self.routes if path in {"", route.path}))


PROVISION, ON_DEMAND, ASYNC, CONCURRENCY, SCALING, BINDINGS, SOURCES = (
    "provision-config", "on-demand-config", "async-invoke-config", "concurrency", "scaling-config", "vpc-bindings",
    "event-sources",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration of one function and qualifier. `kind` is the last part of its path in FC's API; '' as function
    means the service.
    """

    kind: str
    service: str
    function: str
    qualifier: str = LATEST
    document: Mapping[str, Any] = field(default_factory=dict)
    """As FC's API has it."""
    provision: Provision | None = None
    """What it says about reserved instances."""
    limit: int | None = None
    """What it says about the number of instances."""
    is_declared: bool = False
