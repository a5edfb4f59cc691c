"""Versions and aliases, of services here and of functions in the newer API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pyfc.documents import shapes
from pyfc.documents.reader import Document
from pyfc.gateway.management import GONE, LIST, Answer, Call, Endpoint, page
from pyfc.model.resources import SERVICE_SCOPE, Alias, Version
from pyfc.registry.documents import alias_document, times
from pyfc.registry.registry import Record


def version_document(record: Record[Version]) -> Document:
    """FC's Version object."""
    return {"versionId": str(record.value.number), "description": record.value.description, **times(record)}


class Versions:
    """The operations on versions and aliases of whatever a path names."""

    def __init__(self, named: Callable[[Call], Awaitable[tuple[str, str]]]) -> None:
        """`named`: service and scope that a path names. Raises the NotFound that fits."""
        self._named = named

    async def publish(self, call: Call) -> Answer:
        """Make a version of what there is."""
        description = call.document.get("description", "")
        record = await call.api.versions.publish(*await self._named(call), description, call.etag)
        return Answer(version_document(record), record=record)

    async def list(self, call: Call) -> Answer:
        """List versions, the newest first unless `direction` is FORWARD."""
        forward = call.query.get("direction", "").upper() == "FORWARD"
        wanted = call.wanted._replace(start=call.query.get("startVersion") or call.wanted.start)
        found = await call.api.versions.page(*await self._named(call), wanted, forward=forward)
        answer = page("versions", [version_document(record) for record in found.records], found.next_token)
        answer.document["direction"] = "FORWARD" if forward else "BACKWARD"
        return answer

    async def delete(self, call: Call) -> Answer:
        """Delete a version."""
        await call.api.versions.delete(*await self._named(call), call.names["version"])
        return GONE

    async def create_alias(self, call: Call) -> Answer:
        """Make an alias of a version."""
        record = await call.api.versions.create_alias(*await self._named(call), call.document)
        return Answer(alias_document(record), record=record)

    async def get_alias(self, call: Call) -> Answer:
        """Tell an alias."""
        record = await call.api.versions.alias(*await self._named(call), call.names["alias"])
        return Answer(alias_document(record), record=record)

    async def update_alias(self, call: Call) -> Answer:
        """Let an alias lead elsewhere."""
        names = (*await self._named(call), call.names["alias"])
        record = await call.api.versions.update_alias(*names, call.document, call.etag)
        return Answer(alias_document(record), record=record)

    async def delete_alias(self, call: Call) -> Answer:
        """Delete an alias."""
        await call.api.versions.delete_alias(*await self._named(call), call.names["alias"], call.etag)
        return GONE

    async def list_aliases(self, call: Call) -> Answer:
        """List aliases."""
        found = await call.api.operations.page(Alias, *await self._named(call), wanted=call.wanted)
        return page("aliases", [alias_document(record) for record in found.records], found.next_token)

    def endpoints(self, path: str, what: str) -> tuple[Endpoint, ...]:
        """Below `path`. `what` FC's operations call it that is published."""
        aliases, alias = path + "/aliases", path + "/aliases/{alias}"
        listed = ("limit", "nextToken", "startKey", "startVersion", "direction")
        return (
            Endpoint("POST", path + "/versions", f"Publish{what}Version", self.publish, body=shapes.Description),
            Endpoint("GET", path + "/versions", f"List{what}Versions", self.list, listed),
            Endpoint("DELETE", path + "/versions/{version}", f"Delete{what}Version", self.delete),
            Endpoint("POST", aliases, "CreateAlias", self.create_alias, body=shapes.Alias),
            Endpoint("GET", aliases, "ListAliases", self.list_aliases, LIST),
            Endpoint("GET", alias, "GetAlias", self.get_alias),
            Endpoint("PUT", alias, "UpdateAlias", self.update_alias, body=shapes.Alias),
            Endpoint("DELETE", alias, "DeleteAlias", self.delete_alias),
        )


async def _service(call: Call) -> tuple[str, str]:
    await call.api.functions.need_service(call.service)
    return call.service, SERVICE_SCOPE


ENDPOINTS = Versions(_service).endpoints("/services/{service}", "Service")
