"""FC's JSON objects (API 2016-08-15) and the model: read and written here, by the same rules as template files.

What pyfc keeps without honouring it (`extras`) is returned as it was given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.function import Function, Hook, Provision, Service
from pyfc.model.names import LATEST, is_name, numbered
from pyfc.model.resources import ITEMS, OPERATORS, Alias, Config, Domain, Route
from pyfc.model.rewriting import check as check_rewriting
from pyfc.model.trigger import Trigger
from pyfc.project.document import Field, from_values
from pyfc.project.interface import Project
from pyfc.project.overrides import read_provision
from pyfc.project.properties import PROTOCOLS, http_trigger, internet_access, read_function
from pyfc.registry.registry import Record
from pyfc.registry.vocabulary import FUNCTION_EXTRAS, SERVICE_EXTRAS

Document = dict[str, Any]
R = TypeVar("R")
_NOWHERE = Path("/")
_TRIGGERS = (
    "http", "https", "oss", "log", "timer", "mns_topic", "cdn_events", "tablestore", "rds", "datahub", "eventbridge",
)  # fmt: skip
_MOST_INSTANCES = 10_000
_DOMAIN, _LONGEST_DOMAIN = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+"), 253


def told(read: Callable[[], R]) -> R:
    """What a reader of template files returns; what it finds wrong is told without a file and a line."""
    try:
        return read()
    except ProjectError as error:
        raise InvalidArgument(message=error.fields["message"]) from None


def time_text(seconds: float) -> str:
    """A time as FC writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def need_name(document: Mapping[str, Any], name: str) -> str:
    """A name that must be there and be one."""
    text = document.get(name)
    if not isinstance(text, str) or not is_name(text):
        shown = "missing" if text in {None, ""} else repr(text)
        allowed = "a letter or _, then letters, digits, _ and -, at most 128"
        raise InvalidArgument(message=f"{name} is {shown}; it must be {allowed}")
    return text


def text_of(document: Mapping[str, Any], name: str, default: str = "") -> str:
    """A text, `default` if it is absent. Raises InvalidArgument."""
    value = document.get(name, default)
    if not isinstance(value, str):
        raise InvalidArgument(message=f"{name} must be text, not {json.dumps(value)[:100]}")
    return value


def mapping_of(document: Mapping[str, Any], name: str) -> Document:
    """An object, {} if it is absent or empty text. Raises InvalidArgument."""
    value = document.get(name) or {}
    if not isinstance(value, dict):
        raise InvalidArgument(message=f"{name} must be an object, not {json.dumps(value)[:100]}")
    return value


def reading(document: Mapping[str, Any], name: str) -> Field:
    """The document as the readers of template files take it."""
    return from_values(document, name)


def service_of(document: Document, old: Service | None = None) -> Service:
    """The service that `document` describes, or makes of `old`."""
    whole = {**(_service_fields(old) if old is not None else {}), **document}
    logs = mapping_of(whole, "logConfig")
    return Service(
        name=old.name if old is not None else need_name(whole, "serviceName"),
        description=text_of(whole, "description"),
        log_project=text_of(logs, "project"),
        log_store=text_of(logs, "logstore"),
        internet_access=told(lambda: internet_access(reading(whole, "service"))),
        extras={name: whole[name] for name in SERVICE_EXTRAS if name in whole},
        tags=dict(old.tags) if old is not None else {},
    )


def _service_fields(service: Service) -> Document:
    logs = {"project": service.log_project, "logstore": service.log_store}
    return {
        "serviceName": service.name,
        "description": service.description,
        "role": "",
        "internetAccess": service.internet_access,
        "logConfig": logs,
        "vpcConfig": {"vpcId": "", "vSwitchIds": [], "securityGroupId": ""},
        "nasConfig": {"userId": -1, "groupId": -1, "mountPoints": []},
        **service.extras,
    }


def service_document(record: Record[Service]) -> Document:
    """FC's Service object."""
    return {**_service_fields(record.value), "tags": dict(record.value.tags), "serviceId": record.id, **times(record)}


def times(record: Record[Any]) -> Document:
    """When it was made and changed."""
    return {"createdTime": time_text(record.created), "lastModifiedTime": time_text(record.modified)}


def function_of(service: str, document: Document, old: Function | None = None) -> Function:
    """The function that `document` describes, or makes of `old`; its code and layers' folder are `old`'s."""
    whole = {**(function_fields(old) if old is not None else {}), **document}
    name = old.name if old is not None else need_name(whole, "functionName")
    known = {key: value for key, value in whole.items() if key not in {*FUNCTION_EXTRAS, "code", "layers"}}
    read = told(
        lambda: read_function(reading(known, "function"), service, name, Project(root=_NOWHERE), capital=False)
    ).function
    layers = whole.get("layers") or []
    if not isinstance(layers, list) or not all(isinstance(each, str) for each in layers):
        raise InvalidArgument(message="layers must be a list of ARNs")
    changes: dict[str, Any] = {
        "layers": tuple(layers),
        "extras": {key: whole[key] for key in FUNCTION_EXTRAS if key in whole},
    }
    if old is not None:
        for kept in ("code", "opt", "tags", "snapshot", "provision", "maximum_instance_count", "is_disabled"):
            changes[kept] = getattr(old, kept)
        changes["is_declared"] = old.is_declared
    return replace(read, **changes)


def function_fields(function: Function) -> Document:
    """What of a function can be set."""
    limits = function.limits
    hooks: Document = {}
    for name, hook in (("preFreeze", function.pre_freeze), ("preStop", function.pre_stop)):
        hooks[name] = _hook(hook)
    document: Document = {
        "functionName": function.name,
        "description": function.description,
        "runtime": function.runtime,
        "handler": function.handler,
        "initializer": function.initializer,
        "timeout": limits.timeout,
        "initializationTimeout": limits.initialization_timeout,
        "memorySize": limits.memory_size,
        "instanceConcurrency": limits.instance_concurrency,
        "diskSize": limits.disk_size,
        "environmentVariables": dict(function.environment_variables),
        "layers": list(function.layers),
        "instanceLifecycleConfig": hooks,
        "internetAccess": function.internet_access,
        **function.extras,
    }
    if function.runtime.startswith("custom"):
        document["caPort"] = function.program.port
        document["customRuntimeConfig"] = {"command": list(function.program.command), "args": []}
        if function.program.health:
            document["customHealthCheckConfig"] = dict(function.program.health)
    return document


def _hook(hook: Hook) -> Document:
    return {"handler": hook.handler, "timeout": hook.timeout}


def function_document(record: Record[Function]) -> Document:
    """FC's Function object."""
    function = record.value
    return {
        **function_fields(function),
        "instanceType": function.extras.get("instanceType", "e1"),
        "functionId": record.id,
        "codeSize": function.code.size if function.code is not None else 0,
        "codeChecksum": function.code.checksum if function.code is not None else "",
        "layersArnV2": list(function.layers),
        **times(record),
    }


def trigger_of(service: str, function: str, document: Document, convention: str, old: Trigger | None = None) -> Trigger:
    """The trigger that `document` describes, or makes of `old`. `convention`: see triggers/http.py."""
    kind = old.type if old is not None else text_of(document, "triggerType")
    if kind not in _TRIGGERS:
        raise InvalidArgument(message=f"triggerType is {kind!r}; it must be one of {', '.join(_TRIGGERS)}")
    name = old.name if old is not None else need_name(document, "triggerName")
    config = document.get("triggerConfig", old.config if old is not None else {})
    if not isinstance(config, Mapping):
        raise InvalidArgument(message="triggerConfig must be an object")
    if kind == "http":
        config = {
            **(old.config if old is not None else {}),
            **config,
        }  # what is not named stays: who may call, above all
        field = reading(config, "triggerConfig")
        read = told(lambda: http_trigger(field, (service, function), name, field, convention=convention))
        config = {**config, **read.config}

    def chosen(key: str, before: str) -> str:
        return text_of(document, key) if key in document else before

    return Trigger(
        service=service,
        function=function,
        name=name,
        type=kind,
        config=config,
        description=chosen("description", old.description if old is not None else ""),
        source_arn=old.source_arn if old is not None else text_of(document, "sourceArn"),
        invocation_role=chosen("invocationRole", old.invocation_role if old is not None else ""),
        qualifier=numbered(chosen("qualifier", old.qualifier if old is not None else "")),
    )


def trigger_document(record: Record[Trigger], arn: str, url: str) -> Document:
    """FC's Trigger object. `arn` of its function; `url` at which an HTTP trigger is called."""
    trigger = record.value
    document: Document = {
        "triggerName": trigger.name,
        "description": trigger.description,
        "triggerType": trigger.type,
        "triggerConfig": trigger_config(trigger),
        "sourceArn": trigger.source_arn or None,
        "invocationRole": trigger.invocation_role or None,
        "qualifier": trigger.qualifier or None,
        "triggerId": record.id,
        "status": "successful",
        "targetArn": arn,
        **times(record),
    }
    if trigger.type == "http":
        document |= {"urlInternet": url, "urlIntranet": url}
    return document


def trigger_config(trigger: Trigger) -> Document:
    """What it was declared with."""
    return {key: value for key, value in trigger.config.items() if key != "convention"}


def alias_of(service: str, scope: str, document: Document, old: Alias | None = None) -> Alias:
    """The alias that `document` describes, or makes of `old`."""
    name = old.name if old is not None else need_name(document, "aliasName")
    if name == LATEST:
        raise InvalidArgument(message=f"aliasName must not be {LATEST}")
    weights = document.get("additionalVersionWeight", dict(old.additional_version_weight) if old is not None else {})
    if not isinstance(weights, dict) or len(weights) > 1:
        raise InvalidArgument(message="additionalVersionWeight must be an object with at most one version")
    for version, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise InvalidArgument(message=f"the weight of version {version} must be a number from 0 to 1")
    policy = text_of(document, "resolvePolicy", old.resolve_policy if old is not None else "Random") or "Random"
    if policy not in {"Random", "Content"}:
        raise InvalidArgument(message=f"resolvePolicy is {policy!r}; it must be Random or Content")
    version = document.get("versionId", old.version_id if old is not None else "")
    return Alias(
        service=service,
        scope=scope,
        name=name,
        version_id=str(version),
        description=text_of(document, "description", old.description if old is not None else ""),
        additional_version_weight={str(each): float(weight) for each, weight in weights.items()},
        resolve_policy=policy,
        route_policy=_policy_of(document, "routePolicy")
        if "routePolicy" in document or old is None
        else old.route_policy,
    )


def _policy_of(document: Document, name: str) -> Document:
    """FC's routePolicy: of its words only those that can be followed here."""
    policy = mapping_of(document, name)
    _word(policy, "condition", ("AND", "OR"))
    for item in policy.get("policyItems") or []:
        _word(item, "type", ITEMS)
        _word(item, "operator", OPERATORS)
    return policy


def _word(document: Mapping[str, Any], name: str, words: Sequence[str]) -> None:
    """Raises InvalidArgument for a word that means nothing here; none at all stands for the first."""
    text = str(document.get(name) or words[0])
    if text.lower() not in {word.lower() for word in words}:
        raise InvalidArgument(message=f"{name} is {text!r}; it must be one of {', '.join(words)}")


def alias_document(record: Record[Alias]) -> Document:
    """FC's Alias object."""
    alias = record.value
    document: Document = {
        "aliasName": alias.name,
        "versionId": alias.version_id,
        "description": alias.description,
        "additionalVersionWeight": dict(alias.additional_version_weight),
        "resolvePolicy": alias.resolve_policy,
        **times(record),
    }
    if alias.route_policy:
        document["routePolicy"] = dict(alias.route_policy)
    return document


def domain_of(document: Document, old: Domain | None = None, *, service: str = "") -> Domain:
    """The domain that `document` describes, or makes of `old`. `service`: of routes that name none."""
    name = old.name if old is not None else text_of(document, "domainName").lower()
    if len(name) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(name):
        raise InvalidArgument(message=f"domainName is {name!r}; it must be like www.example.com")
    protocol = text_of(document, "protocol", old.protocol if old is not None else "HTTP").upper()
    if protocol not in PROTOCOLS:
        raise InvalidArgument(message=f"protocol is {protocol!r}; it must be HTTP, HTTPS or HTTP,HTTPS")
    routes = old.routes if old is not None else ()
    if "routeConfig" in document:
        listed = mapping_of(document, "routeConfig").get("routes") or []
        routes = tuple(_route(each, service) for each in listed)
    extras = dict(old.extras) if old is not None else {}
    extras |= {key: document[key] for key in ("certConfig", "tlsConfig", "wafConfig", "authConfig") if key in document}
    return Domain(name=name, protocol=protocol, routes=routes, extras=extras)


def _route(document: Document, service: str) -> Route:
    path, rewriting = text_of(document, "path"), mapping_of(document, "rewriteConfig")
    check_rewriting(rewriting)
    if not path.startswith("/") or "*" in path.removesuffix("/*").removesuffix("*"):
        raise InvalidArgument(message=f"the route {path!r} must begin with / and have * only as its end, like /api/*")
    return Route(
        path=path,
        service=text_of(document, "serviceName", service),
        function=need_name(document, "functionName"),
        qualifier=numbered(text_of(document, "qualifier")),
        methods=tuple(str(method).upper() for method in document.get("methods") or []),
        rewrite=rewriting,
    )


def domain_document(record: Record[Domain], account: str, version: str) -> Document:
    """FC's CustomDomain object, without the private key."""
    domain = record.value
    routes = [
        {
            "path": route.path,
            "serviceName": route.service,
            "functionName": route.function,
            "qualifier": route.qualifier or LATEST,
            "methods": list(route.methods),
            "rewriteConfig": dict(route.rewrite),
        }
        for route in domain.routes
    ]
    extras = json.loads(json.dumps(dict(domain.extras)))
    extras.get("certConfig", {}).pop("privateKey", None)
    return {
        "domainName": domain.name,
        "protocol": domain.protocol,
        "routeConfig": {"routes": routes},
        "accountId": account,
        "apiVersion": version,
        **extras,
        **times(record),
    }


def provision_of(document: Document) -> Provision:
    """What a provision-config says."""
    known = {
        "target": document.get("target", document.get("defaultTarget", 0)),
        "scheduledActions": document.get("scheduledActions") or [],
        "targetTrackingPolicies": document.get("targetTrackingPolicies") or [],
    }
    return told(lambda: read_provision(reading(known, "provisionConfig"), Project(root=_NOWHERE)))


def limit_of(document: Document, name: str) -> int:
    """A number of instances."""
    return told(lambda: reading(document, "config").need(name).integer(0, _MOST_INSTANCES))


def config_document(record: Record[Config]) -> Document:
    """What was configured, and when."""
    return {**record.value.document, **times(record)}
