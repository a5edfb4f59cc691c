"""What EventBridge makes of RabbitMQ's messages, and what a trigger is told whose broker cannot be asked."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from pyfc.errors import InvalidArgument, Unavailable
from pyfc.triggers.rabbitmq import RabbitQueue, _at, check, event_of, session

SENT = datetime(2021, 8, 12, 6, 56, 40, 709000, tzinfo=UTC)


def _message(body: bytes = b'{"Hello": "EventBridge"}', timestamp: datetime | None = SENT, **properties: Any) -> Any:
    return SimpleNamespace(
        delivery_tag=98, exchange="", redelivered=False, routing_key="housekeeping", body=body, timestamp=timestamp,
        properties=SimpleNamespace(**properties),
    )  # fmt: skip


def _event(*arguments: Any, **properties: Any) -> dict[str, Any]:
    return event_of(_message(*arguments, **properties), "RabbitMQ-Function-t", "acs:amqp:x")


def test_a_message_has_the_envelope_that_eventbridge_documents() -> None:
    event = _event(content_encoding="UTF-8", message_id="m-1", headers={}, cluster_id="", priority=None)

    assert event.pop("id")
    assert event == {
        "source": "RabbitMQ-Function-t", "specversion": "1.0", "type": "amqp:Queue:SendMessage",
        "datacontenttype": "application/json;charset=utf-8", "subject": "acs:amqp:x",
        "time": "2021-08-12T06:56:40.709Z", "aliyuneventbusname": "RabbitMQ-Function-t",
        "data": {
            "envelope": {"deliveryTag": 98, "exchange": "", "redeliver": False, "routingKey": "housekeeping"},
            "body": {"Hello": "EventBridge"},
            "props": {"contentEncoding": "UTF-8", "messageId": "m-1"},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"hi", "hi"), (b"[1]", [1]), (b"", ""), (b"\xff\xfe", "//4="), ("höhe".encode(), "höhe"), (b"[" * 100_000, None)],
)
def test_a_body_is_json_or_text_or_base64(body: bytes, told: Any) -> None:
    assert _event(body)["data"]["body"] == (body.decode() if told is None else told)


def test_properties_are_told_as_json_has_them() -> None:
    headers = {"n": 1, "list": [SENT, b"raw", {"deep": b"\xff"}], "odd": {1, 2}}

    message = _message(b"", None, headers=headers, message_type="order", user_id="me")
    message.properties.timestamp = SENT
    event = event_of(message, "bus", "acs:amqp:x")

    props = json.loads(json.dumps(event["data"]["props"]))
    assert props["headers"]["list"] == [1628751400709, "raw", {"deep": "/w=="}]
    assert (props["timestamp"], props["type"], props["userId"]) == (1628751400709, "order", "me")
    assert event["time"].endswith("Z")


def test_a_trigger_names_its_queue_and_virtual_host() -> None:
    def read(**own: str) -> RabbitQueue | None:
        return RabbitQueue.read({"eventSourceConfig": {"eventSourceParameters": {"sourceRabbitMQParameters": own}}})

    assert read(QueueName="q", VirtualHostName="v", InstanceId="i") == RabbitQueue("i", "v", "q")
    assert read(QueueName="q") == RabbitQueue("", "/", "q")
    assert read(VirtualHostName="v") is None
    assert (
        _at("amqp://me:secret@[::1]:5672/ignored?heartbeat=5", "a/b") == "amqp://me:secret@[::1]:5672/a%2Fb?heartbeat=5"
    )


@pytest.mark.parametrize(
    "address", ["amqp://127.0.0.1:x", "127.0.0.1:5672", "http://127.0.0.1", "amqp://", "amqp://a:0"]
)
def test_what_can_be_no_address_of_a_broker_is_refused(address: str) -> None:
    with pytest.raises(InvalidArgument, match="amqp://USER:PASSWORD@HOST:PORT"):
        check(address)
    check("")
    check("amqps://me:secret@[::1]:5671")


def test_a_broker_that_cannot_be_reached_is_told_without_its_password() -> None:
    pytest.importorskip("aio_pika")

    async def scenario() -> None:
        async with session("amqp://guest:secret@127.0.0.1:1", RabbitQueue("", "/", "orders"), "bus", "r:a"):
            pytest.fail("there is no broker")

    with pytest.raises(Unavailable, match=r"^the queue 'orders' of RabbitMQ: ") as caught:
        asyncio.run(scenario())
    assert "secret" not in str(caught.value)
