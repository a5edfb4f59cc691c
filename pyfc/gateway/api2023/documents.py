"""FC 3's JSON objects, as far as they differ from those of API 2016-08-15."""

from __future__ import annotations

import json
from typing import Any

from pyfc.documents.objects import text_of, trigger_config
from pyfc.documents.reader import Document
from pyfc.gateway.management import Call, trigger_url
from pyfc.model.function import Function
from pyfc.model.names import DEFAULT_SERVICE, LATEST
from pyfc.model.trigger import Trigger
from pyfc.registry.documents import function_document, time_text
from pyfc.registry.registry import Record


def arn(call: Call, function: str, qualifier: str = "") -> str:
    """FC 3's name of a function."""
    settings = call.api.settings
    tail = f"/{qualifier}" if qualifier else ""
    return f"acs:fc:{settings.region}:{settings.account_id}:functions/{function}{tail}"


def tags_of(document: Document) -> dict[str, str]:
    """`tags` of a new function: a list of key and value, or an object."""
    given = document.get("tags", [])
    if isinstance(given, list):
        return {each["key"]: each.get("value", "") for each in given}
    return {key: text_of(value) for key, value in given.items()}


def function_answer(call: Call, record: Record[Function]) -> Document:
    """FC 3's Function object."""
    function, document = record.value, function_document(record)
    older = ("initializer", "initializationTimeout", "caPort", "codeChecksum", "layersArnV2", "customHealthCheckConfig")
    found = {name: value for name, value in document.items() if name not in older}
    hooks: dict[str, Any] = {"preStop": document["instanceLifecycleConfig"]["preStop"]}
    initializer = {"handler": function.initializer, "timeout": function.limits.initialization_timeout}
    hooks["initializer"] = initializer if function.initializer else {"handler": "", "timeout": 0}
    runtime = found.get("customRuntimeConfig")
    if runtime is not None:
        runtime = {**runtime, "port": function.program.port}
        if function.program.health:
            runtime["healthCheckConfig"] = dict(function.program.health)
        found["customRuntimeConfig"] = runtime
    found |= {
        "functionArn": arn(call, function.name, function.version_id),
        "instanceLifecycleConfig": hooks,
        "layers": [{"arn": each, "size": 0} for each in function.layers],
        "code": {"checksum": document["codeChecksum"]} if function.code is not None else {},
        "tags": [{"key": key, "value": value} for key, value in function.tags.items()],
        "invocationRestriction": {"disable": function.is_disabled, "reason": ""},
        "state": "Active",
        "stateReason": "",
        "stateReasonCode": "",
        "lastUpdateStatus": "Successful",
        "lastUpdateStatusReason": "",
        "lastUpdateStatusReasonCode": "",
    }
    if function.version_id:
        found["versionId"] = function.version_id
    return found


def trigger_answer(call: Call, record: Record[Trigger]) -> Document:
    """FC 3's Trigger object."""
    trigger = record.value
    document: Document = {
        "triggerName": trigger.name,
        "triggerId": record.id,
        "triggerType": trigger.type,
        "triggerConfig": json.dumps(trigger_config(trigger)),
        "description": trigger.description,
        "qualifier": trigger.qualifier or LATEST,
        "invocationRole": trigger.invocation_role,
        "sourceArn": trigger.source_arn,
        "targetArn": arn(call, trigger.function, trigger.qualifier or LATEST),
        "status": "Successful",
        "createdTime": time_text(record.created),
        "lastModifiedTime": time_text(record.modified),
    }
    if trigger.type == "http":
        url = trigger_url(call, DEFAULT_SERVICE, trigger.function, trigger.qualifier).rstrip("/")
        document["httpTrigger"] = {"urlInternet": url, "urlIntranet": url}
    return document
