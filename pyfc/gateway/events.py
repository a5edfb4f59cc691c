"""`/pyfc/events`: the door through which events come from outside.

Who may send: on this machine everybody, to triggers of the account's own bus, as long as the event does not say that a
service of the cloud has sent it. With a key that may publish (`eventbridge:PutEvents`) it may say so. A named trigger
takes a key that may manage. Pages of other sites are refused before (guard.py).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from pyfc.auth.keys import Key as AccessKey
from pyfc.auth.signature import check_body
from pyfc.cloud.cloudevents import MOST_BYTES, CloudEvent, events_of
from pyfc.dispatch.sources import number_of
from pyfc.errors import AccessDenied, FunctionNotFound, InvalidArgument, MethodNotAllowed, TriggerNotFound
from pyfc.gateway.management import Api, authenticate, read_body, signed
from pyfc.model.names import Target, request_id
from pyfc.model.trigger import Trigger
from pyfc.triggers.eventbridge import EventBridge, Fired
from pyfc.triggers.interface import Key
from pyfc.triggers.pushed import ONE_WAY, TYPES, firing_of

_ACTION, _BUS = "eventbridge:PutEvents", "acs:eventbridge:*:*:eventbus/default"
Handler = Callable[[Request], Awaitable[Response]]
_CLOUD = ("acs.", "acs:")
"""How sources begin that are services of the cloud."""


class EventDoor:
    """The door of one server."""

    def __init__(self, api: Api, bus: EventBridge, led_by: Callable[[AccessKey], int], *, is_local: bool) -> None:
        """`led_by`: how many calls have led to what the holder of a key does. `is_local`: nobody else can reach us."""
        self._api = api
        self._bus = bus
        self._led_by = led_by
        self._is_local = is_local

    def listed(self, handler: Handler) -> Handler:
        """At the door's own path `handler` lists asynchronous calls, for who has a key; anybody else has come to send
        events, and is told how.
        """

        async def checked(request: Request) -> Response:
            if self._api.settings.auth != "off" and "authorization" not in request.headers:
                await self.refuse(request)
            return await handler(request)

        return checked

    async def refuse(self, request: Request) -> Response:
        """For other methods than POST. Raises MethodNotAllowed."""
        advice = "events are sent by POST; GET with a signature lists asynchronous calls, which `pyfc events` shows"
        raise MethodNotAllowed(method=request.method, path=request.scope["path"], advice=advice)

    async def publish(self, request: Request) -> Response:
        """Events for whoever has a rule for them."""
        key, is_trusted = self._publisher(request)
        events = events_of(request.headers, await self._body(request, key))
        if not is_trusted:
            _check_sources(events)
        depth = self._led_by(key) if key is not None else 0
        return _accepted(await self._bus.publish(events, depth, is_trusted=is_trusted))

    async def publish_to(self, request: Request) -> Response:
        """What one trigger is to be fired with: events of EventBridge, whatever its rule says, or what its source would
        have sent. Raises FunctionNotFound, TriggerNotFound.
        """
        key = authenticate(self._api, request)
        trigger = self._trigger(**request.path_params)
        body = await self._body(request, key)
        depth = self._led_by(key) if key is not None else 0
        if trigger.type == self._bus.type:
            fired = await self._bus.publish_to(Key.of(trigger), events_of(request.headers, body), depth)
            return _accepted(fired)
        firing = firing_of(trigger, request.headers.get("content-type", ""), body, depth)
        await self._api.sources.emit(firing)
        return _accepted([Fired(Key.of(trigger), firing.identity)])

    def _trigger(self, service: str, function: str, trigger: str) -> Trigger:
        """The one that is named, or one for a source that needs none. Raises InvalidArgument for one that fires by
        itself.
        """
        entry = self._api.table().entries.get(Target(service, function))
        if entry is None:
            raise FunctionNotFound(service=service, function=function)
        found = next((each for each in entry.triggers if each.name == trigger), None)
        if found is None and trigger in ONE_WAY:
            return Trigger(service=service, function=function, name=trigger, type=trigger, config={})
        if found is None:
            raise TriggerNotFound(service=service, function=function, trigger=trigger)
        if found.type not in {self._bus.type, *TYPES}:
            raise InvalidArgument(
                message=f"trigger '{trigger}' is of type {found.type}, whose source is in this server: `pyfc trigger "
                "fire` does what it would do"
            )
        return found

    def _publisher(self, request: Request) -> tuple[AccessKey | None, bool]:
        """Whose key it is, if it has one, and whether what it says of sources is believed. Raises AccessDenied."""
        if self._api.settings.auth == "off":
            return None, True
        if self._is_local and "authorization" not in request.headers:
            return None, False
        key = self._api.verifier.verify(signed(request, None))
        self._api.permissions.check(key, _ACTION, _BUS)
        return key, True

    async def _body(self, request: Request, key: AccessKey | None) -> bytes:
        """Raises EntityTooLarge, InvalidArgument for another one than was signed."""
        body = await read_body(request, MOST_BYTES)
        if key is not None:
            check_body(signed(request, body))
        return body


def _check_sources(events: Sequence[CloudEvent]) -> None:
    for event in events:
        if event["source"].lower().startswith(_CLOUD):
            raise AccessDenied(
                message=f"only who has a key may send events of the source {event['source'][:100]!r}, which is a "
                "service of the cloud: sign the request, or give the event a source of your own"
            )


def _accepted(fired: Sequence[Fired]) -> Response:
    """What is durable now."""
    rows = [{"trigger": "/".join(each.key), "requestId": number_of(each.identity)} for each in fired]
    number = request_id()
    body = json.dumps({"requestId": number, "calls": rows}).encode() + b"\n"
    return Response(body, 202, {"X-Fc-Request-Id": number}, "application/json")
