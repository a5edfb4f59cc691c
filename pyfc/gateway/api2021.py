"""The management API 2021-04-06: the objects of 2016-08-15, but for triggers, whose configuration is JSON text, and
what only this version has.
"""

from __future__ import annotations

import json
from urllib.parse import unquote

from pyfc.documents import shapes
from pyfc.documents import triggers as declared
from pyfc.documents.reader import Document
from pyfc.gateway.api2016 import account, services, triggers
from pyfc.gateway.management import GONE, Answer, Call, Endpoint, page
from pyfc.model.function import Service
from pyfc.model.trigger import Trigger
from pyfc.registry.registry import Record


def _trigger(call: Call, record: Record[Trigger]) -> Document:
    document = triggers.document(call, record)
    return {**document, "triggerConfig": json.dumps(document["triggerConfig"])}


async def tagged(call: Call) -> Answer:
    """List the services that have tags."""
    found = await call.api.operations.page(Service, wanted=call.wanted, where=lambda service: bool(service.tags))
    listed = [
        {"resourceArn": services.arn(call, record.value.name), "tags": dict(record.value.tags)}
        for record in found.records
    ]
    return page("resources", listed, found.next_token)


async def register(call: Call) -> Answer:
    """Keep that something calls the function."""
    names = (call.service, call.function, call.qualifier)
    return Answer(await call.api.configs.register(*names, call.document["sourceArn"]))


async def sources(call: Call) -> Answer:
    """List what was registered."""
    return Answer({"eventSources": await call.api.configs.sources(call.service, call.function, call.qualifier)})


async def deregister(call: Call) -> Answer:
    """It does not call the function any more."""
    await call.api.configs.deregister(call.service, call.function, call.qualifier, unquote(call.names["source"]))
    return GONE


_FUNCTION = "/services/{service}/functions/{function}"
_PART = ("limit", "nextToken")
_SOURCES = _FUNCTION + "/event-sources"
ENDPOINTS = (
    *triggers.Triggers(lambda call: call.service, _trigger, declared.NewerTrigger, "handler").endpoints(_FUNCTION),
    Endpoint("GET", "/tags", "ListTaggedResources", tagged, _PART),
    Endpoint("GET", "/reserved-capacities", "ListReservedCapacities", account.reserved_capacities, _PART),
    Endpoint("POST", _SOURCES, "RegisterEventSource", register, ("qualifier",), shapes.EventSource),
    Endpoint("GET", _SOURCES, "ListEventSources", sources, ("qualifier",)),
    Endpoint("DELETE", _SOURCES + "/{source:path}", "DeregisterEventSource", deregister, ("qualifier",)),
)
