"""The XML of the cloud's services: written as their clients want it, and read without what XML can be abused by."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

_DEEPEST = 16
_SPECIAL = re.compile(r"[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
Node = tuple[str, "str | int | Iterable[Node]"]
"""An element: its name, and its text (`true` and `false` of a bool) or the elements in it."""


class Malformed(Exception):
    """A document that cannot be read; the message says why."""


def document(name: str, children: str | Iterable[Node], namespace: str = "") -> bytes:
    """A whole document with this root. `namespace`: of all elements; '' for none, as OSS's clients want it."""
    start = f'{name} xmlns="{namespace}"' if namespace else name
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element(name, children, start)}'.encode()


def _element(name: str, content: str | int | Iterable[Node], start: str = "") -> str:
    start = start or name
    if isinstance(content, bool):
        return f"<{start}>{str(content).lower()}</{name}>"
    if isinstance(content, int):
        return f"<{start}>{content}</{name}>"
    if isinstance(content, str):
        return f"<{start}>{_SPECIAL.sub(_escaped, content)}</{name}>"
    return f"<{start}>{''.join(_element(*child) for child in content)}</{name}>"


def _escaped(found: re.Match[str]) -> str:
    """Characters that XML has no place for are written as OSS does: by their number."""
    return _NAMED.get(found[0]) or f"&#{ord(found[0])};"


def read(body: bytes, *roots: str) -> Element:
    """The root element of a document. Raises Malformed for one of another root than these, with a DTD or entities, or
    nested too deeply.
    """
    try:
        found = _parse(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Malformed(f"The XML cannot be read: {type(error).__name__}.") from None
    if found is None or name_of(found) not in roots:
        raise Malformed(f"The XML must be a {' or a '.join(roots)}.")
    return found


def _parse(body: bytes) -> Element | None:
    depth, root = 0, None
    for event, element in iterparse(io.BytesIO(body), events=("start", "end"), forbid_dtd=True):
        depth += 1 if event == "start" else -1
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if root is None:
            root = element
    return root


def name_of(element: Element) -> str:
    """Its name without a namespace."""
    return str(element.tag).rpartition("}")[2]


def texts(element: Element, *names: str) -> dict[str, str]:
    """The texts of the children with these names, '' for one that is not there."""
    found = dict.fromkeys(names, "")
    for child in element:
        name = name_of(child)
        if name in found:
            found[name] = child.text or ""
    return found


def children(element: Element, name: str) -> list[Element]:
    """The children with this name."""
    return [child for child in element if name_of(child) == name]
