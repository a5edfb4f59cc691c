"""Queues whose messages fire triggers of EventBridge: each trigger pulls its own queue, of this server's message
service (the source MNS) or of a broker (rabbitmq).

A message is deleted when the calls that it leads to are promised. If the server ends between the two, it is received
again when the time of its visibility is over: it calls once at least.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pyfc.errors import PyfcError
from pyfc.model.policy import back_off
from pyfc.model.topic import NAME, can_be
from pyfc.tasks import Tasks
from pyfc.triggers.interface import Key, option, within, wrong

S = TypeVar("S")
_log = logging.getLogger(__name__)
_MOST = 16
"""Messages that are received at once."""
_PAUSE = 0.1
"""Seconds after nothing was received: a service that stops does not let anybody wait."""


class Pulled(NamedTuple):
    """A message that was received."""

    id: str
    handle: str
    body: str
    time: float
    """When it was sent, seconds since the epoch."""
    depth: int = 0
    """How many calls have led to it."""


class Queues(Protocol):
    """The queues of a message service."""

    async def have(self, queue: str) -> None:
        """Make a queue if it is missing and can be."""

    def is_deleted(self, queue: str) -> bool:
        """Whether a queue was there and is no more."""

    async def receive(self, queue: str, count: int) -> Sequence[Pulled]:
        """At most so many messages, which nobody else receives for a while; none after having waited for some. A queue
        that is not there is waited for. Raises PyfcError.
        """

    async def delete(self, queue: str, handles: Sequence[str]) -> None:
        """They are not received again. Raises PyfcError."""


def parameters_of(config: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """What a trigger's configuration says of a source of this kind; empty if it says nothing."""
    parameters = within(config, "eventSourceConfig", "eventSourceParameters") or {}
    return option(parameters, f"source{kind}Parameters") or {}


class MnsQueue(NamedTuple):
    """What a trigger pulls."""

    queue: str
    is_decoded: bool
    """Whether bodies are base64, as clients for Python send them."""

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> MnsQueue | None:
        """None for a trigger that names no queue: its events come by the door. Raises InvalidArgument."""
        own = parameters_of(config, "MNS")
        queue = str(option(own, "QueueName") or "")
        if queue and not can_be(queue):
            place = "eventSourceConfig.eventSourceParameters.sourceMNSParameters.QueueName"
            raise wrong(place, queue, f"a queue's name has {NAME}")
        is_decoded = str(option(own, "IsBase64Decode", default=True)).lower() == "true"
        return cls(queue, is_decoded) if queue else None


class Brokers(NamedTuple):
    """Where queues are that are not this server's; '' for nowhere."""

    rabbitmq: str = ""
    kafka: str = ""


class Received(NamedTuple):
    """What has come together."""

    events: Sequence[dict[str, Any]]
    receipt: Any
    """The session's own: what these are by."""
    depths: Sequence[int] = ()
    """How many calls have led to each; () where that is not known."""


class Session(Protocol):
    """Receives from one queue."""

    async def receive(self) -> Received:
        """The next events, which nobody else receives for a while; none after having waited. Raises PyfcError."""

    async def done(self, received: Received) -> None:
        """They are not received again. Raises PyfcError."""


class MnsSession:
    """Receives from a queue of this server's message service."""

    def __init__(self, queues: Queues, source: MnsQueue, bus: str, place: str) -> None:
        """`place`: what ARNs have between the service and the resource, like cn-hangzhou:1234567890123456."""
        self._queues = queues
        self._source = source
        self._bus = bus
        self._place = place
        self._is_made = False

    async def receive(self) -> Received:
        """See Session. The queue is made before the first time if it is missing."""
        if not self._is_made:
            await self._queues.have(self._source.queue)
            self._is_made = True
        found = await self._queues.receive(self._source.queue, _MOST)
        events = [event_of(each, self._source, self._bus, self._place) for each in found]
        return Received(events, [each.handle for each in found], [each.depth for each in found])

    async def done(self, received: Received) -> None:
        """See Session."""
        await self._queues.delete(self._source.queue, received.receipt)


Tell = Callable[[Key, Received], Awaitable[None]]
"""Fires a trigger for what has come. Raises PyfcError; then nothing was promised."""
Open = Callable[[Key, S], AbstractAsyncContextManager[Session]]
"""Begins to receive for a trigger. Raises PyfcError, also in its course."""


class Pullers(Generic[S]):
    """What pulls, for the triggers of one server. S: what a trigger pulls, which can be compared."""

    def __init__(self, open_queue: Open[S], tell: Tell) -> None:
        self._open = open_queue
        self._tell = tell
        self._wanted: Mapping[Key, S] = {}
        self._changed = asyncio.Event()
        self.errors: dict[Key, str] = {}
        """Why some pull nothing now."""

    def use(self, wanted: Mapping[Key, S]) -> None:
        """From now on these pull."""
        self._wanted = dict(wanted)
        self._changed.set()

    async def run(self) -> None:
        """Pull, until it is cancelled."""
        tasks = Tasks()
        running: dict[Key, tuple[S, asyncio.Task[None]]] = {}
        try:
            while True:
                self._changed.clear()
                for key, (source, task) in list(running.items()):
                    if self._wanted.get(key) != source or task.done():
                        task.cancel()
                        self.errors.pop(key, None)
                        del running[key]
                for key in self._wanted.keys() - running.keys():
                    source = self._wanted[key]
                    running[key] = source, tasks.begin(f"the trigger {'/'.join(key)}", self._pull(key, source))
                await self._changed.wait()
        finally:
            await tasks.close()

    async def _pull(self, key: Key, source: S) -> None:
        failures = 0
        while True:
            try:
                async with self._open(key, source) as session:
                    while True:
                        await self._pull_some(key, session)
                        failures = 0
            except Exception as error:
                if not isinstance(error, PyfcError):  # a mistake of ours must not end the pulling
                    _log.exception("the trigger %s could not pull %s", "/".join(key), source)
                failures, self.errors[key] = failures + 1, str(error)
                await asyncio.sleep(back_off(failures))

    async def _pull_some(self, key: Key, session: Session) -> None:
        received = await session.receive()
        if received.events:
            await self._tell(key, received)
            await session.done(received)
        self.errors.pop(key, None)
        await asyncio.sleep(0 if received.events else _PAUSE)


def event_of(message: Pulled, source: MnsQueue, bus: str, place: str) -> dict[str, Any]:
    """What EventBridge makes of a message; `bus`: the one that it comes by."""
    time = datetime.fromtimestamp(message.time, UTC)
    return {
        "id": message.id,
        "source": bus,
        "specversion": "1.0",
        "type": "mns:Queue:SendMessage",
        "datacontenttype": "application/json; charset=utf-8",
        "subject": f"acs:mns:{place}:queues/{source.queue}",
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "aliyuneventbusname": bus,
        "data": {"requestId": message.id, "messageId": message.id, "messageBody": _body(message.body, source)},
    }


def _body(text: str, source: MnsQueue) -> str:
    """As text; what is no base64 of text stays as it is."""
    try:
        return base64.b64decode(text, validate=True).decode() if source.is_decoded else text
    except ValueError:
        return text
