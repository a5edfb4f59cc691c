"""GetLogs in both of its dialects, and GetHistograms."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from pyfc.cloud.sls import compression
from pyfc.cloud.sls.asked import Answer, Asked, answer, whole
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.language import divided
from pyfc.cloud.sls.model import OF_FUNCTIONS, Logstore

_MOST_LINES = 100
"""Logs of an answer."""
_SPANS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds of a histogram's spans."""
_MOST_SPANS = 60
_LONGEST_SPAN = 604800
_MOST_TIME = 2**32
_log = logging.getLogger(__name__)


async def get_logs(asked: Asked) -> Answer:
    """POST /logstores/L/logs: an object with `meta` and `data`."""
    found = await _logs(asked, asked.document())
    progress = "Complete" if found["is_complete"] else "Incomplete"
    meta = {
        "progress": progress, "count": len(found["logs"]), "processedRows": len(found["logs"]),
        "elapsedMillisecond": found["milliseconds"], "hasSQL": "columns" in found, "whereQuery": found["where"],
        "aggQuery": found["sql"], "keys": found.get("columns", []), "terms": [], "cpuSec": 0.0, "cpuCores": 0,
        "isAccurate": True, "limited": 0, "mode": 0, "telementryType": "",
    }  # fmt: skip
    made = answer({"meta": meta, "data": found["logs"]}, _headers(found))
    kind, packed = compression.pack(asked.sent.headers.get("accept-encoding", ""), made.body)
    if kind != "lz4":
        return made
    headers = {**made.headers, "x-log-compresstype": kind, "x-log-bodyrawsize": str(len(made.body))}
    return Answer(headers=headers, body=packed)


async def read_logstore(asked: Asked) -> Answer:
    """GET /logstores/L?type=log: a bare array; ?type=histogram."""
    if asked.query["type"] == "histogram":
        return await _histogram(asked)
    if asked.query["type"] != "log":
        raise Fault("ParameterInvalid", "type must be log or histogram")
    found = await _logs(asked, asked.query)
    return answer(found["logs"], _headers(found))


async def _logs(asked: Asked, given: Mapping[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    where, sql = divided(_text(given, "query"))
    request: dict[str, Any] = {
        "search": _search(asked, given, where),
        "newest": await asked.store.end(asked.logstore) - 1,
    }
    if sql:
        request |= {"operation": "sql", "sql": sql}
    else:
        request |= {
            "operation": "logs",
            "skipped": max(whole("offset", given.get("offset"), 0), 0),
            "most": min(max(whole("line", given.get("line"), _MOST_LINES), 0), _MOST_LINES),
            "newest_first": str(given.get("reverse", "")).lower() == "true",
        }
    found = await asked.environment.searcher.ask(request)
    return found | {"milliseconds": int((time.monotonic() - began) * 1000), "where": where.strip(), "sql": sql}


def _headers(found: Mapping[str, Any]) -> dict[str, str]:
    return {
        "x-log-progress": "Complete" if found["is_complete"] else "Incomplete",
        "x-log-count": str(len(found["logs"])),
        "x-log-processed-rows": str(len(found["logs"])),
        "x-log-elapsed-millisecond": str(found["milliseconds"]),
        "x-log-has-sql": str("columns" in found).lower(),
    }


async def _histogram(asked: Asked) -> Answer:
    given = asked.query
    search = _search(asked, given, divided(given.get("query", ""))[0])
    begin, end = search["begin"], search["end"]
    width = next((each for each in _SPANS if (end - begin) / each <= _MOST_SPANS), _LONGEST_SPAN)
    width = max(width, (end - begin) // 10_000)
    request = {
        "operation": "histogram",
        "search": search,
        "width": width,
        "newest": await asked.store.end(asked.logstore) - 1,
    }
    found = await asked.environment.searcher.ask(request)
    progress = "Complete" if found["is_complete"] else "Incomplete"
    spans = [
        {
            "from": begin + place * width,
            "to": min(begin + (place + 1) * width, end),
            "count": count,
            "progress": progress,
        }
        for place, count in enumerate(found["counts"])
    ]
    headers = {"x-log-progress": progress, "x-log-count": str(sum(found["counts"]))}
    return answer(spans, headers)


def _tell_unindexed(asked: Asked, logstore: Logstore) -> None:
    """Have the log say once that SLS would find nothing in a logstore. One that the server has made for functions has
    an index where FC's tools make it.
    """
    told, project = asked.environment.unindexed, asked.store.projects[logstore.project]
    if logstore.indexed is None and logstore.number not in told and project.description != OF_FUNCTIONS:
        told.add(logstore.number)
        _log.warning(
            "logstore %s of project %s has no index: all of it is searched here, while SLS finds nothing without one",
            logstore.name, logstore.project,
        )  # fmt: skip


def _search(asked: Asked, given: Mapping[str, Any], query: str) -> dict[str, Any]:
    """Raises Fault ParameterInvalid."""
    logstore = asked.logstore
    _tell_unindexed(asked, logstore)
    begin, end = whole("from", given.get("from"), 0), whole("to", given.get("to"), int(time.time()) + 1)
    if not 0 <= begin < end <= _MOST_TIME:
        raise Fault("ParameterInvalid", "from must be before to, both in seconds since 1970")
    return {
        "logstore": logstore.number, "begin": begin, "end": end, "query": query, "topic": _text(given, "topic"),
        "indexed": logstore.indexed,
    }  # fmt: skip


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name) or ""
    if not isinstance(found, str):
        raise Fault("ParameterInvalid", f"{name} must be text")
    return found
