"""Records of asynchronous calls: FC's stateful asynchronous invocations."""

from __future__ import annotations

from pyfc.documents.reader import Document
from pyfc.errors import InvalidArgument, InvocationNotFound
from pyfc.gateway.management import GONE, Answer, Call, Endpoint, page
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import whole
from pyfc.queues.interface import Filter

_MILLISECONDS = 1000
_DIGITS = 18


def wanted(call: Call, service: str, function: str) -> Filter:
    """Which records a list is to have, from the parameters of either API."""
    query = call.query
    try:
        statuses, begin, end = _statuses(query.get("status", "")), _time(call, "Begin"), _time(call, "End")
    except ValueError as error:
        raise InvalidArgument(message=f"status, startedTimeBegin or startedTimeEnd is wrong: {error}") from None
    after = whole(query.get("nextToken", "") or "0", _DIGITS)
    if after is None:
        raise InvalidArgument(message="nextToken is none that a list before has told")
    return Filter(
        service=service,
        function=function,
        qualifier=call.qualifier,
        statuses=statuses,
        prefix=query.get("invocationIdPrefix", "") or query.get("prefix", ""),
        begin=begin,
        end=end or float("inf"),
        newest_first=query.get("sortOrderByTime", "desc").lower() != "asc",
        after=after,
        limit=call.wanted.limit + 1,
    )


def _statuses(text: str) -> tuple[Status, ...]:
    return tuple(Status(name.strip()) for name in text.split(",") if name.strip())


def _time(call: Call, which: str) -> float:
    return float(call.query.get(f"startedTime{which}", "") or 0) / _MILLISECONDS


def document(event: Event, *, payload: bool) -> Document:
    """FC's StatefulAsyncInvocation object."""
    found: Document = {
        "serviceName": event.target.service,
        "functionName": event.target.function,
        "qualifier": event.target.qualifier,
        **common(event, payload=payload),
        "invocationId": event.id,
        "invocationErrorMessage": event.result.decode("utf-8", "replace") if event.error else "",
    }
    if payload:
        found["invocationPayload"] = event.payload.decode("utf-8", "replace")
    return found


def common(event: Event, *, payload: bool) -> Document:
    """What both APIs call the same."""
    history = [
        {
            "eventId": number,
            "status": status,
            "timestamp": round(when * _MILLISECONDS),
            "eventDetail": f'{{"Error":"{detail}"}}' if detail else "",
        }
        for number, (status, when, detail) in enumerate(event.history, 1)
    ]
    return {
        "requestId": event.request_id,
        "status": event.status.value,
        "startedTime": round((event.started or event.enqueued) * _MILLISECONDS),
        "endTime": round(event.ended * _MILLISECONDS),
        "durationMs": round((event.ended - event.started) * _MILLISECONDS) if event.ended and event.started else 0,
        "destinationStatus": "",
        "alreadyRetriedTimes": max(0, event.attempts - 1),
        "instanceId": event.instance_id,
        "returnPayload": event.result.decode("utf-8", "replace") if payload and not event.error else "",
        "events": history,
    }


async def find(call: Call, service: str, function: str) -> Event:
    """The record that the path names. Raises InvocationNotFound."""
    await call.api.functions.function(service, function)
    event = await call.api.records.find(service, function, call.names["invocation"])
    if event is None:
        raise InvocationNotFound(invocation=call.names["invocation"], service=service, function=function)
    return event


async def list_(call: Call) -> Answer:
    """List records of a function, the newest first unless `sortOrderByTime` is asc."""
    await call.api.functions.function(call.service, call.function)
    found = await call.api.records.list(wanted(call, call.service, call.function))
    payload = call.query.get("includePayload", "").lower() == "true"
    limit = call.wanted.limit
    more = str(found[limit - 1].number) if len(found) > limit else ""
    return page("invocations", [document(each, payload=payload) for each in found[:limit]], more)


async def get(call: Call) -> Answer:
    """Tell the record of a call."""
    return Answer(document(await find(call, call.service, call.function), payload=True))


async def stop(call: Call) -> Answer:
    """Do not make a call any more, or end it."""
    await call.api.records.stop(await find(call, call.service, call.function))
    return GONE


async def functions(call: Call) -> Answer:
    """List the functions whose calls are kept."""
    found = await call.api.configs.page("async-invoke-config", call.wanted)
    rows = [
        {"serviceName": each.value.service, "functionName": each.value.function, "qualifier": each.value.qualifier}
        for each in found.records
        if each.value.document.get("statefulInvocation") or each.value.document.get("asyncTask")
    ]
    return page("data", rows, found.next_token)


_ONE = "/services/{service}/functions/{function}/stateful-async-invocations"
_LIST = (
    "limit", "nextToken", "status", "startedTimeBegin", "startedTimeEnd", "sortOrderByTime", "invocationIdPrefix",
    "includePayload", "qualifier",
)  # fmt: skip
ENDPOINTS = (
    Endpoint("GET", _ONE, "ListStatefulAsyncInvocations", list_, _LIST),
    Endpoint("GET", _ONE + "/{invocation}", "GetStatefulAsyncInvocation", get, ("qualifier",)),
    Endpoint("PUT", _ONE + "/{invocation}", "StopStatefulAsyncInvocation", stop, ("qualifier",)),
    Endpoint(
        "GET",
        "/stateful-async-invocation-functions",
        "ListStatefulAsyncInvocationFunctions",
        functions,
        ("limit", "nextToken"),
    ),
)
