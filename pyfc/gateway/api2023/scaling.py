"""Reserved instances, limits, and the configuration of asynchronous calls."""

from __future__ import annotations

from pyfc.documents import shapes
from pyfc.documents.reader import Document
from pyfc.gateway.api2016.scaling import reserved
from pyfc.gateway.api2023.documents import arn
from pyfc.gateway.management import GONE, Answer, Call, Endpoint, page
from pyfc.model.names import DEFAULT_SERVICE
from pyfc.model.resources import ASYNC, CONCURRENCY, PROVISION, SCALING, Config
from pyfc.registry.documents import config_document
from pyfc.registry.registry import Record


def _document(call: Call, record: Record[Config]) -> Document:
    config = record.value
    name = {"functionArn": arn(call, config.function, config.qualifier)}
    if config.kind == ASYNC:
        return {**name, **config_document(record)}
    if config.kind == CONCURRENCY:
        return {"functionArn": arn(call, config.function), **config.document}
    told = reserved(call, config)
    if config.kind == SCALING:
        return {**name, **config.document, "currentInstances": told["current"], "currentError": told["currentError"]}
    return {**name, **config.document, "defaultTarget": config.document["target"], **told}


class _Kind:
    """The operations on one kind of configuration."""

    def __init__(self, kind: str, key: str, body: type[shapes.Shape]) -> None:
        self.kind = kind
        self.key = key
        self.body = body

    async def put(self, call: Call) -> Answer:
        """Set it."""
        record = await call.api.configs.put(self.kind, DEFAULT_SERVICE, call.function, call.qualifier, call.document)
        return Answer(_document(call, record), record=record)

    async def get(self, call: Call) -> Answer:
        """Tell it."""
        record = await call.api.configs.get(self.kind, DEFAULT_SERVICE, call.function, call.qualifier)
        return Answer(_document(call, record), record=record)

    async def delete(self, call: Call) -> Answer:
        """Forget it."""
        await call.api.configs.delete(self.kind, DEFAULT_SERVICE, call.function, call.qualifier)
        return GONE

    async def list(self, call: Call) -> Answer:
        """List those of all functions, or of one."""
        found = await call.api.configs.page(
            self.kind,
            call.wanted,
            service=DEFAULT_SERVICE,
            function=call.query.get("functionName", ""),
            qualifier=call.query.get("qualifier", ""),
        )
        return page(self.key, [_document(call, record) for record in found.records], found.next_token)

    def endpoints(self, path: str, name: str) -> tuple[Endpoint, ...]:
        """Of this kind. `name`: what FC's operations call it."""
        one, many = f"/functions/{{function}}/{path}", f"/{path}-configs".replace("-config-configs", "-configs")
        return (
            Endpoint("PUT", one, f"Put{name}", self.put, ("qualifier",), self.body),
            Endpoint("GET", one, f"Get{name}", self.get, ("qualifier",)),
            Endpoint("DELETE", one, f"Delete{name}", self.delete, ("qualifier",)),
            Endpoint("GET", many, f"List{name}s", self.list, ("functionName", "qualifier", "limit", "nextToken")),
        )


ENDPOINTS = (
    *_Kind(ASYNC, "configs", shapes.Asynchronous).endpoints(ASYNC, "AsyncInvokeConfig"),
    *_Kind(PROVISION, "provisionConfigs", shapes.Provision).endpoints(PROVISION, "ProvisionConfig"),
    *_Kind(CONCURRENCY, "configs", shapes.Concurrency).endpoints(CONCURRENCY, "ConcurrencyConfig"),
    *_Kind(SCALING, "scalingConfigs", shapes.Scaling).endpoints(SCALING, "ScalingConfig"),
)
