"""Reserved instances, limits, and the configuration of asynchronous calls."""

from __future__ import annotations

from pyfc.documents import scaling, shapes
from pyfc.documents.configurations import config_of
from pyfc.documents.reader import Document
from pyfc.errors import ProvisionConfigNotFound
from pyfc.gateway.api2016.scaling import Configs, reserved
from pyfc.gateway.api2023.documents import arn
from pyfc.gateway.management import Answer, Call, Endpoint
from pyfc.model.names import DEFAULT_SERVICE, LATEST
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
        now = {"currentInstances": told["current"], "currentError": told["currentError"]}
        return {**name, **config.document, "targetInstances": told["target"], **now}
    return {**name, **config.document, "defaultTarget": config.document["target"], **told}


class _Reserves(Configs):
    """Reserved instances: a function that was given none has a reserve of 0, with an empty `functionArn`, by which FC's
    tools know that nothing was configured.
    """

    async def get(self, call: Call) -> Answer:
        """Tell it."""
        try:
            return await super().get(call)
        except ProvisionConfigNotFound:
            await call.api.functions.function(DEFAULT_SERVICE, call.function, call.qualifier)
            none = config_of(PROVISION, DEFAULT_SERVICE, call.function, call.qualifier or LATEST, {})
            return Answer({**_document(call, Record(none, 0, "", 0.0, 0.0)), "functionArn": ""})


def _endpoints(kind: str, key: str, body: type[shapes.Shape], name: str) -> tuple[Endpoint, ...]:
    one, many = f"/functions/{{function}}/{kind}", f"/{kind.removesuffix('-config')}-configs"
    operations = _Reserves if kind == PROVISION else Configs
    configs = operations(kind, key, body, _document, lambda _: DEFAULT_SERVICE)
    return configs.endpoints(one, many, name, ("functionName", "qualifier"))


ENDPOINTS = (
    *_endpoints(ASYNC, "configs", scaling.Asynchronous, "AsyncInvokeConfig"),
    *_endpoints(PROVISION, "provisionConfigs", scaling.Provision, "ProvisionConfig"),
    *_endpoints(CONCURRENCY, "configs", scaling.Concurrency, "ConcurrencyConfig"),
    *_endpoints(SCALING, "scalingConfigs", scaling.Scaling, "ScalingConfig"),
)
