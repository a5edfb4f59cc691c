"""Reserved instances, limits and the configuration of asynchronous calls."""

from __future__ import annotations

from pyfc.calls.table import version_of
from pyfc.documents import shapes
from pyfc.documents.reader import Document
from pyfc.gateway.management import GONE, Answer, Call, Endpoint, page
from pyfc.model.names import Target
from pyfc.model.resources import ASYNC, ON_DEMAND, PROVISION, Config
from pyfc.registry.documents import times
from pyfc.registry.operations import Page
from pyfc.registry.registry import Record
from pyfc.supervisor.pool import Pool

_LIST = ("limit", "nextToken")


def reserved(call: Call, config: Config) -> Document:
    """How many instances of a function are reserved now, and what keeps others from being so."""
    table = call.api.table()
    target = version_of(table, Target(config.service, config.function, config.qualifier))
    route = table.entries[target].route if target is not None else None
    told: Document = route.describe().get("provision", {}) if isinstance(route, Pool) else {}
    return {"current": told.get("current", 0), "currentError": told.get("currentError", "")}


def _provision(call: Call, record: Record[Config]) -> Document:
    config = record.value
    resource = f"{call.api.settings.account_id}#{config.service}#{config.qualifier}#{config.function}"
    return {"resource": resource, **config.document, **reserved(call, config)}


async def put_provision(call: Call) -> Answer:
    """Reserve instances; a target of 0 without policies ends that."""
    record = await _put(call, PROVISION)
    return Answer(_provision(call, record), record=record)


async def _put(call: Call, kind: str) -> Record[Config]:
    return await call.api.configs.put(kind, call.service, call.function, call.qualifier, call.document)


async def _get(call: Call, kind: str) -> Record[Config]:
    return await call.api.configs.get(kind, call.service, call.function, call.qualifier)


async def get_provision(call: Call) -> Answer:
    """Tell how many instances are reserved."""
    record = await _get(call, PROVISION)
    return Answer(_provision(call, record), record=record)


async def _page(call: Call, kind: str) -> Page:
    return await call.api.configs.page(
        kind, call.wanted, service=call.query.get("serviceName", ""), qualifier=call.query.get("qualifier", "")
    )


async def list_provisions(call: Call) -> Answer:
    """List what is reserved."""
    found = await _page(call, PROVISION)
    return page("provisionConfigs", [_provision(call, record) for record in found.records], found.next_token)


def _on_demand(record: Record[Config]) -> Document:
    config = record.value
    resource = f"services/{config.service}.{config.qualifier}/functions/{config.function}"
    return {"resource": resource, "maximumInstanceCount": config.limit}


async def put_on_demand(call: Call) -> Answer:
    """Limit the number of instances."""
    record = await _put(call, ON_DEMAND)
    return Answer(_on_demand(record), record=record)


async def get_on_demand(call: Call) -> Answer:
    """Tell the limit."""
    record = await _get(call, ON_DEMAND)
    return Answer(_on_demand(record), record=record)


async def delete_on_demand(call: Call) -> Answer:
    """Remove the limit."""
    await call.api.configs.delete(ON_DEMAND, call.service, call.function, call.qualifier)
    return GONE


async def list_on_demand(call: Call) -> Answer:
    """List limits."""
    found = await _page(call, ON_DEMAND)
    return page("configs", [_on_demand(record) for record in found.records], found.next_token)


def _asynchronous(record: Record[Config]) -> Document:
    config = record.value
    names = {"service": config.service, "function": config.function, "qualifier": config.qualifier}
    return {**names, **config.document, **times(record)}


async def put_async(call: Call) -> Answer:
    """Say how asynchronous calls are retried and where their outcomes go."""
    record = await _put(call, ASYNC)
    return Answer(_asynchronous(record), record=record)


async def get_async(call: Call) -> Answer:
    """Tell that."""
    record = await _get(call, ASYNC)
    return Answer(_asynchronous(record), record=record)


async def delete_async(call: Call) -> Answer:
    """Forget that."""
    await call.api.configs.delete(ASYNC, call.service, call.function, call.qualifier)
    return GONE


async def list_async(call: Call) -> Answer:
    """List that of all qualifiers of a function."""
    await call.api.functions.function(call.service, call.function)
    found = await call.api.configs.page(ASYNC, call.wanted, service=call.service, function=call.function)
    return page("configs", [_asynchronous(record) for record in found.records], found.next_token)


_ONE = "/services/{service}/functions/{function}"
_QUALIFIER = ("qualifier",)
ENDPOINTS = (
    Endpoint("PUT", _ONE + "/provision-config", "PutProvisionConfig", put_provision, _QUALIFIER, body=shapes.Provision),
    Endpoint("GET", _ONE + "/provision-config", "GetProvisionConfig", get_provision, _QUALIFIER),
    Endpoint(
        "GET", "/provision-configs", "ListProvisionConfigs", list_provisions, ("serviceName", "qualifier", *_LIST)
    ),
    Endpoint("PUT", _ONE + "/on-demand-config", "PutOnDemandConfig", put_on_demand, _QUALIFIER, body=shapes.OnDemand),
    Endpoint("GET", _ONE + "/on-demand-config", "GetOnDemandConfig", get_on_demand, _QUALIFIER),
    Endpoint("DELETE", _ONE + "/on-demand-config", "DeleteOnDemandConfig", delete_on_demand, _QUALIFIER),
    Endpoint("GET", "/on-demand-configs", "ListOnDemandConfigs", list_on_demand, _LIST),
    Endpoint(
        "PUT",
        _ONE + "/async-invoke-config",
        "PutFunctionAsyncInvokeConfig",
        put_async,
        _QUALIFIER,
        body=shapes.Asynchronous,
    ),
    Endpoint("GET", _ONE + "/async-invoke-config", "GetFunctionAsyncInvokeConfig", get_async, _QUALIFIER),
    Endpoint("DELETE", _ONE + "/async-invoke-config", "DeleteFunctionAsyncInvokeConfig", delete_async, _QUALIFIER),
    Endpoint("GET", _ONE + "/async-invoke-configs", "ListFunctionAsyncInvokeConfigs", list_async, _LIST),
)
