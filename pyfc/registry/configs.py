"""Operations on the configurations of a qualifier, and on networks that something is bound to."""

from __future__ import annotations

import time

from pyfc.documents.configurations import config_of
from pyfc.documents.reader import Document
from pyfc.errors import (
    AsyncConfigNotExists,
    ConcurrencyConfigNotFound,
    Conflict,
    EventSourceNotFound,
    NotFound,
    OnDemandConfigNotFound,
    ProvisionConfigNotFound,
    ScalingConfigNotFound,
)
from pyfc.model.names import LATEST
from pyfc.model.resources import ASYNC, BINDINGS, CONCURRENCY, ON_DEMAND, PROVISION, SCALING, SOURCES, Config
from pyfc.registry.documents import resource_of, time_text
from pyfc.registry.functions import Functions
from pyfc.registry.operations import Operations, Page, Wanted
from pyfc.registry.registry import Record

_MISSING: dict[str, type[NotFound]] = {
    PROVISION: ProvisionConfigNotFound,
    ON_DEMAND: OnDemandConfigNotFound,
    ASYNC: AsyncConfigNotExists,
    CONCURRENCY: ConcurrencyConfigNotFound,
    SCALING: ScalingConfigNotFound,
}

_LASTING = ("scheduledActions", "targetTrackingPolicies")
"""What stays as it is when it is not sent."""


class Configs:
    """Configurations."""

    def __init__(self, operations: Operations, functions: Functions) -> None:
        self._operations = operations
        self._functions = functions

    async def put(self, kind: str, service: str, function: str, qualifier: str, document: Document) -> Record[Config]:
        """Set a configuration. Raises the NotFound that fits for what it is about."""
        names = (kind, service, function, qualifier or LATEST)
        config = config_of(*names, document)
        async with self._operations.turn:
            if kind != ON_DEMAND:  # which FC takes for what is still to come
                await self._functions.function(service, function, config.qualifier)
            old = await self._operations.registry.get(Config, *names)
            if old is None:
                return await self._operations.create(config, Conflict(message="it was configured by somebody else"))
            kept = {name: old.value.document[name] for name in _LASTING if name in old.value.document}
            return await self._operations.replace(old, config_of(*names, {**kept, **document}))

    async def get(self, kind: str, service: str, function: str, qualifier: str) -> Record[Config]:
        """A configuration. Raises the NotFound that fits."""
        qualifier = qualifier or LATEST
        missing = _MISSING[kind](service=service, function=function, qualifier=qualifier)
        found = await self._operations.registry.get(Config, kind, service, function, qualifier)
        if found is None:
            raise missing
        return found

    async def delete(self, kind: str, service: str, function: str, qualifier: str) -> None:
        """Delete a configuration."""
        async with self._operations.turn:
            await self._operations.delete(await self.get(kind, service, function, qualifier))

    # event sources of a function: kept and told

    async def sources(self, service: str, function: str, qualifier: str) -> list[Document]:
        """The event sources that were registered, each with `sourceArn` and `createdTime`."""
        await self._functions.function(service, function, qualifier)
        found = await self._operations.registry.get(Config, SOURCES, service, function, qualifier or LATEST)
        return list(found.value.document["eventSources"]) if found is not None else []

    async def register(self, service: str, function: str, qualifier: str, arn: str) -> Document:
        """Keep that something calls the function. Raises the NotFound that fits."""
        async with self._operations.turn:
            known = await self.sources(service, function, qualifier)
            for each in known:
                if each["sourceArn"] == arn:
                    return each
            source = {"sourceArn": arn, "createdTime": time_text(time.time())}
            await self._keep_sources(service, function, qualifier, [*known, source])
            return source

    async def deregister(self, service: str, function: str, qualifier: str, arn: str) -> None:
        """It does so no more. Raises EventSourceNotFound."""
        async with self._operations.turn:
            known = await self.sources(service, function, qualifier)
            left = [each for each in known if each["sourceArn"] != arn]
            if len(left) == len(known):
                raise EventSourceNotFound(source=arn, function=function, service=service)
            await self._keep_sources(service, function, qualifier, left)

    async def _keep_sources(self, service: str, function: str, qualifier: str, sources: list[Document]) -> None:
        names = (service, function, qualifier or LATEST)
        await self._operations.registry.write([config_of(SOURCES, *names, {"eventSources": sources})])

    async def page(
        self, kind: str, wanted: Wanted, *, service: str = "", function: str = "", qualifier: str = ""
    ) -> Page:
        """The configurations of one kind, of all functions or of some."""
        if kind == ON_DEMAND and not (service or function or qualifier):
            return await self._limits(wanted)
        names = (kind, service) if service else (kind,)
        names = (*names, function) if service and function else names
        return await self._operations.page(
            Config, *names, wanted=wanted, where=lambda config: qualifier in {"", config.qualifier}
        )

    async def _limits(self, wanted: Wanted) -> Page:
        """The limits of instances of all functions, by FC's names of what they are about."""
        found = [
            (resource_of(record.value), record)
            for record in await self._operations.registry.all(Config)
            if record.value.kind == ON_DEMAND
        ]
        first = wanted.token or wanted.start
        listed = sorted(each for each in found if each[0].startswith(wanted.prefix) and each[0] >= first)
        rest = [name for name, _ in listed[wanted.limit :]]
        return Page([record for _, record in listed[: wanted.limit]], rest[0] if rest else "")

    # networks that a service or function is bound to: kept and told

    async def bindings(self, service: str, function: str = "") -> list[str]:
        """Ids of networks."""
        found = await self._operations.registry.get(Config, BINDINGS, service, function, LATEST)
        return list(found.value.document["vpcIds"]) if found is not None else []

    async def bind(self, service: str, function: str, network: str, *, bound: bool) -> None:
        """Bind to a network, or no more."""
        async with self._operations.turn:
            others = [each for each in await self.bindings(service, function) if each != network]
            ids = [*others, network] if bound else others
            config = Config(kind=BINDINGS, service=service, function=function, document={"vpcIds": ids})
            await self._operations.registry.write([config])
