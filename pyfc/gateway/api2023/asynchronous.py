"""Records of asynchronous calls: FC 3's asynchronous tasks."""

from __future__ import annotations

from pyfc.documents.reader import Document
from pyfc.gateway.api2016.asynchronous import common, find, wanted
from pyfc.gateway.api2023.documents import arn
from pyfc.gateway.management import Answer, Call, Endpoint, page
from pyfc.model.asynchronous import Event
from pyfc.model.names import DEFAULT_SERVICE


def _document(call: Call, event: Event, *, payload: bool) -> Document:
    """FC 3's AsyncTask object."""
    found: Document = {
        "taskId": event.id,
        "functionArn": arn(call, event.target.function, event.target.qualifier),
        "qualifier": event.target.qualifier,
        **common(event, payload=payload),
        "taskErrorMessage": event.result.decode("utf-8", "replace") if event.error else "",
    }
    if payload:
        found["taskPayload"] = event.payload.decode("utf-8", "replace")
    return found


async def list_(call: Call) -> Answer:
    """List tasks of a function, the newest first unless `sortOrderByTime` is asc."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    found = await call.api.records.list(wanted(call, DEFAULT_SERVICE, call.function))
    payload = call.query.get("includePayload", "").lower() == "true"
    limit = call.wanted.limit
    more = str(found[limit - 1].number) if len(found) > limit else ""
    return page("tasks", [_document(call, each, payload=payload) for each in found[:limit]], more)


async def get(call: Call) -> Answer:
    """Tell a task."""
    return Answer(_document(call, await find(call, DEFAULT_SERVICE, call.function), payload=True))


async def stop(call: Call) -> Answer:
    """Do not make a call any more, or end it."""
    await call.api.records.stop(await find(call, DEFAULT_SERVICE, call.function))
    return Answer({"requestId": call.request_id})


_ONE = "/functions/{function}/async-tasks"
_LIST = (
    "limit", "nextToken", "status", "startedTimeBegin", "startedTimeEnd", "sortOrderByTime", "prefix", "includePayload",
    "qualifier",
)  # fmt: skip
ENDPOINTS = (
    Endpoint("GET", _ONE, "ListAsyncTasks", list_, _LIST),
    Endpoint("GET", _ONE + "/{invocation}", "GetAsyncTask", get, ("qualifier",)),
    Endpoint("PUT", _ONE + "/{invocation}/stop", "StopAsyncTask", stop, ("qualifier",)),
)
