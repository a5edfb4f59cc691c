"""Reserved instances, limits and the configuration of asynchronous calls: of functions of a service here, of functions
without one in the newer API.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pyfc.calls.table import version_of
from pyfc.documents import scaling, shapes
from pyfc.documents.reader import Document
from pyfc.gateway.management import GONE, Answer, Call, Endpoint
from pyfc.model import policy
from pyfc.model.function import Provision
from pyfc.model.names import Target
from pyfc.model.resources import ASYNC, ON_DEMAND, PROVISION, Config
from pyfc.registry.documents import resource_of, times
from pyfc.registry.registry import Record
from pyfc.supervisor.pool import Pool

Told = Callable[[Call, Record[Config]], Document]
"""How a configuration is told."""


class Configs:
    """The operations on one kind of configuration."""

    def __init__(
        self, kind: str, key: str, body: type[shapes.Shape], document: Told, service: Callable[[Call], str]
    ) -> None:
        """`key` of a list of them; `service` that the path or the query names."""
        self._kind = kind
        self._key = key
        self._body = body
        self._document = document
        self._service = service

    async def put(self, call: Call) -> Answer:
        """Set it."""
        names = (self._service(call), call.function, call.qualifier)
        record = await call.api.configs.put(self._kind, *names, call.document)
        told = self._document(call, record)
        if self._kind == PROVISION:  # what was set; what is in force by now is told by the next GET
            told["target"] = record.value.document["target"]
        return Answer(told, record=record)

    async def get(self, call: Call) -> Answer:
        """Tell it."""
        record = await call.api.configs.get(self._kind, self._service(call), call.function, call.qualifier)
        return Answer(self._document(call, record), record=record)

    async def delete(self, call: Call) -> Answer:
        """Forget it."""
        await call.api.configs.delete(self._kind, self._service(call), call.function, call.qualifier)
        return GONE

    async def list(self, call: Call) -> Answer:
        """List those of all functions, or of one."""
        service, function = self._service(call), call.query.get("functionName", "")
        if "function" in call.names:
            function = call.function
            await call.api.functions.function(service, function)
        qualifier = call.query.get("qualifier", "")
        found = await call.api.configs.page(
            self._kind, call.wanted, service=service, function=function, qualifier=qualifier
        )
        documents = [self._document(call, record) for record in found.records]
        has_none = not documents and (self._kind == ON_DEMAND or "service" in call.names)
        listed = None if has_none else documents  # FC's SDKs test for this
        token = {"nextToken": found.next_token} if found.next_token or self._kind == ASYNC else {}
        return Answer({self._key: listed, **token})

    def endpoints(self, one: str, many: str, name: str, query: tuple[str, ...]) -> tuple[Endpoint, ...]:
        """Of this kind, by the paths of one and of many. `name`: what FC's operations call it; `query` of lists."""
        return (
            Endpoint("PUT", one, f"Put{name}", self.put, ("qualifier",), self._body),
            Endpoint("GET", one, f"Get{name}", self.get, ("qualifier",)),
            Endpoint("GET", many, f"List{name}s", self.list, (*query, "limit", "nextToken")),
            Endpoint("DELETE", one, f"Delete{name}", self.delete, ("qualifier",)),
        )


def reserved(call: Call, config: Config) -> Document:
    """How many instances of a function are to be reserved now, how many are, and what keeps others from being so."""
    table = call.api.table()
    target = version_of(table, Target(config.service, config.function, config.qualifier))
    route = table.entries[target].route if target is not None else None
    pool = route if isinstance(route, Pool) else None
    told: Document = pool.describe().get("provision", {}) if pool is not None else {}
    busy, slots = (pool.roster.busy, pool.concurrency) if pool is not None else (0, 1)
    due = policy.reserved(config.provision or Provision(), time.time(), busy, slots)
    return {"target": due, "current": told.get("current", 0), "currentError": told.get("currentError", "")}


def _service(call: Call) -> str:
    return call.service if "service" in call.names else call.query.get("serviceName", "")


def _provision(call: Call, record: Record[Config]) -> Document:
    config = record.value
    resource = f"{call.api.settings.account_id}#{config.service}#{config.qualifier}#{config.function}"
    return {"resource": resource, **config.document, **reserved(call, config)}


def _on_demand(_: Call, record: Record[Config]) -> Document:
    return {"resource": resource_of(record.value), "maximumInstanceCount": record.value.limit}


def _asynchronous(_: Call, record: Record[Config]) -> Document:
    config = record.value
    names = {"service": config.service, "function": config.function, "qualifier": config.qualifier}
    return {**names, **config.document, **times(record)}


_ONE = "/services/{service}/functions/{function}"
_PROVISION = Configs(PROVISION, "provisionConfigs", scaling.Provision, _provision, _service)
_ON_DEMAND = Configs(ON_DEMAND, "configs", scaling.OnDemand, _on_demand, _service)
_ASYNC = Configs(ASYNC, "configs", scaling.Asynchronous, _asynchronous, _service)
_LISTED = ("serviceName", "qualifier")
_LISTED_FROM = (*_LISTED, "prefix", "startKey")
# a target of 0 ends a reserve, nothing deletes it
ENDPOINTS = (
    *_PROVISION.endpoints(_ONE + "/provision-config", "/provision-configs", "ProvisionConfig", _LISTED)[:-1],
    *_ON_DEMAND.endpoints(_ONE + "/on-demand-config", "/on-demand-configs", "OnDemandConfig", _LISTED_FROM),
    *_ASYNC.endpoints(_ONE + "/async-invoke-config", _ONE + "/async-invoke-configs", "FunctionAsyncInvokeConfig", ()),
)
