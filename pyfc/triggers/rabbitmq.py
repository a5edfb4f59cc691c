"""Queues of a real RabbitMQ, whose messages fire triggers of EventBridge (the source RabbitMQ). Its client, aio-pika,
is an extra: `pip install 'pyfc[rabbitmq]'`.

A message is acknowledged when the calls that it leads to are promised: it calls once at least.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

from pyfc.errors import InvalidArgument, Unavailable
from pyfc.triggers.interface import option
from pyfc.triggers.pulling import Received, parameters_of

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

_MOST = 16
"""Messages that are received at once."""
_CONNECT = 10.0
"""Seconds in which a connection must be there."""
_PROPERTIES = {
    "content_type": "contentType", "content_encoding": "contentEncoding", "headers": "headers",
    "delivery_mode": "deliveryMode", "priority": "priority", "correlation_id": "correlationId", "reply_to": "replyTo",
    "expiration": "expiration", "message_id": "messageId", "timestamp": "timestamp", "message_type": "type",
    "user_id": "userId", "app_id": "appId", "cluster_id": "clusterId",
}  # fmt: skip
"""What a message has beside its body, by AMQP's names, and how EventBridge has it."""


class RabbitQueue(NamedTuple):
    """What a trigger pulls."""

    instance: str
    host: str
    """The virtual host."""
    queue: str

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> RabbitQueue | None:
        """None for a trigger that names no queue: its events come by the door."""
        own = parameters_of(config, "RabbitMQ")
        queue = str(option(own, "QueueName") or "")
        host = str(option(own, "VirtualHostName") or "/")
        return cls(str(option(own, "InstanceId") or ""), host, queue) if queue else None


class RabbitSession:
    """A connection that receives from one queue."""

    def __init__(self, connection: AbstractConnection, bus: str, subject: str) -> None:
        self._connection = connection
        self._bus = bus
        self._subject = subject
        self._arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
        """None: nothing comes any more."""

    async def begin(self, queue: str) -> None:
        """Have messages of a queue come."""
        channel = await self._connection.channel()
        await channel.set_qos(prefetch_count=_MOST)
        found = await channel.get_queue(queue)
        underlying = await channel.get_underlay_channel()
        underlying.on_consumer_cancel_callbacks.add(self._end)  # the queue is gone
        channel.close_callbacks.add(self._end)
        self._connection.close_callbacks.add(self._end)
        await found.consume(self._arrived.put)

    def _end(self, *_: object) -> None:
        self._arrived.put_nowait(None)

    async def receive(self) -> Received:
        """See Session. Raises Unavailable when the connection or the queue is gone."""
        found = [await self._arrived.get()]
        while len(found) < _MOST and not self._arrived.empty():
            found.append(self._arrived.get_nowait())
        messages = [each for each in found if each is not None]
        if len(messages) < len(found):
            raise Unavailable(message="the connection to RabbitMQ, or the queue, is gone")
        return Received([event_of(each, self._bus, self._subject) for each in messages], messages[-1])

    async def done(self, received: Received) -> None:
        """See Session."""
        await received.receipt.ack(multiple=True)


@asynccontextmanager
async def session(address: str, source: RabbitQueue, bus: str, place: str) -> AsyncIterator[RabbitSession]:
    """Receive from a queue of the broker at `address`, which must be there. `place`: what ARNs have between the service
    and the resource, like cn-hangzhou:1234567890123456. Raises InvalidArgument, Unavailable.
    """
    try:
        import aio_pika  # noqa: PLC0415  an extra
    except ImportError:
        raise InvalidArgument(message="RabbitMQ's client is missing: pip install 'pyfc[rabbitmq]'") from None
    for name in ("aiormq", "aio_pika"):  # what they log, the trigger tells
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    subject = f"acs:amqp:{place}:/instances/{source.instance}/vhosts/{source.host}/queues/{source.queue}"
    try:
        connection = await aio_pika.connect(_at(address, source.host), timeout=_CONNECT)
        async with connection:
            found = RabbitSession(connection, bus, subject)
            await found.begin(source.queue)
            yield found
    except (aio_pika.exceptions.AMQPError, OSError) as error:
        raise Unavailable(message=f"the queue {source.queue!r} of RabbitMQ: {error or type(error).__name__}") from None


def check(address: str) -> None:
    """Raises InvalidArgument for what can be no address of a broker; '' is none."""
    try:
        parts = urlsplit(address)
        is_right = parts.scheme in {"amqp", "amqps"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if address and not is_right:
        raise InvalidArgument(message="PYFC_RABBITMQ must be like amqp://USER:PASSWORD@HOST:PORT")


def _at(address: str, host: str) -> str:
    """The address of a virtual host of a broker."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc, f"/{quote(host, safe='')}", parts.query, ""))


def event_of(message: AbstractIncomingMessage, bus: str, subject: str) -> dict[str, Any]:
    """What EventBridge makes of a message."""
    sent = message.timestamp or datetime.fromtimestamp(time.time(), UTC)
    return {
        "id": str(uuid.uuid4()),
        "source": bus,
        "specversion": "1.0",
        "type": "amqp:Queue:SendMessage",
        "datacontenttype": "application/json;charset=utf-8",
        "subject": subject,
        "time": sent.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "aliyuneventbusname": bus,
        "data": {
            "envelope": {
                "deliveryTag": message.delivery_tag, "exchange": message.exchange or "",
                "redeliver": bool(message.redelivered), "routingKey": message.routing_key or "",
            },
            "body": _body(message.body),
            "props": _properties(message),
        },
    }  # fmt: skip


def _body(body: bytes) -> Any:
    """JSON or text; base64 of what is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()


def _properties(message: AbstractIncomingMessage) -> dict[str, Any]:
    """Those that the sender has set."""
    found = message.properties
    given = {told: getattr(found, name, None) for name, told in _PROPERTIES.items()}
    return {name: _plain(value) for name, value in given.items() if value is not None and value not in ("", {})}


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes | bytearray):
        return _body(bytes(value))
    return value if isinstance(value, str | int | float | bool | None) else str(value)
