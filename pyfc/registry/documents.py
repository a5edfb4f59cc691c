"""What is kept as FC's JSON objects (API 2016-08-15): what they declare, and what only the server knows of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyfc.documents.declared_triggers import trigger_config
from pyfc.documents.objects import INSTANCE_TYPE, alias_fields, domain_fields, function_fields, service_fields
from pyfc.documents.reader import Document
from pyfc.model.function import Function, Service
from pyfc.model.resources import Alias, Config, Domain
from pyfc.model.trigger import Trigger
from pyfc.registry.registry import Record

_METRICS: Document = {"enableRequestMetrics": False, "enableInstanceMetrics": False}
"""What a logConfig tells of both where one was given, as the Java suite has it; the PHP suite has none otherwise."""


def time_text(seconds: float) -> str:
    """A time as FC writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def times(record: Record[Any]) -> Document:
    """When it was made and changed."""
    return {"createdTime": time_text(record.created), "lastModifiedTime": time_text(record.modified)}


def service_document(record: Record[Service]) -> Document:
    """FC's Service object."""
    fields = service_fields(record.value)
    tracing = {"type": None, "params": None, **fields.get("tracingConfig", {})}
    own = {"tracingConfig": tracing, "tags": dict(record.value.tags), "serviceId": record.id}
    if not _METRICS.keys().isdisjoint(fields["logConfig"]):
        own["logConfig"] = {**_METRICS, **fields["logConfig"]}
    return {**fields, **own, **times(record)}


def function_document(record: Record[Function]) -> Document:
    """FC's Function object."""
    function = record.value
    return {
        **function_fields(function),
        "instanceType": function.extras.get("instanceType", INSTANCE_TYPE),
        "functionId": record.id,
        "codeSize": function.code.size if function.code is not None else 0,
        "codeChecksum": function.code.checksum if function.code is not None else "",
        "layersArnV2": list(function.layers),
        **times(record),
    }


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
        document |= {
            "sourceArn": None,
            "invocationRole": trigger.invocation_role,
            "urlInternet": url,
            "urlIntranet": url,
        }
    return document


def alias_document(record: Record[Alias]) -> Document:
    """FC's Alias object."""
    return {**alias_fields(record.value), **times(record)}


def domain_document(record: Record[Domain], account: str, version: str) -> Document:
    """FC's CustomDomain object, without the private key."""
    fields = domain_fields(record.value)
    if "certConfig" in fields:
        fields["certConfig"] = {**fields["certConfig"], "privateKey": None}
    name = record.value.spelling or record.value.name
    return {**fields, "domainName": name, "accountId": account, "apiVersion": version, **times(record)}


def resource_of(config: Config) -> str:
    """What a limit of instances is about, as FC names it."""
    return f"services/{config.service}.{config.qualifier}/functions/{config.function}"


def config_document(record: Record[Config]) -> Document:
    """What was configured, and when."""
    return {**record.value.document, **times(record)}
