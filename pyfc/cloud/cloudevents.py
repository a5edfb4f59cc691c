"""CloudEvents 1.0 as senders write them to HTTP: structured (JSON; `ce-` headers beside it say nothing), in batches,
and binary, where the attributes are headers and the body is the data.

An event is read as an object of CloudEvents' JSON format. Nothing is invented, a time least of all.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from pyfc.errors import InvalidArgument

CloudEvent = dict[str, Any]
"""Attributes by name, with `data` or `data_base64` beside them."""
MOST_EVENTS = 100
MOST_BYTES = 1024 * 1024
"""Of a batch, as EventBridge takes them."""
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_REQUIRED = ("specversion", "id", "source", "type")
_DATA = {"data", "data_base64"}
_NAME = re.compile(r"[a-z0-9]{1,100}")
_JSON = re.compile(r"(application|text)/([^;]*\+)?json", re.IGNORECASE)
_QUOTED = re.compile(r"\\(.)")


def events_of(headers: Mapping[str, str], body: bytes) -> list[CloudEvent]:
    """The events of a request; `headers` by names in lower case. Raises InvalidArgument."""
    kind = _bare(headers.get("content-type", ""))
    if kind == BATCH:
        given = decoded(body, "the body")
        if not isinstance(given, list):
            raise InvalidArgument(message=f"the body is no list of events, which {BATCH} says that it is")
        if len(given) > MOST_EVENTS:
            raise InvalidArgument(message=f"the batch has {len(given)} events; it may have {MOST_EVENTS}")
        return [_checked(each, f"event {number} of the batch") for number, each in enumerate(given, 1)]
    if kind == STRUCTURED:
        return [_checked(decoded(body, "the body"), "the event")]
    if kind.startswith("application/cloudevents"):
        raise InvalidArgument(message=f"Content-Type is '{kind[:100]}': events are read as {STRUCTURED} or {BATCH}")
    if any(name.startswith("ce-") for name in headers):
        return [_checked(_of_headers(headers, body), "the event")]
    raise InvalidArgument(
        message=f"this is no CloudEvent: send {STRUCTURED}, {BATCH}, or the attributes as headers (ce-id, ce-source, "
        "ce-type, ce-specversion) with the data as body"
    )


def decoded(body: bytes, what: str) -> Any:
    """JSON. Raises InvalidArgument for what is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidArgument(message=f"{what} is no JSON, or nested too deeply: {error}") from None


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _of_headers(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    event: CloudEvent = {
        name[3:]: _header(name, value) for name, value in headers.items() if name.startswith("ce-")
    }  # fmt: skip
    kind = headers.get("content-type", "")
    if kind:
        event["datacontenttype"] = kind
    if not body:
        return event
    if _JSON.match(_bare(kind)):
        event["data"] = decoded(body, f"the data (Content-Type '{kind[:100]}')")
    elif _bare(kind).startswith("text/") and (text := _text(body)) is not None:
        event["data"] = text
    else:
        event["data_base64"] = base64.b64encode(body).decode()
    return event


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _header(name: str, value: str) -> str:
    """An attribute's value: percent-encoded UTF-8, perhaps in quotes. Raises InvalidArgument."""
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _QUOTED.sub(r"\1", text[1:-1])
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidArgument(message=f"the header {name[:100]!r} is no percent-encoded UTF-8") from None


def _checked(event: Any, what: str) -> CloudEvent:
    """The event without what is null. Raises InvalidArgument that names the attribute."""
    if not isinstance(event, dict):
        raise InvalidArgument(message=f"{what} is no object")
    found = {name: value for name, value in event.items() if value is not None or name in _DATA}
    for name in _REQUIRED:
        _check_required(what, name, found.get(name))
    if found["specversion"] != "1.0":
        raise InvalidArgument(message=f"{what} has the specversion {_shown(found['specversion'])}; it must be '1.0'")
    for name in found.keys() - _DATA:
        _check_attribute(what, name, found[name])
    if found.keys() >= _DATA:
        raise InvalidArgument(message=f"{what} has data and data_base64; it may have one of them")
    _check_base64(what, found.get("data_base64", ""))
    return found


def _check_required(what: str, name: str, value: Any) -> None:
    if value is None:
        raise InvalidArgument(message=f"{what} has no {name}; it is required")
    if not isinstance(value, str) or not value:
        raise InvalidArgument(message=f"{what} has the {name} {_shown(value)}; it must be text")


def _check_attribute(what: str, name: str, value: Any) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidArgument(message=f"{what} has an attribute {name[:100]!r}: names have small letters and digits")
    if not isinstance(value, str | int | bool):
        raise InvalidArgument(message=f"{what} has the {name} {_shown(value)}; it must be text, a number or a boolean")


def _check_base64(what: str, text: Any) -> None:
    try:
        base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise InvalidArgument(message=f"{what} has the data_base64 {_shown(text)}; it must be base64") from None


def _shown(value: Any) -> str:
    return ascii(value)[:100]
