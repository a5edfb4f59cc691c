"""Functions, their code, triggers, versions, aliases and instances."""

from __future__ import annotations

from pyfc.documents import shapes, triggers
from pyfc.gateway.api2016.functions import code_place, running
from pyfc.gateway.api2016.triggers import Triggers
from pyfc.gateway.api2016.versions import Versions
from pyfc.gateway.api2023.documents import function_answer, tags_of, trigger_answer
from pyfc.gateway.management import GONE, Answer, Call, Endpoint, page
from pyfc.model.function import Function
from pyfc.model.names import DEFAULT_SERVICE

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
    """List functions."""
    runtime, name = call.query.get("runtime", ""), call.query.get("functionName", "")
    wanted = call.wanted
    if name:
        wanted = wanted._replace(prefix=name)
    found = await call.api.operations.page(Function, DEFAULT_SERVICE, wanted=wanted)
    records = [record for record in found.records if runtime in {"", record.value.runtime}]
    return page("functions", [function_answer(call, record) for record in records], found.next_token)


async def code(call: Call) -> Answer:
    """Tell where the package of a function can be had."""
    record = await call.api.functions.function(DEFAULT_SERVICE, call.function, call.qualifier)
    return Answer(code_place(call, DEFAULT_SERVICE, record.value))


async def instances(call: Call) -> Answer:
    """List the running instances of a function."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function, call.qualifier)
    found = [{**each, "status": "Running"} for each in running(call, DEFAULT_SERVICE)]
    return Answer({"instances": found, "requestId": call.request_id})


async def disable(call: Call) -> Answer:
    """Let nobody call the function."""
    record = await call.api.functions.change(DEFAULT_SERVICE, call.function, is_disabled=True)
    return Answer(function_answer(call, record), record=record)


async def enable(call: Call) -> Answer:
    """Let it be called again."""
    record = await call.api.functions.change(DEFAULT_SERVICE, call.function, is_disabled=False)
    return Answer(function_answer(call, record), record=record)


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
_LISTED = ("prefix", "nextToken", "limit", "fcVersion", "description", "tags", "functionName", "runtime")
ENDPOINTS = (
    Endpoint("POST", "/functions", "CreateFunction", create, body=shapes.NewerFunction),
    Endpoint("GET", "/functions", "ListFunctions", list_, _LISTED),
    Endpoint("GET", _ONE, "GetFunction", get, ("qualifier",)),
    Endpoint("PUT", _ONE, "UpdateFunction", update, body=shapes.NewerFunction),
    Endpoint("DELETE", _ONE, "DeleteFunction", delete),
    Endpoint("GET", _ONE + "/code", "GetFunctionCode", code, ("qualifier",)),
    Endpoint("GET", _ONE + "/instances", "ListInstances", instances, ("qualifier", "instanceIds", "limit")),
    Endpoint("PUT", _ONE + "/invoke/disable", "DisableFunctionInvocation", disable, body=shapes.Reason),
    Endpoint("POST", _ONE + "/invoke/disable", "DisableFunctionInvocationByPost", disable, body=shapes.Reason),
    Endpoint("PUT", _ONE + "/invoke/enable", "EnableFunctionInvocation", enable, body=shapes.Reason),
    Endpoint("POST", _ONE + "/invoke/enable", "EnableFunctionInvocationByPost", enable, body=shapes.Reason),
    Endpoint("POST", _ONE + "/vpc-bindings", "CreateVpcBinding", bind, body=shapes.Binding),
    Endpoint("GET", _ONE + "/vpc-bindings", "ListVpcBindings", bindings),
    Endpoint("DELETE", _ONE + "/vpc-bindings/{vpc}", "DeleteVpcBinding", unbind),
    *Versions(_function).endpoints(_ONE, "Function"),
    *Triggers(lambda _: DEFAULT_SERVICE, trigger_answer, triggers.NewerTrigger, "event").endpoints(_ONE),
)
