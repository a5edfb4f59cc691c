"""Versions and aliases of services."""

from __future__ import annotations

from pyfc.documents import shapes
from pyfc.documents.reader import Document
from pyfc.gateway.management import GONE, LIST, Answer, Call, Endpoint, page
from pyfc.model.resources import SERVICE_SCOPE, Alias, Version
from pyfc.registry.documents import alias_document, times
from pyfc.registry.registry import Record


def version_document(record: Record[Version]) -> Document:
    """FC's Version object."""
    return {"versionId": str(record.value.number), "description": record.value.description, **times(record)}


async def publish(call: Call) -> Answer:
    """Make a version of the service as it is."""
    description = call.document.get("description", "")
    record = await call.api.versions.publish(call.service, SERVICE_SCOPE, description, call.etag)
    return Answer(version_document(record), record=record)


async def list_versions(call: Call) -> Answer:
    """List versions, the newest first unless `direction` is FORWARD."""
    await call.api.functions.need_service(call.service)
    forward = call.query.get("direction", "").upper() == "FORWARD"
    found = await call.api.versions.page(call.service, SERVICE_SCOPE, call.wanted, forward=forward)
    answer = page("versions", [version_document(record) for record in found.records], found.next_token)
    answer.document["direction"] = "FORWARD" if forward else "BACKWARD"
    return answer


async def delete_version(call: Call) -> Answer:
    """Delete a version that no alias leads to."""
    await call.api.functions.need_service(call.service)
    await call.api.versions.delete(call.service, SERVICE_SCOPE, call.names["version"])
    return GONE


async def create_alias(call: Call) -> Answer:
    """Make an alias of a version."""
    await call.api.functions.need_service(call.service)
    record = await call.api.versions.create_alias(call.service, SERVICE_SCOPE, call.document)
    return Answer(alias_document(record), record=record)


async def get_alias(call: Call) -> Answer:
    """Tell an alias."""
    await call.api.functions.need_service(call.service)
    record = await call.api.versions.alias(call.service, SERVICE_SCOPE, call.names["alias"])
    return Answer(alias_document(record), record=record)


async def update_alias(call: Call) -> Answer:
    """Let an alias lead elsewhere."""
    await call.api.functions.need_service(call.service)
    record = await call.api.versions.update_alias(
        call.service, SERVICE_SCOPE, call.names["alias"], call.document, call.etag
    )
    return Answer(alias_document(record), record=record)


async def delete_alias(call: Call) -> Answer:
    """Delete an alias."""
    await call.api.functions.need_service(call.service)
    await call.api.versions.delete_alias(call.service, SERVICE_SCOPE, call.names["alias"], call.etag)
    return GONE


async def list_aliases(call: Call) -> Answer:
    """List the aliases of a service."""
    await call.api.functions.need_service(call.service)
    found = await call.api.operations.page(Alias, call.service, SERVICE_SCOPE, wanted=call.wanted)
    return page("aliases", [alias_document(record) for record in found.records], found.next_token)


_ALIAS = "/services/{service}/aliases/{alias}"
ENDPOINTS = (
    Endpoint("POST", "/services/{service}/versions", "PublishServiceVersion", publish, body=shapes.Description),
    Endpoint(
        "GET",
        "/services/{service}/versions",
        "ListServiceVersions",
        list_versions,
        ("limit", "nextToken", "startKey", "direction"),
    ),
    Endpoint("DELETE", "/services/{service}/versions/{version}", "DeleteServiceVersion", delete_version),
    Endpoint("POST", "/services/{service}/aliases", "CreateAlias", create_alias, body=shapes.Alias),
    Endpoint("GET", "/services/{service}/aliases", "ListAliases", list_aliases, LIST),
    Endpoint("GET", _ALIAS, "GetAlias", get_alias),
    Endpoint("PUT", _ALIAS, "UpdateAlias", update_alias, body=shapes.Alias),
    Endpoint("DELETE", _ALIAS, "DeleteAlias", delete_alias),
)
