"""FC 3's JSON objects, as far as they differ from those of API 2016-08-15."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pyfc.documents.declared_triggers import trigger_config
from pyfc.documents.objects import RESOURCE_GROUP, text_of
from pyfc.documents.reader import Document
from pyfc.errors import InvalidArgument
from pyfc.gateway.management import Call, trigger_url
from pyfc.model.function import Function, Limits
from pyfc.model.names import DEFAULT_SERVICE, LATEST
from pyfc.model.trigger import Trigger
from pyfc.registry.documents import function_document, time_text, times
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


def tags_asked(call: Call, name: str) -> list[tuple[str, str]]:
    """Tags that a list is to have: a parameter with a JSON list of objects, or the same numbered (`Tag.1.Key`)."""
    found: dict[str, dict[str, str]] = {}
    for number, text in enumerate(call.several(name)):
        try:
            pairs = json.loads(text)
            found[f"[{number}]"] = {str(key).lower(): str(value) for key, value in pairs.items()}
        except (ValueError, RecursionError, AttributeError):
            raise InvalidArgument(message=f"{name} must be a list of tags, each with Key and Value") from None
    return [(each.get("key", ""), each.get("value", "")) for each in found.values()]


def has_tags(function: Function, asked: Sequence[tuple[str, str]]) -> bool:
    """Whether it has all of these; an empty value stands for any."""
    return all(key in function.tags and value in {"", function.tags[key]} for key, value in asked)


_OLDER = (
    "initializer", "initializationTimeout", "caPort", "layersArnV2", "customHealthCheckConfig", "customRuntimeConfig",
    "instanceType", "instanceLifecycleConfig", "layers",
)  # fmt: skip
"""What the older APIs call or nest otherwise."""


def function_answer(call: Call, record: Record[Function]) -> Document:
    """FC 3's Function object. As in FC, what is empty and was not declared is left out."""
    function, document = record.value, function_document(record)
    left_out = {*_OLDER, *_undeclared(function)}
    found = {name: value for name, value in document.items() if name not in left_out}
    optional: Document = {
        "instanceLifecycleConfig": _hooks(function, document),
        "customRuntimeConfig": _runtime(function, document),
        "layers": [{"arn": each, "size": 0} for each in function.layers],
        "tags": [{"Key": key, "Value": value} for key, value in function.tags.items()],
        "versionId": function.version_id,
    }
    found |= {name: value for name, value in optional.items() if value}
    if function.is_disabled:
        changed = time_text(record.modified)
        restriction = {"disable": True, "reason": function.why_disabled, "lastModifiedTime": changed}
        found["invocationRestriction"] = restriction
    return {
        "role": "",
        "resourceGroupId": RESOURCE_GROUP,
        **found,
        "functionArn": arn(call, function.name, function.version_id),
        "state": "Active",
        "lastUpdateStatus": "Successful",
    }


def _undeclared(function: Function) -> Iterator[str]:
    """Properties that nobody has declared for it: FC 3's built-in runtimes have no concurrency, and who declares
    processors declares the disk.
    """
    usual = Limits()
    if function.limits.instance_concurrency == usual.instance_concurrency and not function.runtime.startswith("custom"):
        yield "instanceConcurrency"
    if function.limits.disk_size == usual.disk_size and not function.extras.get("cpu"):
        yield "diskSize"


def _hooks(function: Function, document: Document) -> Document:
    """`instanceLifecycleConfig`: the hooks that there are."""
    first = {"handler": function.initializer, "timeout": function.limits.initialization_timeout}
    hooks: Document = {"initializer": first, **document["instanceLifecycleConfig"]}
    return {
        name: hooks[name]
        for name in ("initializer", "preStop")
        if hooks[name].get("handler") or "command" in hooks[name]
    }


def _runtime(function: Function, document: Document) -> Document:
    """`customRuntimeConfig`, with the port and the health check in it."""
    if "customRuntimeConfig" not in document:
        return {}
    said = {name: value for name, value in document["customRuntimeConfig"].items() if value}
    health = {"healthCheckConfig": dict(function.program.health)} if function.program.health else {}
    return {**said, "port": function.program.port, **health}


def trigger_answer(call: Call, record: Record[Trigger]) -> Document:
    """FC 3's Trigger object. `targetArn` and most triggers' `status` are left out: FC's tools compare what is told with
    what a template declares, and would see a difference each time.
    """
    trigger = record.value
    document: Document = {
        "triggerName": trigger.name,
        "triggerId": record.id,
        "triggerType": trigger.type,
        "triggerConfig": json.dumps(trigger_config(trigger)),
        "description": trigger.description,
        "qualifier": trigger.qualifier or LATEST,
        **times(record),
    }
    optional = {"invocationRole": trigger.invocation_role, "sourceArn": trigger.source_arn}
    document |= {name: value for name, value in optional.items() if value}
    if trigger.type == "eventbridge":
        document["status"] = "Successful"
    if trigger.type == "http":
        url = trigger_url(call, DEFAULT_SERVICE, trigger.function, trigger.qualifier).rstrip("/")
        document["httpTrigger"] = {"urlInternet": url, "urlIntranet": url}
    return document
