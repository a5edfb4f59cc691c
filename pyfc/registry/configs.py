"""Operations on what stands beside functions: domains, layers, and the configurations of a qualifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

from pyfc.errors import (
    AsyncConfigNotExists,
    ConcurrencyConfigNotFound,
    Conflict,
    DomainNameAlreadyExists,
    DomainNameNotFound,
    InvalidArgument,
    LayerNotFound,
    LayerVersionNotFound,
    NotFound,
    OnDemandConfigNotFound,
    ProvisionConfigNotFound,
    ScalingConfigNotFound,
)
from pyfc.model.function import Provision
from pyfc.model.names import LATEST, is_name, whole
from pyfc.model.resources import ASYNC, BINDINGS, CONCURRENCY, ON_DEMAND, PROVISION, SCALING, Config, Domain, Layer
from pyfc.registry.documents import Document, domain_of, limit_of, mapping_of, provision_of, reading, text_of, told
from pyfc.registry.functions import Functions
from pyfc.registry.operations import Desk, Page, Wanted, part_of
from pyfc.registry.registry import Record, number

_MISSING: dict[str, type[NotFound]] = {
    PROVISION: ProvisionConfigNotFound,
    ON_DEMAND: OnDemandConfigNotFound,
    ASYNC: AsyncConfigNotExists,
    CONCURRENCY: ConcurrencyConfigNotFound,
    SCALING: ScalingConfigNotFound,
}
_COUNTER = "last-layer"
"""The kind of configuration that holds the newest number of a layer, which is never used again."""
_RETRIES, _AGE = (0, 8), (1, 2_592_000)
_RUNTIMES, _LAYERS = 20, 5


class Extras:
    """Domains, layers and configurations."""

    def __init__(self, desk: Desk, functions: Functions) -> None:
        self._desk = desk
        self._functions = functions

    # domains

    async def create_domain(self, document: Document, service: str = "") -> Record[Domain]:
        """A new domain. `service`: of routes that name none. Raises DomainNameAlreadyExists."""
        domain = domain_of(document, service=service)
        async with self._desk.turn:
            return await self._desk.create(domain, DomainNameAlreadyExists(domain=domain.name))

    async def domain(self, name: str) -> Record[Domain]:
        """A domain. Raises DomainNameNotFound."""
        return await self._desk.need(DomainNameNotFound(domain=name), Domain, name.lower())

    async def update_domain(self, name: str, document: Document, etag: str, service: str = "") -> Record[Domain]:
        """Change what `document` names."""
        async with self._desk.turn:
            old = await self.domain(name)
            return await self._desk.replace(old, domain_of(document, old.value, service=service), etag)

    async def delete_domain(self, name: str, etag: str) -> None:
        """Delete a domain."""
        async with self._desk.turn:
            await self._desk.delete(await self.domain(name), etag)

    # layers

    async def publish_layer(self, name: str, document: Document) -> Record[Layer]:
        """A new version of a layer."""
        if not is_name(name):
            raise InvalidArgument(message=f"'{name}' can not be the name of a layer")
        runtimes = document.get("compatibleRuntime") or []
        if not isinstance(runtimes, list) or len(runtimes) > _RUNTIMES:
            raise InvalidArgument(message=f"compatibleRuntime must be a list of at most {_RUNTIMES} runtimes")
        desk = self._desk
        with desk.keeping():
            code = await self._functions.layer_code(mapping_of(document, "code"))
            async with desk.turn:
                before = await desk.registry.all(Layer, name)
                last = await self._last(name, before)
                layer = Layer(
                    name=name,
                    number=last + 1,
                    code=code,
                    description=text_of(document, "description"),
                    compatible_runtime=tuple(map(str, runtimes)),
                    license=text_of(document, "license"),
                    is_public=before[-1].value.is_public if before else False,
                )
                exists = Conflict(message=f"layer '{name}' was published by somebody else")
                newest = Config(kind=_COUNTER, service=name, function="", document={"number": last + 1})
                return await desk.create(layer, exists, [newest])

    async def _last(self, name: str, before: Sequence[Record[Layer]]) -> int:
        """The newest number that a layer has had, those that were deleted among them."""
        counter = await self._desk.registry.get(Config, _COUNTER, name, "", LATEST)
        counted = int(counter.value.document["number"]) if counter is not None else 0
        return max(counted, before[-1].value.number if before else 0)

    async def layer(self, name: str, version: str) -> Record[Layer]:
        """A version of a layer. Raises LayerNotFound, LayerVersionNotFound."""
        if not await self._desk.registry.page(Layer, name, limit=1):
            raise LayerNotFound(layer=name)
        missing = LayerVersionNotFound(layer=name, version=version)
        numbered = whole(version)
        if numbered is None:
            raise missing
        return await self._desk.need(missing, Layer, name, number(numbered))

    async def layers(self, wanted: Wanted, *, public: bool = False) -> Page:
        """The newest version of each layer."""
        newest: dict[str, Record[Layer]] = {}
        for record in await self._desk.registry.all(Layer):
            if record.value.name.startswith(wanted.prefix) and (record.value.is_public or not public):
                newest[record.value.name] = record
        found = [record for name, record in newest.items() if name > wanted.after]
        page = part_of(found[: wanted.limit + 1], 0, wanted)
        return page._replace(next_token=page.next_token.partition("/")[0])

    async def layer_versions(self, name: str) -> list[Record[Layer]]:
        """Every version of a layer, the newest first."""
        return list(reversed(await self._desk.registry.all(Layer, name)))

    async def delete_layer(self, name: str, version: str) -> None:
        """Delete a version. Functions that have it go on: their copy is their own."""
        async with self._desk.turn:
            await self._desk.delete(await self.layer(name, version))

    async def share_layer(self, name: str, *, public: bool) -> None:
        """Make all versions of a layer public, or private."""
        async with self._desk.turn:
            records = await self._desk.registry.all(Layer, name)
            if not records:
                raise LayerNotFound(layer=name)
            for record in records:
                await self._desk.replace(record, dataclasses.replace(record.value, is_public=public))

    # configurations

    async def put_config(
        self, kind: str, service: str, function: str, qualifier: str, document: Document
    ) -> Record[Config]:
        """Set a configuration. Raises the NotFound that fits for what it is about."""
        config = _config(kind, service, function, qualifier or LATEST, document)
        async with self._desk.turn:
            await self._functions.function(service, function, config.qualifier)
            old = await self._desk.registry.get(Config, kind, service, function, config.qualifier)
            if old is None:
                return await self._desk.create(config, Conflict(message="it was configured by somebody else"))
            return await self._desk.replace(old, config)

    async def config(self, kind: str, service: str, function: str, qualifier: str) -> Record[Config]:
        """A configuration. Raises the NotFound that fits."""
        qualifier = qualifier or LATEST
        missing = _MISSING[kind](service=service, function=function, qualifier=qualifier)
        found = await self._desk.registry.get(Config, kind, service, function, qualifier)
        if found is None:
            raise missing
        return found

    async def delete_config(self, kind: str, service: str, function: str, qualifier: str) -> None:
        """Delete a configuration."""
        async with self._desk.turn:
            await self._desk.delete(await self.config(kind, service, function, qualifier))

    async def configs(
        self, kind: str, wanted: Wanted, *, service: str = "", function: str = "", qualifier: str = ""
    ) -> Page:
        """The configurations of one kind, of all functions or of some."""
        names = (kind, service) if service else (kind,)
        names = (*names, function) if service and function else names
        found = [
            record
            for record in await self._desk.registry.all(Config, *names)
            if qualifier in {"", record.value.qualifier} and _name(record, len(names)) > wanted.after
        ]
        return part_of(found[: wanted.limit + 1], len(names), wanted)

    # networks that a service or function is bound to: kept and told

    async def bindings(self, service: str, function: str = "") -> list[str]:
        """Ids of networks."""
        found = await self._desk.registry.get(Config, BINDINGS, service, function, LATEST)
        return list(found.value.document["vpcIds"]) if found is not None else []

    async def bind(self, service: str, function: str, network: str, *, bound: bool) -> None:
        """Bind to a network, or no more."""
        async with self._desk.turn:
            others = [each for each in await self.bindings(service, function) if each != network]
            ids = [*others, network] if bound else others
            config = Config(kind=BINDINGS, service=service, function=function, document={"vpcIds": ids})
            await self._desk.registry.write([config])


def _name(record: Record[Config], depth: int) -> str:
    value = record.value
    return "/".join((value.kind, value.service, value.function, value.qualifier)[depth:])


def _config(kind: str, service: str, function: str, qualifier: str, document: Document) -> Config:
    """A configuration, after what it says has been looked at. Raises InvalidArgument."""
    changes: dict[str, Any] = {}
    if kind == PROVISION:
        changes["provision"] = provision_of(document)
        document = {"scheduledActions": [], "targetTrackingPolicies": [], "alwaysAllocateCPU": False, **document}
        document["target"] = changes["provision"].target
    elif kind == ON_DEMAND:
        changes["limit"] = limit_of(document, "maximumInstanceCount")
    elif kind == CONCURRENCY:
        changes["limit"] = limit_of(document, "reservedConcurrency")
    elif kind == SCALING and "minInstances" in document:
        changes["provision"] = Provision(target=limit_of(document, "minInstances"))
    elif kind == ASYNC:
        document = _asynchronous(document)
    return Config(kind=kind, service=service, function=function, qualifier=qualifier, document=document, **changes)


def _asynchronous(document: Document) -> Document:
    field = reading(document, "asyncInvokeConfig")
    for name, (lowest, highest) in (("maxAsyncRetryAttempts", _RETRIES), ("maxAsyncEventAgeInSeconds", _AGE)):
        value = field.get(name)
        if value is not None:
            told(partial(value.integer, lowest, highest))
    for name in ("onSuccess", "onFailure"):
        destination = mapping_of(mapping_of(document, "destinationConfig"), name).get("destination", "")
        if destination and not str(destination).startswith("acs:"):
            raise InvalidArgument(message=f"{name}.destination is {destination!r}; it must be an ARN like acs:fc:...")
    return {"destinationConfig": {}, **document}
