"""What EventBridge makes of Kafka's records, and what a trigger is told whose brokers cannot be asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pyfc.errors import InvalidArgument, Unavailable
from pyfc.triggers.kafka import KafkaTopic, check, event_of, session

SUBJECT = "acs:alikafka:alikafka_pre-cn-1:topic:orders"


def _record(**more: Any) -> Any:
    given = {
        "topic": "orders", "partition": 7, "offset": 25, "timestamp": 1655952591589, "headers": (("h", b"v"),),
        "key": b"1", "value": b"TEST",
    }  # fmt: skip
    return SimpleNamespace(**{**given, **more})


def test_a_record_has_the_envelope_that_eventbridge_documents() -> None:
    event = event_of(_record(), SUBJECT)

    assert event == {
        "id": event_of(_record(), SUBJECT)["id"], "source": "acs:alikafka", "specversion": "1.0",
        "type": "alikafka:Topic:Message", "datacontenttype": "application/json; charset=utf-8", "subject": SUBJECT,
        "time": "2022-06-23T02:49:51.589Z",
        "data": {
            "topic": "orders", "partition": 7, "offset": 25, "timestamp": 1655952591589,
            "headers": {"headers": [{"key": "h", "value": "v"}], "isReadOnly": False}, "key": "1", "value": "TEST",
        },
    }  # fmt: skip
    assert event_of(_record(offset=26), SUBJECT)["id"] != event["id"]


def test_keys_and_values_are_text_or_base64_or_nothing() -> None:
    data = event_of(_record(key=None, value=b"\xff\xfe", headers=(("h", None),)), SUBJECT)["data"]

    assert (data["key"], data["value"]) == (None, "//4=")
    assert data["headers"]["headers"] == [{"key": "h", "value": None}]


def test_a_trigger_names_its_topic_and_group() -> None:
    def read(**own: str) -> KafkaTopic | None:
        return KafkaTopic.read({"eventSourceConfig": {"eventSourceParameters": {"sourceKafkaParameters": own}}})

    assert read(Topic="t", ConsumerGroup="g", InstanceId="i", OffsetReset="EARLIEST") == KafkaTopic(
        "i", "t", "g", "earliest"
    )
    assert read(Topic="t") == KafkaTopic("", "t", "", "latest")
    assert read(ConsumerGroup="g") is None


@pytest.mark.parametrize("servers", ["127.0.0.1", "kafka://127.0.0.1:9092", "a:0", "a:99999", "a:1,", ":9092", "a:x"])
def test_what_can_be_no_addresses_of_brokers_is_refused(servers: str) -> None:
    with pytest.raises(InvalidArgument, match=r"127\.0\.0\.1:9092"):
        check(servers)
    check("")
    check("127.0.0.1:9092, [::1]:9093")


def test_brokers_that_cannot_be_reached_are_told() -> None:
    pytest.importorskip("aiokafka")

    async def scenario() -> None:
        async with session("127.0.0.1:1", KafkaTopic("", "orders", "", "latest"), "t"):
            pytest.fail("there is no broker")

    with pytest.raises(Unavailable, match=r"^the topic 'orders' of Kafka: .*127\.0\.0\.1"):
        asyncio.run(scenario())
