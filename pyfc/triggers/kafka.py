"""Topics of a real Kafka, whose records fire triggers of EventBridge (the source Kafka). Its client, aiokafka, is an
extra: `pip install 'pyfc[kafka]'`.

The group's place in a topic is committed when the calls that its records lead to are promised: a record calls once at
least. Records of one partition come in order.
"""

from __future__ import annotations

import base64
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pyfc.errors import InvalidArgument, Unavailable
from pyfc.triggers.interface import option
from pyfc.triggers.pulling import Received, parameters_of

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord

_MOST = 100
"""Records that are received at once."""
_WAIT = 1000
"""Milliseconds for which records are waited for."""
_SPACE = uuid.UUID("8e7f0a52-6a53-4f0c-9b0d-0a3b2b6a7c11")
"""Ids of events are made in it of the places of records."""
_RESETS = {"earliest", "latest"}


class KafkaTopic(NamedTuple):
    """What a trigger pulls."""

    instance: str
    topic: str
    group: str
    """'' for one of the trigger's own."""
    reset: str
    """Where a new group begins: earliest or latest."""

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> KafkaTopic | None:
        """None for a trigger that names no topic: its events come by the door."""
        own = parameters_of(config, "Kafka")
        topic = str(option(own, "Topic") or "")
        reset = str(option(own, "OffsetReset") or "latest").lower()
        group = str(option(own, "ConsumerGroup") or "")
        found = cls(str(option(own, "InstanceId") or ""), topic, group, reset if reset in _RESETS else "latest")
        return found if topic else None


class KafkaSession:
    """A consumer of one topic."""

    def __init__(self, consumer: AIOKafkaConsumer, subject: str) -> None:
        self._consumer = consumer
        self._subject = subject

    async def receive(self) -> Received:
        """See Session."""
        found = await self._consumer.getmany(timeout_ms=_WAIT, max_records=_MOST)
        return Received([event_of(each, self._subject) for records in found.values() for each in records], None)

    async def done(self, _: Received) -> None:
        """See Session."""
        await self._consumer.commit()


@asynccontextmanager
async def session(servers: str, source: KafkaTopic, trigger: str) -> AsyncIterator[KafkaSession]:
    """Receive from a topic, which must be there, of the brokers at `servers`. `trigger`: names the group that has no
    other name. Raises InvalidArgument, Unavailable.
    """
    try:
        from aiokafka import AIOKafkaConsumer  # noqa: PLC0415  an extra
        from aiokafka.errors import KafkaError  # noqa: PLC0415
    except ImportError:
        raise InvalidArgument(message="Kafka's client is missing: pip install 'pyfc[kafka]'") from None
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)  # what it logs, the trigger tells
    consumer = AIOKafkaConsumer(
        source.topic, bootstrap_servers=servers, group_id=source.group or f"pyfc-{trigger}",
        auto_offset_reset=source.reset, enable_auto_commit=False, request_timeout_ms=10_000,
    )  # fmt: skip
    try:
        await consumer.start()
        yield KafkaSession(consumer, f"acs:alikafka:{source.instance}:topic:{source.topic}")
    except (KafkaError, OSError) as error:
        raise Unavailable(message=f"the topic {source.topic!r} of Kafka: {error or type(error).__name__}") from None
    finally:
        await consumer.stop()


def check(servers: str) -> None:
    """Raises InvalidArgument for what can be no addresses of brokers; '' is none."""
    for each in servers.split(",") if servers else ():
        host, _, port = each.strip().rpartition(":")
        if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InvalidArgument(message="PYFC_KAFKA must be like 127.0.0.1:9092, or several of these with commas")


def event_of(record: ConsumerRecord[bytes | None, bytes | None], subject: str) -> dict[str, Any]:
    """What EventBridge makes of a record."""
    sent = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    headers = [{"key": name, "value": _text(value)} for name, value in record.headers]
    return {
        "id": str(uuid.uuid5(_SPACE, f"{subject}/{record.partition}/{record.offset}")),
        "source": "acs:alikafka",
        "specversion": "1.0",
        "type": "alikafka:Topic:Message",
        "datacontenttype": "application/json; charset=utf-8",
        "subject": subject,
        "time": sent.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "topic": record.topic, "partition": record.partition, "offset": record.offset,
            "timestamp": record.timestamp, "headers": {"headers": headers, "isReadOnly": False},
            "key": _text(record.key), "value": _text(record.value),
        },
    }  # fmt: skip


def _text(value: bytes | None) -> str | None:
    """Text; base64 of what is none."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()
