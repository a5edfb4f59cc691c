"""Functions, their code, triggers, versions, aliases and instances."""

from __future__ import annotations

import math

from pyfc.documents import shapes, triggers
from pyfc.documents.objects import RESOURCE_GROUP
from pyfc.documents.reader import Document
from pyfc.errors import InvalidArgument
from pyfc.gateway.api2016.functions import Live, code_place, instances_answer, running
from pyfc.gateway.api2016.triggers import Triggers
from pyfc.gateway.api2016.versions import Versions
from pyfc.gateway.api2023.documents import (
    function_answer,
    has_tags,
    tags_asked,
    tags_of,
    trigger_answer,
)
from pyfc.gateway.management import GONE, Answer, Call, Endpoint, page
from pyfc.model.function import Function
from pyfc.model.names import DEFAULT_SERVICE, LATEST, whole
from pyfc.supervisor.affine import pools_of
from pyfc.supervisor.pool import Pool

_RUNNING, _DESTROYED = "Running", "Destroyed"
_MILLISECONDS = 1000
_DIGITS = 18
_EVENT = "event"
"""FC 3's functions get HTTP requests as JSON events (triggers/http.py)."""


async def create(call: Call) -> Answer:
    """Make a function of what is sent, its code among it."""
    record = await call.api.functions.create(DEFAULT_SERVICE, call.document, _EVENT)
    if tags := tags_of(call.document):
        record = await call.api.functions.change(DEFAULT_SERVICE, record.value.name, tags=tags)
    return Answer(function_answer(call, record), record=record)


async def get(call: Call) -> Answer:
    """Tell a function."""
    record = await call.api.functions.function(DEFAULT_SERVICE, call.function, call.qualifier)
    return Answer(function_answer(call, record), record=record)


async def update(call: Call) -> Answer:
    """Change what is sent."""
    record = await call.api.functions.update(DEFAULT_SERVICE, call.function, call.document, call.etag)
    return Answer(function_answer(call, record), record=record)


async def delete(call: Call) -> Answer:
    """Delete a function, with its triggers."""
    await call.api.functions.delete(DEFAULT_SERVICE, call.function, call.etag, with_triggers=True)
    return GONE


async def list_(call: Call) -> Answer:
    """List functions: those of which everything is so that is asked for. Those of services are the older APIs'."""
    query, wanted, asked = call.query, call.wanted, tags_asked(call, "tags")

    def is_meant(function: Function) -> bool:
        card = (function.extras.get("gpuConfig") or {}).get("gpuType", "")
        group = function.extras.get("resourceGroupId") or RESOURCE_GROUP
        return (
            query.get("runtime", "") in {"", function.runtime}
            and query.get("functionName", "") in function.name
            and query.get("description", "") in function.description
            and query.get("gpuType", "") in {"", card}
            and query.get("resourceGroupId", "") in {"", group}
            and query.get("fcVersion", "").lower() != "v2"
            and has_tags(function, asked)
        )

    found = await call.api.operations.page(Function, DEFAULT_SERVICE, wanted=wanted, where=is_meant)
    return page("functions", [function_answer(call, record) for record in found.records], found.next_token)


async def code(call: Call) -> Answer:
    """Tell where the package of a function can be had."""
    record = await call.api.functions.function(DEFAULT_SERVICE, call.function, call.qualifier)
    return Answer(code_place(call, DEFAULT_SERVICE, record.value))


async def instances(call: Call) -> Answer:
    """List the instances of a function: those that run, or of `instanceStatus`, or alive from `startTimeMs` on and not
    born after `endTimeMs`. Only the newest that are gone are known.
    """
    await call.api.functions.function(DEFAULT_SERVICE, call.function, call.qualifier)
    start, end = _milliseconds(call, "startTimeMs"), _milliseconds(call, "endTimeMs")
    statuses = set(call.several("instanceStatus")) or ({_RUNNING, _DESTROYED} if start or end else {_RUNNING})
    first = call.query.get("startKey", "")

    def is_meant(each: Document) -> bool:
        return each["status"] in statuses and each["instanceId"] >= first and _lived(each, start, end or math.inf)

    found = [_instance(call, each) for each in running(call, DEFAULT_SERVICE, gone=True)]
    return instances_answer(call, list(filter(is_meant, found)))


def _milliseconds(call: Call, name: str) -> int:
    """A time since the epoch; 0 for none."""
    found = whole(call.query.get(name) or "0", _DIGITS)
    if found is None:
        raise InvalidArgument(message=f"{name} is no number of milliseconds since 1970")
    return found


def _lived(instance: Document, start: int, end: float) -> bool:
    """Whether it lived between two times."""
    destroyed = instance["destroyedTimeMs"] or math.inf
    return bool(instance["createdTimeMs"] <= end and destroyed >= start)


def _instance(call: Call, live: Live) -> Document:
    """FC 3's InstanceInfo object."""
    return {
        "instanceId": live.id,
        "versionId": live.version,
        "qualifier": call.qualifier or (LATEST if live.version == "0" else live.version),
        "status": _DESTROYED if live.died else _RUNNING,
        "resourceType": "Elastic",  # reserved instances are no others here
        "createdTimeMs": round(live.created * _MILLISECONDS),
        "destroyedTimeMs": round(live.died * _MILLISECONDS),
    }


async def disable(call: Call) -> Answer:
    """Let nobody call the function; with `abortOngoingRequest` also calls that run are ended."""
    changes = {"is_disabled": True, "why_disabled": call.document.get("reason", "")}
    record = await call.api.functions.change(DEFAULT_SERVICE, call.function, **changes)
    if call.document.get("abortOngoingRequest"):
        _abort(call)
    return Answer({"success": True}, record=record)


def _abort(call: Call) -> None:
    """End the instances that run calls of the function."""
    for target, entry in call.api.table().entries.items():
        if target[:2] == (DEFAULT_SERVICE, call.function) and isinstance(entry.route, Pool):
            for pool in pools_of(entry.route):
                busy = [each for each in pool.roster.instances if each.link is not None and each.link.in_flight]
                for instance in busy:
                    pool.end(instance)


async def enable(call: Call) -> Answer:
    """Let it be called again."""
    record = await call.api.functions.change(DEFAULT_SERVICE, call.function, is_disabled=False, why_disabled="")
    return Answer({"success": True}, record=record)


async def bind(call: Call) -> Answer:
    """Bind the function to a network; it is kept and told."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    await call.api.configs.bind(DEFAULT_SERVICE, call.function, call.document.get("vpcId", ""), bound=True)
    return GONE


async def bindings(call: Call) -> Answer:
    """List the networks that the function is bound to; none for one that is not there yet, as tools expect."""
    return Answer({"vpcIds": await call.api.configs.bindings(DEFAULT_SERVICE, call.function)})


async def unbind(call: Call) -> Answer:
    """Unbind the function from a network."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    await call.api.configs.bind(DEFAULT_SERVICE, call.function, call.names["vpc"], bound=False)
    return GONE


async def _function(call: Call) -> tuple[str, str]:
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    return DEFAULT_SERVICE, call.function


_ONE = "/functions/{function}"
_LISTED = (
    "prefix", "nextToken", "limit", "fcVersion", "description", "tags", "functionName", "runtime", "gpuType",
    "resourceGroupId",
)  # fmt: skip
_INSTANCES = (
    "qualifier", "instanceIds", "limit", "instanceStatus", "startKey", "startTimeMs", "endTimeMs", "withAllActive",
)  # fmt: skip
ENDPOINTS = (
    Endpoint("POST", "/functions", "CreateFunction", create, body=shapes.NewerFunction),
    Endpoint("GET", "/functions", "ListFunctions", list_, _LISTED),
    Endpoint("GET", _ONE, "GetFunction", get, ("qualifier",)),
    Endpoint("PUT", _ONE, "UpdateFunction", update, body=shapes.NewerFunction),
    Endpoint("DELETE", _ONE, "DeleteFunction", delete),
    Endpoint("GET", _ONE + "/code", "GetFunctionCode", code, ("qualifier",)),
    Endpoint("GET", _ONE + "/instances", "ListInstances", instances, _INSTANCES),
    Endpoint("PUT", _ONE + "/invoke/disable", "DisableFunctionInvocation", disable, body=shapes.Reason),
    Endpoint("POST", _ONE + "/invoke/disable", "DisableFunctionInvocationByPost", disable, body=shapes.Reason),
    Endpoint("PUT", _ONE + "/invoke/enable", "EnableFunctionInvocation", enable),
    Endpoint("POST", _ONE + "/invoke/enable", "EnableFunctionInvocationByPost", enable),
    Endpoint("POST", _ONE + "/vpc-bindings", "CreateVpcBinding", bind, body=shapes.Binding),
    Endpoint("GET", _ONE + "/vpc-bindings", "ListVpcBindings", bindings),
    Endpoint("DELETE", _ONE + "/vpc-bindings/{vpc}", "DeleteVpcBinding", unbind),
    *Versions(_function).endpoints(_ONE, "Function"),
    *Triggers(lambda _: DEFAULT_SERVICE, trigger_answer, triggers.NewerTrigger, "event").endpoints(_ONE),
)
