"""Operations on the configurations of a qualifier, and on networks that something is bound to."""

from __future__ import annotations

from pyfc.documents.objects import config_of
from pyfc.documents.reader import Document
from pyfc.errors import (
    AsyncConfigNotExists,
    ConcurrencyConfigNotFound,
    Conflict,
    NotFound,
    OnDemandConfigNotFound,
    ProvisionConfigNotFound,
    ScalingConfigNotFound,
)
from pyfc.model.names import LATEST
from pyfc.model.resources import ASYNC, BINDINGS, CONCURRENCY, ON_DEMAND, PROVISION, SCALING, Config
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


class Configs:
    """Configurations."""

    def __init__(self, operations: Operations, functions: Functions) -> None:
        self._operations = operations
        self._functions = functions

    async def put(self, kind: str, service: str, function: str, qualifier: str, document: Document) -> Record[Config]:
        """Set a configuration. Raises the NotFound that fits for what it is about."""
        config = config_of(kind, service, function, qualifier or LATEST, document)
        async with self._operations.turn:
            await self._functions.function(service, function, config.qualifier)
            old = await self._operations.registry.get(Config, kind, service, function, config.qualifier)
            if old is None:
                return await self._operations.create(config, Conflict(message="it was configured by somebody else"))
            return await self._operations.replace(old, config)

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

    async def page(
        self, kind: str, wanted: Wanted, *, service: str = "", function: str = "", qualifier: str = ""
    ) -> Page:
        """The configurations of one kind, of all functions or of some."""
        names = (kind, service) if service else (kind,)
        names = (*names, function) if service and function else names
        return await self._operations.page(
            Config, *names, wanted=wanted, where=lambda config: qualifier in {"", config.qualifier}
        )

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
