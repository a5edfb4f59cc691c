"""WebTracking: logs of pages and devices that have no key, where a logstore allows it (`enable_tracking`)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pyfc.cloud.sls.asked import Answer, Asked, answer
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.groups import Labels, Log, Pairs, write_group
from pyfc.cloud.sls.shards import unpacked

_MOST_BYTES = 3 * 1024 * 1024
_MOST_LOGS = 4096
_CORS = {
    "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type, x-log-apiversion, x-log-bodyrawsize, x-log-compresstype",
}  # fmt: skip
_OWN = ("APIVersion", "__topic__", "__source__")


async def track(asked: Asked) -> Answer:
    """GET or POST /logstores/L/track: the parameters, or the document, as logs."""
    logstore = asked.logstore
    if logstore.settings.get("enable_tracking") is not True:
        raise Fault("Unauthorized", "The logstore does not allow WebTracking: set enable_tracking.")
    now = int(time.time())
    if asked.sent.method == "GET":
        labels = Labels(asked.query.get("__topic__", ""), asked.query.get("__source__", ""))
        logs = [Log(now, 0, [(key, value) for key, value in asked.query.items() if key not in _OWN])]
    else:
        labels, logs = await asyncio.to_thread(_document, asked, now)
    data = await asyncio.to_thread(write_group, labels, logs)
    await asked.store.put(logstore, labels, len(logs), data)
    asked.environment.searcher.tell()
    return answer({}, _CORS)


async def preflight(_: Asked) -> Answer:
    """OPTIONS /logstores/L/track: pages of any site may send logs."""
    return Answer(headers=_CORS)


def _document(asked: Asked, now: int) -> tuple[Labels, list[Log]]:
    document = asked.document(unpacked(asked.sent, _MOST_BYTES))
    logs = document.get("__logs__")
    if not isinstance(logs, list) or not 0 < len(logs) <= _MOST_LOGS:
        raise Fault("PostBodyInvalid", f"__logs__ must be a list of 1 to {_MOST_LOGS} objects.")
    tags = document.get("__tags__")
    labels = Labels(_text(document.get("__topic__")), _text(document.get("__source__")), _pairs(tags or {}))
    return labels, [Log(now, 0, _pairs(each)) for each in logs]


def _pairs(found: Any) -> Pairs:
    if not isinstance(found, dict):
        raise Fault("PostBodyInvalid", "__tags__ and each of __logs__ must be objects.")
    return [(_whole(key), _text(value)) for key, value in found.items()]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise Fault("PostBodyInvalid", "values of logs must be text or numbers.")
    return _whole(value) if isinstance(value, str) else str(value)


def _whole(text: str) -> str:
    """JSON can write half a character, which no other text has."""
    return text.encode("utf-8", "replace").decode()
