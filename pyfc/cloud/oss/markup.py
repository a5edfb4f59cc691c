"""What of OSS's XML is its own."""

from __future__ import annotations

from urllib.parse import quote
from xml.etree.ElementTree import Element

from pyfc.cloud import markup
from pyfc.cloud.oss.faults import Fault

MOST = 2 * 1024 * 1024
"""Bytes of a document that is read: 1,000 keys to delete."""


def url_encoded(text: str) -> str:
    """As `encoding-type=url` asks: a space is %20, since oss2 takes a plus for what it is."""
    return quote(text, safe="")


def read(body: bytes, root: str) -> Element:
    """The root element of a document. Raises Fault MalformedXML; see pyfc.cloud.markup."""
    if len(body) > MOST:
        raise Fault("MalformedXML", f"The XML is larger than {MOST} bytes.")
    try:
        return markup.read(body, root)
    except markup.Malformed as error:
        raise Fault("MalformedXML", str(error)) from None
