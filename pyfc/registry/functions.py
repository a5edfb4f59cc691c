"""Operations on services, functions, their code and their triggers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import BinaryIO

from pyfc.cloud import trigger_sources
from pyfc.documents.declared_triggers import trigger_of
from pyfc.documents.objects import function_of, service_of
from pyfc.documents.reader import Document
from pyfc.errors import (
    FunctionAlreadyExists,
    FunctionNotEmpty,
    FunctionNotFound,
    InvalidArgument,
    NotFound,
    ServiceAlreadyExists,
    ServiceNotEmpty,
    ServiceNotFound,
    TriggerAlreadyExists,
    TriggerNotFound,
)
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Code, Function, Service
from pyfc.model.names import DEFAULT_SERVICE, LATEST
from pyfc.model.resources import BINDINGS, Config, Version
from pyfc.model.trigger import Trigger
from pyfc.registry.built_in import Added, BuiltIn
from pyfc.registry.deploy import opt_of
from pyfc.registry.operations import Operations
from pyfc.registry.packages import Packages
from pyfc.registry.registry import Record, key, key_of
from pyfc.registry.versions import COUNTER, Versions
from pyfc.triggers import oss


class Functions:
    """Services and what they contain."""

    def __init__(
        self, operations: Operations, versions: Versions, packages: Packages, runtimes: Runtimes, built_in: BuiltIn
    ) -> None:
        self._operations = operations
        self._versions = versions
        self._packages = packages
        self._runtimes = runtimes
        self._built_in = built_in

    # services

    async def create_service(self, document: Document) -> Record[Service]:
        """A new service. Raises ServiceAlreadyExists."""
        service = service_of(document)
        async with self._operations.turn:
            return await self._operations.create(service, ServiceAlreadyExists(service=service.name))

    async def service(self, name: str, qualifier: str = "") -> Record[Service]:
        """A service as it is, or as it was published. Raises ServiceNotFound, VersionNotFound, AliasNotFound."""
        record = await self._operations.need(ServiceNotFound(service=name), Service, name)
        version = await self._versions.resolve(name, "", qualifier)
        if version is None:
            return record
        published = dataclasses.replace(version.value.of, description=version.value.description)
        return record._replace(value=published, revision=version.revision)

    async def update_service(self, name: str, document: Document, etag: str) -> Record[Service]:
        """Change what `document` names."""
        async with self._operations.turn:
            old = await self._operations.need(ServiceNotFound(service=name), Service, name)
            return await self._operations.replace(old, service_of(document, old.value), etag)

    async def delete_service(self, name: str, etag: str) -> None:
        """Delete an empty service. Raises ServiceNotEmpty."""
        operations = self._operations
        async with operations.turn:
            old = await operations.need(ServiceNotFound(service=name), Service, name)
            for kind, what in ((Function, "functions"), (Version, "versions")):
                if await operations.registry.page(kind, name, limit=1):
                    raise ServiceNotEmpty(service=name, what=what)
            also = await self._versions.leftovers(name)
            for each in (BINDINGS, COUNTER):
                configs = [record.value for record in await operations.registry.all(Config, each, name)]
                also += [key(Config, each, name, config.function, config.qualifier) for config in configs]
            await operations.delete(old, etag, also)

    async def tag_service(self, name: str, tags: dict[str, str], removed: list[str] | None) -> Record[Service]:
        """Set tags, and remove those named in `removed` (all of them if that is None)."""
        async with self._operations.turn:
            old = await self._operations.need(ServiceNotFound(service=name), Service, name)
            kept = {} if removed is None else {key: old.value.tags[key] for key in old.value.tags if key not in removed}
            return await self._operations.replace(old, dataclasses.replace(old.value, tags={**kept, **tags}))

    # functions

    async def create(self, service: str, document: Document, convention: str = "handler") -> Record[Function]:
        """A new function. Raises ServiceNotFound, FunctionAlreadyExists. `convention`: see triggers/http.py."""
        operations = self._operations
        function = function_of(service, document)
        self._check_runtime(function)
        exists = FunctionAlreadyExists(function=function.name, service=service)
        with operations.keeping():
            if service != DEFAULT_SERVICE or convention == "handler":
                await operations.need(ServiceNotFound(service=service), Service, service)
            if await operations.registry.get(Function, service, function.name) is not None:
                raise exists
            is_needed = function.runtime != "custom-container"
            code = await (self._packages.need(document) if is_needed else self._packages.keep(document))
            added = await self._built_in.of(function, code)
            opt = await self._opt(function, added)
            function = dataclasses.replace(function, code=code, opt=opt, left_out=dict(added.left_out))
            async with operations.turn:
                also = await self._home(service, convention)
                made = await operations.create(function, exists, also)
            self._lay_later(function, added)
            return made

    async def _opt(self, function: Function, added: Added) -> Code | None:
        operations = self._operations
        return await opt_of(operations.registry, operations.bundles, function.layers, added.official, added.built_in)

    def _lay_later(self, function: Function, added: Added) -> None:
        """What installers make after the client was answered is laid under the function, if that is as it was then."""
        operations = self._operations

        async def lay(pending: asyncio.Task[Added]) -> None:
            with operations.keeping():
                made = await pending
                async with operations.turn:
                    with contextlib.suppress(NotFound):  # it was deleted meanwhile
                        old = await self.function(function.service, function.name)
                        opt = await self._opt(function, made)
                        new = dataclasses.replace(old.value, opt=opt, left_out=dict(made.left_out))
                        if _needs(old.value) == _needs(function):
                            await operations.replace(old, new)

        self._built_in.later(added, lay, f"{function.service}/{function.name}")

    async def _home(self, service: str, convention: str) -> list[Service]:
        """The service of functions that have none is made when it is needed."""
        if await self._operations.registry.get(Service, service) is not None:
            return []
        if service == DEFAULT_SERVICE and convention == "event":
            return [Service(name=service)]
        raise ServiceNotFound(service=service)

    def _check_runtime(self, function: Function) -> None:
        if not self._runtimes.is_known(function.runtime):
            reason = self._runtimes.why_not(function.runtime)
            told = f"'{function.runtime}' is not known: {reason}"
            raise InvalidArgument(message=f"Runtime is set to an invalid value: {told}")

    async def function(self, service: str, name: str, qualifier: str = "") -> Record[Function]:
        """A function as it is, or as it was published. Raises the NotFound that fits."""
        operations = self._operations
        await self.need_service(service)
        missing = FunctionNotFound(function=name, service=service)
        version = await self._versions.resolve(service, name, qualifier)
        if version is None:
            return await operations.need(missing, Function, service, name)
        for each in version.value.functions:
            if each.name == name:
                numbered = dataclasses.replace(each, version_id=str(version.value.number))
                return Record(numbered, version.revision, version.id, version.created, version.modified)
        raise missing

    async def need_service(self, name: str) -> None:
        """Raises ServiceNotFound. The service of functions without one is always there."""
        if name != DEFAULT_SERVICE:
            await self._operations.need(ServiceNotFound(service=name), Service, name)

    async def update(self, service: str, name: str, document: Document, etag: str) -> Record[Function]:
        """Change what `document` names, the code too if it has some."""
        operations = self._operations
        with operations.keeping():
            before = (await self.function(service, name)).value
            code = await self._packages.keep(document)
            after = function_of(service, document, before)
            self._check_runtime(after)
            after = dataclasses.replace(after, code=code or before.code)
            has_other = code is not None or _needs(after) != _needs(before)
            added = await self._built_in.of(after, after.code) if has_other else Added()
            async with operations.turn:
                old = await self.function(service, name)
                new = function_of(service, document, old.value)
                new = dataclasses.replace(new, code=code or old.value.code)
                if has_other:
                    opt = await self._opt(new, added)
                    new = dataclasses.replace(new, opt=opt, left_out=dict(added.left_out))
                changed = await operations.replace(old, new, etag)
            self._lay_later(new, added)
        operations.collect()
        return changed

    async def change(self, service: str, name: str, **changes: object) -> Record[Function]:
        """Change fields that FC's API sets by operations of their own."""
        async with self._operations.turn:
            old = await self.function(service, name)
            return await self._operations.replace(old, dataclasses.replace(old.value, **changes))  # type: ignore[arg-type]

    async def delete(self, service: str, name: str, etag: str, *, with_triggers: bool = False) -> None:
        """Delete a function. Raises FunctionNotEmpty if it has triggers, unless they are to go with it."""
        operations = self._operations
        async with operations.turn:
            old = await self.function(service, name)
            triggers = await operations.registry.all(Trigger, service, name)
            if triggers and not with_triggers:
                raise FunctionNotEmpty(function=name)
            configs = [record.value for record in await operations.registry.all(Config)]
            mine = [
                each for each in configs if (each.service, each.function) == (service, name) and each.kind != COUNTER
            ]
            also = [key(Config, each.kind, each.service, each.function, each.qualifier) for each in mine]
            also += [key(Trigger, service, name, record.value.name) for record in triggers]
            also += await self._versions.leftovers(service, name)
            await operations.delete(old, etag, also)
        operations.collect()

    async def code(self, service: str, name: str, qualifier: str = "") -> tuple[BinaryIO, Code]:
        """A function's code as a zip file, which the caller closes."""
        record = await self.function(service, name, qualifier)
        if record.value.code is None:
            raise InvalidArgument(message=f"function '{name}' has no code here")
        return await self._operations.bundles.archive(record.value.code), record.value.code

    # triggers

    async def create_trigger(
        self, service: str, function: str, document: Document, convention: str = "handler"
    ) -> Record[Trigger]:
        """A new trigger of a function. Raises TriggerAlreadyExists."""
        trigger = trigger_of(service, function, document, convention)
        exists = TriggerAlreadyExists(trigger=trigger.name, service=service, function=function)
        async with self._operations.turn:
            await self.function(service, function)
            await self._check_trigger(trigger)
            return await self._operations.create(trigger, exists)

    async def _check_trigger(self, trigger: Trigger) -> None:
        """Raises InvalidArgument for a second HTTP trigger of the same qualifier, for one that cannot be beside others
        of its bucket and for one whose source can be none, VersionNotFound, AliasNotFound.
        """
        await self._versions.resolve(trigger.service, trigger.function, trigger.qualifier)
        trigger_sources.check_sent(trigger)
        if trigger.type == "oss":
            await self._check_bucket(trigger)
        if trigger.type != "http":
            return
        for record in await self._operations.registry.all(Trigger, trigger.service, trigger.function):
            other = record.value
            if (other.type, other.qualifier) == ("http", trigger.qualifier) and other.name != trigger.name:
                what = trigger.qualifier or LATEST
                raise InvalidArgument(message=f"{what} has an HTTP trigger already: '{other.name}'")

    async def _check_bucket(self, trigger: Trigger) -> None:
        found = [record.value for record in await self._operations.registry.all(Trigger)]
        oss.check(trigger, [each for each in found if each.type == "oss" and key_of(each) != key_of(trigger)])

    async def trigger(self, service: str, function: str, name: str) -> Record[Trigger]:
        """A trigger. Raises the NotFound that fits."""
        await self.function(service, function)
        missing = TriggerNotFound(trigger=name, service=service, function=function)
        return await self._operations.need(missing, Trigger, service, function, name)

    async def update_trigger(
        self, service: str, function: str, name: str, document: Document, etag: str, convention: str = "handler"
    ) -> Record[Trigger]:
        """Change a trigger's configuration, role, qualifier or description."""
        async with self._operations.turn:
            old = await self.trigger(service, function, name)
            convention = str(old.value.config.get("convention", convention))
            trigger = trigger_of(service, function, document, convention, old.value)
            await self._check_trigger(trigger)
            return await self._operations.replace(old, trigger, etag)

    async def delete_trigger(self, service: str, function: str, name: str, etag: str) -> None:
        """Delete a trigger."""
        async with self._operations.turn:
            await self._operations.delete(await self.trigger(service, function, name), etag)


def _needs(function: Function) -> tuple[object, ...]:
    """What decides on what is installed for it."""
    return function.code, function.layers, function.runtime
