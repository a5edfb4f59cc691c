"""Queues whose messages fire triggers of EventBridge (the source MNS): each trigger pulls its own queue.

A message is deleted when the calls that it leads to are promised. If the server ends between the two, it is received
again when the time of its visibility is over: it calls once at least.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from pyfc.errors import PyfcError
from pyfc.model.policy import back_off
from pyfc.model.topic import NAME, can_be
from pyfc.tasks import Tasks
from pyfc.triggers.interface import Key, option, within, wrong

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


class Queues(Protocol):
    """The queues of a message service."""

    async def receive(self, queue: str, count: int) -> Sequence[Pulled]:
        """At most so many messages, which nobody else receives for a while; none after having waited for some. The
        queue is made if it is missing. Raises PyfcError.
        """

    async def delete(self, queue: str, handles: Sequence[str]) -> None:
        """They are not received again. Raises PyfcError."""


class Source(NamedTuple):
    """What a trigger pulls."""

    queue: str
    is_decoded: bool
    """Whether bodies are base64, as clients for Python send them."""

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Source | None:
        """None for a trigger that names no queue: its events come by the door. Raises InvalidArgument."""
        parameters = within(config, "eventSourceConfig", "eventSourceParameters") or {}
        own = option(parameters, "sourceMNSParameters") or {}
        queue = str(option(own, "QueueName") or "")
        if queue and not can_be(queue):
            place = "eventSourceConfig.eventSourceParameters.sourceMNSParameters.QueueName"
            raise wrong(place, queue, f"a queue's name has {NAME}")
        is_decoded = str(option(own, "IsBase64Decode", default=True)).lower() == "true"
        return cls(queue, is_decoded) if queue else None


Tell = Callable[[Key, Source, Sequence[Pulled]], Awaitable[None]]
"""Fires a trigger for messages. Raises PyfcError; then nothing was promised."""


class Pullers:
    """What pulls, for the triggers of one server."""

    def __init__(self, queues: Queues, tell: Tell) -> None:
        self._queues = queues
        self._tell = tell
        self._wanted: Mapping[Key, Source] = {}
        self._changed = asyncio.Event()
        self.errors: dict[Key, str] = {}
        """Why some pull nothing now."""

    def use(self, wanted: Mapping[Key, Source]) -> None:
        """From now on these pull."""
        self._wanted = dict(wanted)
        self._changed.set()

    async def run(self) -> None:
        """Pull, until it is cancelled."""
        tasks = Tasks()
        running: dict[Key, tuple[Source, asyncio.Task[None]]] = {}
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

    async def _pull(self, key: Key, source: Source) -> None:
        failures = 0
        while True:
            try:
                found = await self._queues.receive(source.queue, _MOST)
                if found:
                    await self._tell(key, source, found)
                    await self._queues.delete(source.queue, [each.handle for each in found])
            except Exception as error:
                if not isinstance(error, PyfcError):  # a mistake of ours must not end the pulling
                    _log.exception("the trigger %s could not pull %s", "/".join(key), source.queue)
                failures, self.errors[key] = failures + 1, str(error)
                await asyncio.sleep(back_off(failures))
            else:
                failures = 0
                self.errors.pop(key, None)
                await asyncio.sleep(0 if found else _PAUSE)


def event_of(message: Pulled, source: Source, trigger: str, account: str, region: str) -> dict[str, Any]:
    """What EventBridge makes of a message; `trigger`: the name of the one whose bus it comes by."""
    bus, time = f"MNS-Function-{trigger}", datetime.fromtimestamp(message.time, UTC)
    return {
        "id": message.id,
        "source": bus,
        "specversion": "1.0",
        "type": "mns:Queue:SendMessage",
        "datacontenttype": "application/json; charset=utf-8",
        "subject": f"acs:mns:{region}:{account}:queues/{source.queue}",
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "aliyuneventbusname": bus,
        "data": {"requestId": message.id, "messageId": message.id, "messageBody": _body(message.body, source)},
    }


def _body(text: str, source: Source) -> str:
    """As text; what is no base64 of text stays as it is."""
    try:
        return base64.b64decode(text, validate=True).decode() if source.is_decoded else text
    except ValueError:
        return text
