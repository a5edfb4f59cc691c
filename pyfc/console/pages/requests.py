"""Requests: records of calls, and of one why it was as it was."""

from __future__ import annotations

import base64
from typing import Any

from pyfc.client.transport import ApiError
from pyfc.console.page import Asked, Moved, Page, Shown
from pyfc.console.pages.overview import NOT_FOUND, recorded
from pyfc.errors import InvalidArgument

_RANGES = {"15m": 900.0, "1h": 3600.0, "1d": 86400.0, "7d": 604800.0}
_USUAL = "1d"
_MOST = 100


def listed(asked: Asked) -> Shown:
    """The newest or the slowest, those that failed or all."""
    since = asked.query.get("since", _USUAL)
    since = since if since in _RANGES else _USUAL
    failed, slowest = asked.query.get("failed") == "1", asked.query.get("slowest") == "1"
    function = asked.query.get("function", "").strip()
    calls = recorded(asked, function, seconds=_RANGES[since], error="*" if failed else "", slowest=slowest, limit=_MOST)
    values = {
        "calls": calls,
        "since": since,
        "failed": failed,
        "slowest": slowest,
        "function": function,
        "ranges": _RANGES,
        "most": _MOST,
    }
    return Shown("requests.html", values, block="table")


def one(asked: Asked) -> Shown:
    """One of them: what is known of it, its log, and the event if it is kept."""
    try:
        found = asked.client.call(asked.path["id"])
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        return Shown("pending.html", {"event": asked.client.event(asked.path["id"]), "id": asked.path["id"]})
    service, function = found["service"], found["function"]
    event = _event(asked, found)
    try:
        records = asked.client.logs(service, function, lines=200, request=asked.path["id"])["records"]
    except ApiError:
        records = []  # the function is gone, and its log with it
    values = {"call": found, "records": records, "event": event, "id": asked.path["id"]}
    return Shown("request.html", values)


def _event(asked: Asked, call: dict[str, Any]) -> dict[str, Any] | None:
    """The kept event of an asynchronous call, for who may see it."""
    if asked.session.reads_only or not call.get("event"):
        return None
    try:
        return asked.client.event(call["event"])
    except ApiError as error:
        if error.status == NOT_FOUND:
            return None
        raise


def replay(asked: Asked) -> Moved:
    """Call it again by its kept event; the page of the new request. Raises InvalidArgument if there is none."""
    call = asked.client.call(asked.path["id"])
    event = _event(asked, call)
    if event is None or event.get("http"):
        raise InvalidArgument(message="the event of this call is not kept: only those of asynchronous calls are")
    text = event["invocationPayload"]
    payload = base64.b64decode(text) if event["isBase64Encoded"] else text.encode("utf-8", "surrogatepass")
    edited = asked.form.get("event")
    if edited is not None:
        payload = edited.replace("\r\n", "\n").encode()
    return Moved(f"requests/{asked.client.invoke_later(call['service'], call['function'], payload)}")


PAGES = (Page("requests", listed, "requests"), Page("requests/{id}", one, "requests", replay))
