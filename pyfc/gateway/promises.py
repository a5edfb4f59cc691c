"""Asynchronous calls at the door: a request becomes an event in the queue, and is answered when that is durable."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial

from pyfc.calls.paths import Place
from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.errors import AlreadyExists, EntityTooLarge, InvalidArgument, InvocationAlreadyExists, Unavailable
from pyfc.gateway.bodies import PHRASES
from pyfc.gateway.exchange import Exchange
from pyfc.model.asynchronous import MAXIMUM_PAYLOAD, Event
from pyfc.model.invocation import HttpRequest
from pyfc.triggers.http import to_event

_ID = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}")
_TOLD = ("X-Fc-Stateful-Async-Invocation-Id", "X-Fc-Async-Task-Id")
_IDS = tuple(name.lower().encode() for name in _TOLD)
_LONGEST_DELAY = 3600.0
Refuse = Callable[[BaseException], None]
"""Answers a call that could not be promised."""
Accept = Callable[[Exchange, str, Place, bytes, HttpRequest | None, Refuse], None]
"""Promises.accept."""


class Promises:
    """Puts calls into the queue."""

    def __init__(self, dispatcher: Dispatcher, account_id: str) -> None:
        self._dispatcher = dispatcher
        self._account_id = account_id

    def accept(
        self, exchange: Exchange, request_id: str, place: Place, body: bytes, http: HttpRequest | None, refuse: Refuse
    ) -> None:
        """Promise a call with this body, and answer it when the promise is durable; `refuse` hears why it cannot be
        made so. Raises InvalidArgument, EntityTooLarge, QueueFull.
        """
        if len(body) > MAXIMUM_PAYLOAD or exchange.incoming is not None:
            raise EntityTooLarge(limit=MAXIMUM_PAYLOAD)
        fields, body = exchange.fields, bytes(body)
        if http is not None and place.trigger is not None and place.trigger.is_event:
            body, http = to_event(http, body, self._account_id, request_id), None
        event = Event(
            id=_id(fields) or request_id,
            request_id=request_id,
            target=place.target,
            payload=body,
            http=tuple(http) if http is not None else None,
            trace=exchange.trace,
            is_stateful=self._dispatcher.policy(place.target).is_stateful or bool(_id(fields)),
        )
        written = self._dispatcher.submit(event, _delay(fields))
        written.add_done_callback(partial(self._promised, exchange, event, refuse))

    def _promised(self, exchange: Exchange, event: Event, refuse: Refuse, done: asyncio.Future[bool]) -> None:
        """The event is durable, or could not be made so."""
        error = Unavailable(message="the server stops") if done.cancelled() else done.exception()
        if error is None:
            try:
                _accepted(exchange, event)
            except Exception as failure:
                refuse(failure)
            self._dispatcher.arrived(event)
        elif isinstance(error, AlreadyExists):
            refuse(InvocationAlreadyExists(invocation=event.id))
        else:
            refuse(error)


def _accepted(exchange: Exchange, event: Event) -> None:
    """202, without a body and so without a type of one. A task's id is told by the names of all of FC's APIs."""
    named = "".join(f"{name}: {event.id}\r\n" for name in _TOLD) if event.is_stateful else ""
    head = f"HTTP/1.1 202 {PHRASES[202]}\r\nContent-Length: 0\r\nX-Fc-Request-Id: {event.request_id}\r\n{named}"
    exchange.outlet.respond(exchange, head, b"")


def _id(fields: dict[bytes, bytes]) -> str:
    """The id that the caller has chosen, '' for none."""
    given = next((fields[name] for name in _IDS if fields.get(name)), b"")
    if given and not _ID.fullmatch(given):
        raise InvalidArgument(
            message=f"the id '{given.decode('latin-1')[:200]}' must have letters, digits, _ and -, at most 128"
        )
    return given.decode("ascii")


def _delay(fields: dict[bytes, bytes]) -> float:
    """Seconds before which a call is not to be made."""
    text = fields.get(b"x-fc-async-delay", b"").decode("latin-1")
    if not text:
        return 0.0
    try:
        delay = float(text)
    except ValueError:
        delay = -1.0
    if not 0 <= delay <= _LONGEST_DELAY:
        raise InvalidArgument(message=f"X-Fc-Async-Delay is '{text[:50]}'; it must be seconds from 0 to 3600")
    return delay
