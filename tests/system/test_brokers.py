"""Triggers of EventBridge that pull from real brokers: queues of RabbitMQ, topics of Kafka."""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from brokers import kafka, rabbitmq
from support import Server, wait_until

aio_pika, aiokafka = pytest.importorskip("aio_pika"), pytest.importorskip("aiokafka")
pytestmark = pytest.mark.long
CODE = """
import os
def handler(event, context):
    file = os.open("/mnt/auto/told", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(file, event + b"\\n")
    os.close(file)
"""
"""What it has got stays over a kill of the server, which may cost the last lines of a log."""
NAS = {"mountPoints": [{"serverAddr": "nas:/share", "mountDir": "/mnt/auto"}]}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as address:
        yield address


def _write(folder: Path, **queues: str) -> None:
    """A function with a trigger for each queue."""
    found = {name: {"InstanceId": "amqp-cn-1", "QueueName": queue} for name, queue in queues.items()}
    _declare(folder, "RabbitMQ", found)


def _declare(folder: Path, kind: str, sources: dict[str, dict[str, str]]) -> None:
    triggers = [
        {"triggerName": name, "triggerType": "eventbridge", "triggerConfig": {"eventSourceConfig": {
            "eventSourceType": kind, "eventSourceParameters": {f"source{kind}Parameters": source},
        }}}
        for name, source in sources.items()
    ]  # fmt: skip
    props = {"functionName": "hello", "runtime": "python3", "handler": "index.handler", "code": "./", "nasConfig": NAS}
    resource = {"component": "fc3", "props": {**props, "triggers": triggers}}
    (folder / "index.py").write_text(CODE)
    (folder / "s.yaml").write_text(json.dumps({"edition": "3.0.0", "resources": {"hello": resource}}))


def _ask(broker: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def asked() -> Any:
        async with await aio_pika.connect(broker) as connection:
            return await work(await connection.channel())

    return asyncio.run(asked())


def _send(broker: str, queue: str, *bodies: bytes, **properties: Any) -> None:
    async def send(channel: Any) -> None:
        await channel.declare_queue(queue, durable=True)
        for body in bodies:
            message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties)
            await channel.default_exchange.publish(message, queue)

    _ask(broker, send)


def _left(broker: str, queue: str) -> int:
    async def count(channel: Any) -> int:
        found = await channel.declare_queue(queue, passive=True)
        return found.declaration_result.message_count or 0

    left: int = _ask(broker, count)
    return left


def _told(server: Server) -> list[dict[str, Any]]:
    """The events that the function has got, in order."""
    lines = [line for file in server.data_dir.glob("mounts/*/told") for line in file.read_bytes().split(b"\n")[:-1]]
    return [each for line in lines for each in json.loads(line)]


def _states(server: Server) -> dict[str, tuple[str, str]]:
    rows = server.manage("GET", "/pyfc/triggers").json["triggers"]
    return {row["trigger"]: (row["state"], row["error"]) for row in rows}


def test_messages_of_a_queue_come_in_order_in_eventbridges_envelope_and_are_acknowledged(
    broker: str, tmp_path: Path
) -> None:
    _write(tmp_path, orders="orders", other="missing")
    _send(broker, "orders", *(json.dumps({"n": number}).encode() for number in range(40)), message_id="m-1")

    server = Server(tmp_path, tmp_path / "data", PYFC_RABBITMQ=broker)
    wait_until(lambda: len(_told(server)) == 40, "all messages")

    events = _told(server)
    assert [each["data"]["body"] for each in events] == [{"n": number} for number in range(40)]
    first = events[0]
    assert (first["source"], first["type"]) == ("RabbitMQ-Function-orders", "amqp:Queue:SendMessage")
    assert first["subject"] == ("acs:amqp:cn-hangzhou:1234567890123456:/instances/amqp-cn-1/vhosts///queues/orders")
    envelope = {"deliveryTag": 1, "exchange": "", "redeliver": False, "routingKey": "orders"}
    assert first["data"]["envelope"] == envelope
    assert first["data"]["props"]["messageId"] == "m-1"
    assert first["aliyuneventbusname"] == "RabbitMQ-Function-orders"
    wait_until(lambda: "no queue 'missing'" in _states(server)["other"][1], "word of the missing queue")
    assert _states(server)["orders"] == ("ready", "")
    server.stop()
    assert _left(broker, "orders") == 0


def test_each_message_calls_once_at_least_over_a_kill(broker: str, tmp_path: Path) -> None:
    _write(tmp_path, killed="killed")
    server = Server(tmp_path, tmp_path / "data", PYFC_RABBITMQ=broker)
    wait_until(lambda: _states(server), "the trigger")
    _send(broker, "killed", *(str(number).encode() for number in range(200)))
    wait_until(lambda: _told(server), "the first message")
    server.stop(signal.SIGKILL)

    server = Server(tmp_path, tmp_path / "data", PYFC_RABBITMQ=broker)
    wait_until(lambda: len({each["data"]["body"] for each in _told(server)}) == 200, "all messages")
    server.stop()
    assert _left(broker, "killed") == 0


def test_a_queue_that_goes_and_comes_back_is_told_and_pulled_again(broker: str, tmp_path: Path) -> None:
    _write(tmp_path, gone="gone")
    _send(broker, "gone", b"1")
    server = Server(tmp_path, tmp_path / "data", PYFC_RABBITMQ=broker)
    wait_until(lambda: len(_told(server)) == 1, "the first message")

    _ask(broker, lambda channel: channel.queue_delete("gone"))
    wait_until(lambda: "no queue 'gone'" in _states(server)["gone"][1], "word of that")
    _send(broker, "gone", b"2")

    wait_until(lambda: [each["data"]["body"] for each in _told(server)] == [1, 2], "the second message")
    assert _states(server)["gone"] == ("ready", "")
    server.stop()


@pytest.fixture(scope="module")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kafka(tmp_path_factory.mktemp("kafka")) as address:
        yield address


def _produce(servers: str, topic: str, values: Sequence[bytes], *, is_new: bool = False) -> None:
    async def produce() -> None:
        if is_new:
            manage = importlib.import_module("aiokafka.admin")
            admin = manage.AIOKafkaAdminClient(bootstrap_servers=servers)
            await admin.start()
            await admin.create_topics([manage.NewTopic(topic, 1, 1)])
            await admin.close()
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=servers) as producer:
            for value in values:
                await producer.send_and_wait(topic, value, key=b"k", headers=[("h", b"v")])

    asyncio.run(produce())


def test_records_of_a_topic_come_in_order_in_eventbridges_envelope_and_once_at_least_over_a_kill(
    kafka_server: str, tmp_path: Path
) -> None:
    source = {"InstanceId": "kafka-1", "Topic": "orders", "ConsumerGroup": "g", "OffsetReset": "earliest"}
    _declare(tmp_path, "Kafka", {"orders": source, "other": {**source, "Topic": "missing", "ConsumerGroup": "h"}})
    _produce(kafka_server, "orders", [str(number).encode() for number in range(100)], is_new=True)

    server = Server(tmp_path, tmp_path / "data", PYFC_KAFKA=kafka_server)
    wait_until(lambda: len(_told(server)) >= 100, "all records", 60.0)
    events = _told(server)
    assert [each["data"]["value"] for each in events] == [str(number) for number in range(100)]
    assert (events[0]["source"], events[0]["subject"]) == ("acs:alikafka", "acs:alikafka:kafka-1:topic:orders")
    data = {**events[7]["data"], "timestamp": 0}
    assert data == {
        "topic": "orders", "partition": 0, "offset": 7, "timestamp": 0, "key": "k", "value": "7",
        "headers": {"headers": [{"key": "h", "value": "v"}], "isReadOnly": False},
    }  # fmt: skip
    wait_until(lambda: "the topic 'missing' of Kafka" in _states(server)["other"][1], "word of the missing topic", 60.0)
    assert _states(server)["orders"] == ("ready", "")

    _produce(kafka_server, "orders", [str(number).encode() for number in range(100, 300)])
    wait_until(lambda: len(_told(server)) > 100, "one of the later records")
    server.stop(signal.SIGKILL)
    server = Server(tmp_path, tmp_path / "data", PYFC_KAFKA=kafka_server)
    wait_until(lambda: len({each["data"]["value"] for each in _told(server)}) == 300, "all records", 90.0)
    server.stop()
