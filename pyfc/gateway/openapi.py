"""The description of what is served, in the words of OpenAPI 3.1, made of the very endpoints that serve it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pyfc.calls.paths import NEWER, OLDER, is_newer
from pyfc.documents.shapes import Shape
from pyfc.documents.triggers import TRIGGERS
from pyfc.gateway.management import Endpoint
from pyfc.version import VERSION

_SCHEMA = "#/components/schemas/{name}"
_NAME = re.compile(r"\{(\w+)(?::path)?\}")
_NEWER_ERROR = {"RequestId": {"type": "string"}, "Code": {"type": "string"}, "Message": {"type": "string"}}
_OLDER_ERROR = {"ErrorCode": {"type": "string"}, "ErrorMessage": {"type": "string"}}
_HEADERS = {"X-Fc-Request-Id": {"schema": {"type": "string"}, "required": True}}


def description(apis: Mapping[str, Sequence[Endpoint]]) -> dict[str, Any]:
    """The whole document. `apis`: endpoints by the beginning of their paths."""
    every = [endpoint for endpoints in apis.values() for endpoint in endpoints]
    bodies = list(dict.fromkeys(endpoint.body for endpoint in every if endpoint.body is not None))
    paths = {path: found for prefix, endpoints in apis.items() for path, found in _paths(prefix, endpoints).items()}
    for prefix, path in _CALLS:
        paths[prefix + path] = {"post": _call(prefix, path)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pyfc",
            "version": VERSION,
            "description": "Function Compute's APIs, as pyfc serves them.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(bodies),
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "FC's signature, or ACS3-HMAC-SHA256",
                }
            },
        },
    }


def _paths(prefix: str, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    changed = {each.path: each.body for each in endpoints if each.operation.startswith(("Update", "Put"))}
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        path = prefix + _NAME.sub(r"{\1}", endpoint.path)
        answer = changed.get(endpoint.path) or (endpoint.body if endpoint.operation.startswith("Create") else None)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(prefix, endpoint, answer)
    return paths


def _schemas(bodies: Sequence[type[Shape]]) -> dict[str, Any]:
    """Every shape by its name, and as NAMEPart what a change may send and an answer has: nothing of it is required."""
    _, found = msgspec.json.schema_components([*bodies, *TRIGGERS.values()], ref_template=_SCHEMA)
    configs = [{"$ref": _SCHEMA.format(name=shape.__name__)} for shape in TRIGGERS.values()]
    for name in ("Trigger", "NewerTrigger"):
        found[name]["properties"]["triggerConfig"]["anyOf"] = [*configs, {"type": ["object", "string"]}]
    parts = {f"{body.__name__}Part": {**found[body.__name__], "required": []} for body in bodies}
    return {**found, **parts}


def _reference(shape: type[Shape] | None, part: str = "Part") -> dict[str, Any]:
    return {"$ref": _SCHEMA.format(name=shape.__name__ + part)} if shape is not None else {"type": "object"}


_CALLS = (
    *((each, "/services/{service}/functions/{function}/invocations") for each in OLDER),
    (NEWER, "/functions/{function}/invocations"),
)


def _operation(prefix: str, endpoint: Endpoint, answer: type[Shape] | None) -> dict[str, Any]:
    """`answer`: what it answers, with properties beside that only the server knows."""
    found: dict[str, Any] = {
        "operationId": _id(prefix, endpoint.operation),
        "summary": (inspect.getdoc(endpoint.handler) or "").partition("\n\n")[0],
        "security": [{"signature": []}],
        "parameters": _parameters(endpoint.path, endpoint.query),
        "responses": {
            "2XX": {
                "description": "What was asked for; after a deletion nothing.",
                "headers": _HEADERS,
                "content": {"application/json": {"schema": _reference(answer)}},
            },
            **_failures(prefix),
        },
    }
    if endpoint.method in {"POST", "PUT"} or endpoint.body is not None:
        schema: dict[str, Any] = {"description": "Names are matched without regard to case; null means absent."}
        schema |= _reference(endpoint.body, "Part" if endpoint.is_change else "")
        found["requestBody"] = {"required": False, "content": {"application/json": {"schema": schema}}}
    if endpoint.method in {"PUT", "DELETE"}:
        found["parameters"].append({"name": "If-Match", "in": "header", "schema": {"type": "string"}})
    return found


def _call(prefix: str, path: str) -> dict[str, Any]:
    octets = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    kinds = {"X-Fc-Invocation-Type": ["Sync", "Async"], "X-Fc-Log-Type": ["None", "Tail"]}
    headers = [
        {"name": name, "in": "header", "schema": {"type": "string", "enum": values}} for name, values in kinds.items()
    ]
    query = () if "/services/" in path else ("qualifier",)
    return {
        "operationId": _id(prefix, "InvokeFunction"),
        "summary": "Call an event function. A failing function is answered with 200 and X-Fc-Error-Type.",
        "parameters": [*_parameters(path, query), *headers],
        "requestBody": {"required": False, "content": octets},
        "responses": {
            "200": {"description": "What the function returned.", "headers": _HEADERS, "content": octets},
            **_failures(prefix),
        },
    }


def _failures(prefix: str) -> dict[str, Any]:
    error = {"type": "object", "properties": _NEWER_ERROR if is_newer(f"{prefix}/") else _OLDER_ERROR}
    content = {"application/json": {"schema": error}}
    return {"default": {"description": "What went wrong.", "headers": _HEADERS, "content": content}}


def _parameters(path: str, query: Sequence[str]) -> list[dict[str, Any]]:
    text = {"type": "string"}
    in_path = [{"name": name, "in": "path", "required": True, "schema": text} for name in _NAME.findall(path)]
    return [*in_path, *({"name": name, "in": "query", "schema": text} for name in query)]


def _id(prefix: str, operation: str) -> str:
    return operation + prefix.strip("/").replace("-", "")
