"""What a destination is told of an asynchronous call (contract §7.2), and where ARNs lead."""

from __future__ import annotations

import json

from pyfc.model.asynchronous import DEEPEST, MAXIMUM_PAYLOAD, Event, Status
from pyfc.model.names import DEFAULT_SERVICE, LATEST, Target, request_id
from pyfc.settings import Settings


def message(event: Event, settings: Settings, status: Status) -> bytes:
    """FC's message about the outcome of `event`. Payloads are shortened where it would be larger than an event may be:
    each message holds the one before it, and what is quoted again and again grows without end.
    """
    limit = MAXIMUM_PAYLOAD
    while len(text := _message(event, settings, status, limit)) > MAXIMUM_PAYLOAD:
        limit //= 2
    return text


def _message(event: Event, settings: Settings, status: Status, limit: int) -> bytes:
    service, function, qualifier = event.target
    name = service if qualifier == LATEST else f"{service}.{qualifier}"
    arn = f"acs:fc:{settings.region}:{settings.account_id}:services/{name}/functions/{function}"
    failed = status is not Status.SUCCEEDED
    document = {
        "timestamp": int(event.ended * 1000),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": arn,
            "condition": event.condition if failed else "",
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": event.payload[:limit].decode("utf-8", "replace"),
        "responseContext": {"statusCode": 200, "functionError": event.error if failed else ""},
        "responsePayload": event.result[:limit].decode("utf-8", "replace"),
    }
    return json.dumps(document).encode()


def next_event(address: str, text: bytes, event: Event, account: str) -> Event | None:
    """The event that brings `text` to a destination; None where that would be one too many in a row."""
    if event.depth >= DEEPEST:
        return None
    number = request_id()
    target = function_of(address)
    made = Event(
        id=number,
        request_id=number,
        target=target or Target("", ""),
        payload=text,
        address="" if target is not None else address,
        depth=event.depth + 1,
        enqueued=event.ended,
        trace=event.trace,
    )
    made.note(Status.ENQUEUED, event.ended, f"destination of {event.request_id} of account {account}")
    return made


def function_of(arn: str) -> Target | None:
    """The function that an ARN names, in the form of either API; None if it names something else."""
    if not arn.startswith("acs:fc:"):
        return None
    _, found, rest = arn.partition(":services/")
    if found:
        service, _, function = rest.partition("/functions/")
        name, _, qualifier = service.partition(".")
        return Target(name, function, qualifier or LATEST) if function else None
    _, found, rest = arn.partition(":functions/")
    function, _, qualifier = rest.partition("/")
    return Target(DEFAULT_SERVICE, function, qualifier or LATEST) if found and function else None
