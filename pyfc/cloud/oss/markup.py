"""OSS's XML: written without a namespace, as its clients want it, and read without what XML can be abused by."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from pyfc.cloud.oss.faults import Fault

MOST = 2 * 1024 * 1024
"""Bytes of a document that is read: 1,000 keys to delete."""
_DEEPEST = 16
_SPECIAL = re.compile(r"[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
Node = tuple[str, "str | int | Iterable[Node]"]
"""An element: its name, and its text (`true` and `false` of a bool) or the elements in it."""


def document(name: str, children: str | Iterable[Node]) -> bytes:
    """A whole document with this root."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element(name, children)}'.encode()


def _element(name: str, content: str | int | Iterable[Node]) -> str:
    if isinstance(content, bool):
        return f"<{name}>{str(content).lower()}</{name}>"
    if isinstance(content, int):
        return f"<{name}>{content}</{name}>"
    if isinstance(content, str):
        return f"<{name}>{_SPECIAL.sub(_escaped, content)}</{name}>"
    return f"<{name}>{''.join(_element(*child) for child in content)}</{name}>"


def _escaped(found: re.Match[str]) -> str:
    """Characters that XML has no place for are written as OSS does: by their number."""
    return _NAMED.get(found[0]) or f"&#{ord(found[0])};"


def url_encoded(text: str) -> str:
    """As `encoding-type=url` asks: a space is %20, since oss2 takes a plus for what it is."""
    return quote(text, safe="")


def read(body: bytes, root: str) -> Element:
    """The root element of a document. Raises Fault MalformedXML for one of another root, with a DTD or entities, or
    nested too deeply.
    """
    if len(body) > MOST:
        raise Fault("MalformedXML", f"The XML is larger than {MOST} bytes.")
    try:
        found = _parse(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Fault("MalformedXML", f"The XML cannot be read: {type(error).__name__}.") from None
    if found is None or _plain(found.tag) != root:
        raise Fault("MalformedXML", f"The XML must be a {root}.")
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


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def texts(element: Element, *names: str) -> dict[str, str]:
    """The texts of the children with these names, '' for one that is not there."""
    found = dict.fromkeys(names, "")
    for child in element:
        name = _plain(child.tag)
        if name in found:
            found[name] = child.text or ""
    return found


def children(element: Element, name: str) -> list[Element]:
    """The children with this name."""
    return [child for child in element if _plain(child.tag) == name]
