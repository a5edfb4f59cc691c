"""What the newest SDK of FC 3 (PyPI's alibabacloud-fc20230330) knows: operations, and the fields of its models."""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_MODELS = importlib.import_module("alibabacloud_fc20230330.models")
_CLIENT = importlib.import_module("alibabacloud_fc20230330.client")
_METHOD = re.compile(r"    def (\w+)_with_options\(.*?(?=\n    (?:async )?def |\Z)", re.DOTALL)
_WIRE = re.compile(r"if self\.(\w+) is not None:(?:(?!\n        if ).)*?result\['([^']+)'\]", re.DOTALL)
_TYPES: dict[Any, tuple[type[Any], ...]] = {str: (str,), int: (int,), bool: (bool,), float: (int, float)}


class Operation(NamedTuple):
    """One of the SDK's."""

    name: str
    method: str
    path: str
    """With `{}` for each name in it."""
    query: frozenset[str]
    sent: type[Any] | None
    """The model of the request's body, if it has one."""
    told: type[Any] | None
    """That of the answer's."""


def operations() -> list[Operation]:
    """All of them, by name."""
    found = []
    for match in _METHOD.finditer(inspect.getsource(_CLIENT)):
        text = match.group(0)
        name, method = _one(r"action = '(\w+)'", text), _one(r"method = '(\w+)'", text)
        path = re.sub(r"\{[^}]*\}", "{}", _one(r"pathname = f'/2023-03-30([^']*)'", text))
        query = frozenset(re.findall(r"query\['([^']+)'\]", text))
        found.append(Operation(name, method, path, query, _body_of(f"{name}Request"), _body_of(f"{name}Response")))
    return sorted(found)


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, (pattern, text)
    return found.group(1)


def _body_of(name: str) -> type[Any] | None:
    model = getattr(_MODELS, name, None)
    body = typing.get_type_hints(model.__init__).get("body") if model is not None else None
    return body if isinstance(body, type) and hasattr(body, "to_map") else None


def fields(model: type[Any]) -> dict[str, Any]:
    """The fields of a model by their names in JSON, with their types."""
    hints = typing.get_type_hints(model.__init__)
    return {wire: hints[name] for name, wire in _WIRE.findall(inspect.getsource(model))}


def inner(kind: Any) -> type[Any] | None:
    """The model that a field is, or has a list of."""
    for each in (kind, *typing.get_args(kind)):
        if isinstance(each, type) and hasattr(each, "to_map"):
            return each
    return None


class Seen(NamedTuple):
    """A field of a model in an answer."""

    name: str
    """MODEL.FIELD"""
    says: bool
    """Whether it has a value."""
    is_known: bool = True
    """Whether the model has it."""
    fits: bool = True
    """Whether its value is of the type that the SDK declares, as its editions for other languages insist on."""


def walk(model: type[Any], answer: Any) -> Iterator[Seen]:
    """The fields of a model in an answer, and of the models in it."""
    known = fields(model)
    for name in answer:
        if name not in known:
            yield Seen(f"{model.__name__}.{name}", says=True, is_known=False)
    for name, kind in known.items():
        value, part = answer.get(name), inner(kind)
        yield Seen(f"{model.__name__}.{name}", says=value is not None, fits=value is None or _fits(value, kind))
        for each in value if isinstance(value, list) else [value]:
            if part is not None and isinstance(each, dict):
                yield from walk(part, each)


def _fits(value: Any, kind: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin is list:
        return isinstance(value, list) and all(_fits(each, typing.get_args(kind)[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(each, typing.get_args(kind)[1]) for each in value.values())
    if hasattr(kind, "to_map"):
        return isinstance(value, dict)
    return kind not in _TYPES or type(value) in _TYPES[kind]


def reachable(models: Iterable[type[Any]]) -> set[str]:
    """MODEL.FIELD of these and of everything that they may hold."""
    waiting, met = [*models], set[type[Any]]()
    while waiting:
        model = waiting.pop()
        if model not in met:
            met.add(model)
            waiting += [part for kind in fields(model).values() if (part := inner(kind)) is not None]
    return {f"{model.__name__}.{name}" for model in met for name in fields(model)}
