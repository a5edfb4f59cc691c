"""What messages have beside their bodies: properties and attributes, as XML and as they are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from pyfc.cloud.markup import Node, children, name_of, texts

_GROUP = "MessageGroupId"
_LISTS = (("UserProperties", "PropertyValue"), ("SystemProperties", "SystemPropertyValue"))
_ATTRIBUTES = "MessageAttributes"
_FIELDS = ("Name", "Value", "Type")

Properties = dict[str, Any]
"""By the names of elements: of a group its text, of attributes their texts by name, of others lists of three texts."""


def read(message: Element) -> str:
    """Those of a message that is sent, as JSON; '' for none."""
    found: Properties = {}
    group = texts(message, _GROUP)[_GROUP]
    if group:
        found[_GROUP] = group
    for outer, inner in _LISTS:
        values = _values(message, outer, inner)
        if values:
            found[outer] = values
    attributes = {name_of(each): each.text or "" for outer in children(message, _ATTRIBUTES) for each in outer}
    if attributes:
        found[_ATTRIBUTES] = attributes
    return json.dumps(found, ensure_ascii=False) if found else ""


def _values(message: Element, outer: str, inner: str) -> list[list[str]]:
    found = [value for each in children(message, outer) for value in children(each, inner)]
    return [list(texts(each, *_FIELDS).values()) for each in found]


def nodes(kept: str) -> Iterator[Node]:
    """As a message that is received has them."""
    found: Properties = json.loads(kept) if kept else {}
    if _GROUP in found:
        yield _GROUP, found[_GROUP]
    for outer, inner in _LISTS:
        if outer in found:
            yield outer, [(inner, list(zip(_FIELDS, each, strict=True))) for each in found[outer]]


def attributes(kept: str) -> dict[str, str]:
    """What a message says beside its body, by name: its attributes and its users' properties."""
    found: Properties = json.loads(kept) if kept else {}
    said: dict[str, str] = dict(found.get(_ATTRIBUTES, {}))
    said.update({name: value for name, value, _ in found.get("UserProperties", ())})
    return said
