"""Functions, their code and their instances."""

from __future__ import annotations

import time
from typing import NamedTuple
from urllib.parse import quote

from pyfc.auth.signature import sign_url
from pyfc.calls.table import Table, version_of
from pyfc.documents import shapes
from pyfc.documents.reader import Document
from pyfc.gateway.management import GONE, LIST, Answer, Call, Endpoint, page
from pyfc.model.function import Function
from pyfc.model.invocation import Route
from pyfc.model.names import LATEST, Target
from pyfc.registry.documents import function_document
from pyfc.registry.operations import Wanted
from pyfc.registry.registry import Record
from pyfc.supervisor.affine import pools_of
from pyfc.supervisor.pool import Pool

_GOOD_FOR = 3600
"""Seconds for which the address of a package can be used."""
_MOST_INSTANCES = 1000
"""Of one answer."""


def _document(record: Record[Function]) -> Document:
    """Its object, which says of an accelerated image how far it is: nothing has to be done for it here."""
    document = function_document(record)
    image = document.get("customContainerConfig") or {}
    if image.get("image") and image.get("accelerationType", "Default") == "Default":
        document["customContainerConfig"] = {"accelerationInfo": {"status": "Ready"}, **image}
    return document


async def create(call: Call) -> Answer:
    """Make a function of what is sent, its code among it."""
    record = await call.api.functions.create(call.service, call.document)
    return Answer(_document(record), record=record)


async def get(call: Call) -> Answer:
    """Tell a function."""
    record = await call.api.functions.function(call.service, call.function, call.qualifier)
    return Answer(_document(record), record=record)


async def update(call: Call) -> Answer:
    """Change what is sent."""
    record = await call.api.functions.update(call.service, call.function, call.document, call.etag)
    return Answer(_document(record), record=record)


async def delete(call: Call) -> Answer:
    """Delete a function that has no triggers."""
    await call.api.functions.delete(call.service, call.function, call.etag)
    return GONE


async def list_(call: Call) -> Answer:
    """List the functions of a service, or of one of its versions."""
    version = await call.api.versions.resolve(call.service, "", call.qualifier)
    if version is not None:
        wanted = call.wanted
        records = [
            Record(function, version.revision, version.id, version.created, version.modified)
            for function in version.value.functions
            if function.name.startswith(wanted.prefix) and function.name > wanted.after
        ]
        more = records[wanted.limit].value.name if len(records) > wanted.limit else ""
        return page("functions", [_document(record) for record in records[: wanted.limit]], more)
    await call.api.functions.need_service(call.service)
    found = await call.api.operations.page(Function, call.service, wanted=call.wanted)
    return page("functions", [_document(record) for record in found.records], found.next_token)


async def code(call: Call) -> Answer:
    """Tell where the package of a function can be had."""
    record = await call.api.functions.function(call.service, call.function, call.qualifier)
    return Answer(code_place(call, call.service, record.value))


def code_place(call: Call, service: str, function: Function) -> Document:
    """The address of a function's package, good for an hour, and its checksum."""
    path = f"/pyfc/code/{quote(service)}/{quote(function.name)}/{quote(call.qualifier or LATEST)}"
    url = call.base + sign_url(call.api.keys.first()[0], path, int(time.time()) + _GOOD_FOR)
    return {"url": url, "checksum": function.code.checksum if function.code is not None else ""}


async def instances(call: Call) -> Answer:
    """List the running instances of a function."""
    await call.api.functions.function(call.service, call.function, call.qualifier)
    found = [{"instanceId": each.id, "versionId": each.version} for each in running(call, call.service)]
    return instances_answer(call, found)


def instances_answer(call: Call, found: list[Document]) -> Answer:
    """As many instances as are asked for."""
    most = Wanted.read(call.query, most=_MOST_INSTANCES).limit
    return Answer({"instances": found[:most], "requestId": call.request_id})


class Live(NamedTuple):
    """An instance of a function, or one that was. Times are seconds since the epoch."""

    id: str
    version: str
    """FC's number of its version, 0 for the newest."""
    created: float
    died: float = 0.0
    """0 while it lives."""


def running(call: Call, service: str, *, gone: bool = False) -> list[Live]:
    """The instances of the version that is asked for, of every version if none is; with those that are `gone`."""
    table = call.api.table()
    targets = _targets(table, Target(service, call.function, call.qualifier))
    found = [each for target in targets for each in _instances(target, table.entries[target].route, gone=gone)]
    wanted = set(call.several("instanceIds")) or {each.id for each in found}
    return [each for each in found if each.id in wanted]


def _targets(table: Table, wanted: Target) -> list[Target]:
    if wanted.qualifier:
        version = version_of(table, wanted)
        return [version] if version is not None else []
    return [each for each in table.entries if each[:2] == wanted[:2]]


def _instances(target: Target, route: Route, *, gone: bool) -> list[Live]:
    if not isinstance(route, Pool):
        return []
    version = "0" if target.qualifier == LATEST else target.qualifier
    rosters = [pool.roster for pool in pools_of(route)]
    found = [Live(each.id, version, each.created) for roster in rosters for each in roster.instances]
    dead = [each for roster in rosters for each in roster.gone] if gone else []
    return [*found, *(Live(each.id, version, each.created, each.died) for each in dead)]


_ONE = "/services/{service}/functions/{function}"
ENDPOINTS = (
    Endpoint("POST", "/services/{service}/functions", "CreateFunction", create, body=shapes.Function),
    Endpoint("GET", "/services/{service}/functions", "ListFunctions", list_, (*LIST, "qualifier")),
    Endpoint("GET", _ONE, "GetFunction", get, ("qualifier",)),
    Endpoint("PUT", _ONE, "UpdateFunction", update, body=shapes.Function),
    Endpoint("DELETE", _ONE, "DeleteFunction", delete),
    Endpoint("GET", _ONE + "/code", "GetFunctionCode", code, ("qualifier",)),
    Endpoint("GET", _ONE + "/instances", "ListInstances", instances, ("qualifier", "limit", "instanceIds")),
)
