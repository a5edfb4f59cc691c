"""Operations on versions and aliases. `scope`: the function that is published, or SERVICE_SCOPE for a whole service."""

from __future__ import annotations

from pyfc.documents.objects import alias_of
from pyfc.documents.reader import Document
from pyfc.errors import (
    AliasAlreadyExists,
    AliasNotFound,
    Conflict,
    NothingToPublish,
    ServiceNotFound,
    VersionNotFound,
)
from pyfc.model.function import Function, Service
from pyfc.model.names import DEFAULT_SERVICE, LATEST, whole
from pyfc.model.resources import SERVICE_SCOPE, Alias, Config, Version
from pyfc.registry.operations import Operations, Page, Wanted, etag_of
from pyfc.registry.registry import Record, key_of, number

COUNTER = "last-version"
"""The kind of configuration that holds the newest number, which is never used again."""


class Versions:
    """Versions and aliases."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def resolve(self, service: str, function: str, qualifier: str) -> Record[Version] | None:
        """What a qualifier means; None for the newest. Raises VersionNotFound, AliasNotFound. Without `function` only
        what was published of the whole service counts.
        """
        if qualifier in {"", LATEST}:
            return None
        if whole(qualifier) is not None:
            return await self.version(service, [function, SERVICE_SCOPE], qualifier)
        for scope in (function, SERVICE_SCOPE):
            alias = await self._operations.registry.get(Alias, service, scope, qualifier) if scope else None
            if alias is not None:
                return await self.version(service, [scope, function, SERVICE_SCOPE], alias.value.version_id)
        raise AliasNotFound(alias=qualifier, service=service)

    async def version(self, service: str, scopes: list[str], text: str) -> Record[Version]:
        """A version in the first of `scopes` that has it. Raises VersionNotFound."""
        numbered = whole(text)
        if numbered is not None:
            for scope in scopes:
                registry = self._operations.registry
                found = await registry.get(Version, service, scope, number(numbered)) if scope else None
                if found is not None:
                    return found
        raise VersionNotFound(version=text, service=service)

    async def publish(self, service: str, scope: str, description: str, etag: str = "") -> Record[Version]:
        """Make a version of what there is. Raises NothingToPublish if that is what the last one was made of."""
        operations = self._operations
        async with operations.turn:
            home = await operations.registry.get(Service, service)
            if home is None:
                raise ServiceNotFound(service=service) if service != DEFAULT_SERVICE else NothingToPublish
            if etag and scope == SERVICE_SCOPE and etag.strip('"') != etag_of(home):
                await operations.replace(home, home.value, etag)
            functions = await self._published(service, scope)
            before = await operations.registry.all(Version, service, scope)
            if before and (before[-1].value.of, list(before[-1].value.functions)) == (home.value, functions):
                raise NothingToPublish
            last = await self._last(service, scope)
            version = Version(
                service=service,
                scope=scope,
                number=last + 1,
                description=description,
                of=home.value,
                functions=tuple(functions),
            )
            counter = Config(kind=COUNTER, service=service, function=scope, document={"number": last + 1})
            exists = Conflict(message=f"version {last + 1} was published by somebody else just now")
            return await operations.create(version, exists, [counter])

    async def _published(self, service: str, scope: str) -> list[Function]:
        functions = [record.value for record in await self._operations.registry.all(Function, service)]
        return [function for function in functions if scope in {SERVICE_SCOPE, function.name}]

    async def _last(self, service: str, scope: str) -> int:
        """The newest number of a scope; the service's and its functions' do not overlap."""
        counters = [record.value for record in await self._operations.registry.all(Config, COUNTER, service)]
        counting = [each for each in counters if SERVICE_SCOPE in {scope, each.function} or each.function == scope]
        return max((int(each.document["number"]) for each in counting), default=0)

    async def page(self, service: str, scope: str, wanted: Wanted, *, forward: bool) -> Page:
        """Versions, the newest first unless `forward`."""
        records = await self._operations.registry.all(Version, service, scope)
        if not forward:
            records.reverse()
        first = whole(wanted.token or wanted.start)
        if first is not None:
            records = [
                each for each in records if (each.value.number >= first if forward else each.value.number <= first)
            ]
        page = records[: wanted.limit]
        return Page(page, str(records[wanted.limit].value.number) if len(records) > wanted.limit else "")

    async def delete(self, service: str, scope: str, text: str) -> None:
        """Delete a version. Calls of an alias that leads to it fail from then on, as in FC."""
        operations = self._operations
        async with operations.turn:
            await operations.delete(await self.version(service, [scope], text))
        operations.collect()

    async def create_alias(self, service: str, scope: str, document: Document) -> Record[Alias]:
        """A new alias of a version. Raises AliasAlreadyExists."""
        alias = alias_of(service, scope, document)
        async with self._operations.turn:
            await self._check(alias)
            return await self._operations.create(alias, AliasAlreadyExists(alias=alias.name, service=service))

    async def _check(self, alias: Alias) -> None:
        for version in (alias.version_id, *alias.additional_version_weight):
            if version != LATEST:
                await self.version(alias.service, [alias.scope], version)

    async def alias(self, service: str, scope: str, name: str) -> Record[Alias]:
        """An alias. Raises AliasNotFound."""
        return await self._operations.need(AliasNotFound(alias=name, service=service), Alias, service, scope, name)

    async def update_alias(self, service: str, scope: str, name: str, document: Document, etag: str) -> Record[Alias]:
        """Change what `document` names."""
        async with self._operations.turn:
            old = await self.alias(service, scope, name)
            new = alias_of(service, scope, document, old.value)
            await self._check(new)
            return await self._operations.replace(old, new, etag)

    async def delete_alias(self, service: str, scope: str, name: str, etag: str) -> None:
        """Delete an alias."""
        async with self._operations.turn:
            await self._operations.delete(await self.alias(service, scope, name), etag)

    async def leftovers(self, service: str, scope: str = "") -> list[str]:
        """Keys of what goes with a service, or a function. The newest number stays: a domain may lead to an older."""
        registry = self._operations.registry
        scopes = (service, scope) if scope else (service,)
        aliases = [key_of(record.value) for record in await registry.all(Alias, *scopes)]
        versions = [key_of(record.value) for record in await registry.all(Version, *scopes)]
        return [*aliases, *versions]
