"""Functions, their code, triggers, versions, aliases and instances."""

from __future__ import annotations

from pyfc.documents import shapes, triggers
from pyfc.gateway.api2016.functions import code_place, running
from pyfc.gateway.api2016.versions import version_document
from pyfc.gateway.api2023.documents import function_answer, tags_of, trigger_answer
from pyfc.gateway.management import GONE, Answer, Call, Endpoint, page
from pyfc.model.function import Function
from pyfc.model.names import DEFAULT_SERVICE
from pyfc.model.resources import Alias
from pyfc.model.trigger import Trigger
from pyfc.registry.documents import alias_document

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


# versions and aliases


async def publish(call: Call) -> Answer:
    """Make a version of the function as it is."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    description = call.document.get("description", "")
    record = await call.api.versions.publish(DEFAULT_SERVICE, call.function, description, call.etag)
    return Answer(version_document(record), record=record)


async def list_versions(call: Call) -> Answer:
    """List versions, the newest first unless `direction` is FORWARD."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    forward = call.query.get("direction", "").upper() == "FORWARD"
    wanted = call.wanted._replace(start=call.query.get("startVersion", ""))
    found = await call.api.versions.page(DEFAULT_SERVICE, call.function, wanted, forward=forward)
    answer = page("versions", [version_document(record) for record in found.records], found.next_token)
    answer.document["direction"] = "FORWARD" if forward else "BACKWARD"
    return answer


async def delete_version(call: Call) -> Answer:
    """Delete a version that no alias leads to."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    await call.api.versions.delete(DEFAULT_SERVICE, call.function, call.names["version"])
    return GONE


async def create_alias(call: Call) -> Answer:
    """Make an alias of a version."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    record = await call.api.versions.create_alias(DEFAULT_SERVICE, call.function, call.document)
    return Answer(alias_document(record), record=record)


async def get_alias(call: Call) -> Answer:
    """Tell an alias."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    record = await call.api.versions.alias(DEFAULT_SERVICE, call.function, call.names["alias"])
    return Answer(alias_document(record), record=record)


async def update_alias(call: Call) -> Answer:
    """Let an alias lead elsewhere."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    record = await call.api.versions.update_alias(
        DEFAULT_SERVICE, call.function, call.names["alias"], call.document, call.etag
    )
    return Answer(alias_document(record), record=record)


async def delete_alias(call: Call) -> Answer:
    """Delete an alias."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    await call.api.versions.delete_alias(DEFAULT_SERVICE, call.function, call.names["alias"], call.etag)
    return GONE


async def list_aliases(call: Call) -> Answer:
    """List the aliases of a function."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    found = await call.api.operations.page(Alias, DEFAULT_SERVICE, call.function, wanted=call.wanted)
    return page("aliases", [alias_document(record) for record in found.records], found.next_token)


# triggers


async def create_trigger(call: Call) -> Answer:
    """Make a trigger of a function."""
    record = await call.api.functions.create_trigger(DEFAULT_SERVICE, call.function, call.document, _EVENT)
    return Answer(trigger_answer(call, record), record=record)


async def get_trigger(call: Call) -> Answer:
    """Tell a trigger."""
    record = await call.api.functions.trigger(DEFAULT_SERVICE, call.function, call.names["trigger"])
    return Answer(trigger_answer(call, record), record=record)


async def update_trigger(call: Call) -> Answer:
    """Change a trigger's configuration, role, qualifier or description."""
    record = await call.api.functions.update_trigger(
        DEFAULT_SERVICE, call.function, call.names["trigger"], call.document, call.etag, _EVENT
    )
    return Answer(trigger_answer(call, record), record=record)


async def delete_trigger(call: Call) -> Answer:
    """Delete a trigger."""
    await call.api.functions.delete_trigger(DEFAULT_SERVICE, call.function, call.names["trigger"], call.etag)
    return GONE


async def list_triggers(call: Call) -> Answer:
    """List the triggers of a function."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    found = await call.api.operations.page(Trigger, DEFAULT_SERVICE, call.function, wanted=call.wanted)
    return page("triggers", [trigger_answer(call, record) for record in found.records], found.next_token)


_ONE, _PART = "/functions/{function}", ("limit", "nextToken", "prefix")
_LISTED = ("prefix", "nextToken", "limit", "fcVersion", "description", "tags", "functionName", "runtime")
_VERSIONS = ("direction", "limit", "nextToken", "startVersion")
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
    Endpoint("POST", _ONE + "/versions", "PublishFunctionVersion", publish, body=shapes.Description),
    Endpoint("GET", _ONE + "/versions", "ListFunctionVersions", list_versions, _VERSIONS),
    Endpoint("DELETE", _ONE + "/versions/{version}", "DeleteFunctionVersion", delete_version),
    Endpoint("POST", _ONE + "/aliases", "CreateAlias", create_alias, body=shapes.Alias),
    Endpoint("GET", _ONE + "/aliases", "ListAliases", list_aliases, _PART),
    Endpoint("GET", _ONE + "/aliases/{alias}", "GetAlias", get_alias),
    Endpoint("PUT", _ONE + "/aliases/{alias}", "UpdateAlias", update_alias, body=shapes.Alias),
    Endpoint("DELETE", _ONE + "/aliases/{alias}", "DeleteAlias", delete_alias),
    Endpoint("POST", _ONE + "/triggers", "CreateTrigger", create_trigger, body=triggers.NewerTrigger),
    Endpoint("GET", _ONE + "/triggers", "ListTriggers", list_triggers, _PART),
    Endpoint("GET", _ONE + "/triggers/{trigger}", "GetTrigger", get_trigger),
    Endpoint("PUT", _ONE + "/triggers/{trigger}", "UpdateTrigger", update_trigger, body=triggers.NewerTrigger),
    Endpoint("DELETE", _ONE + "/triggers/{trigger}", "DeleteTrigger", delete_trigger),
)
