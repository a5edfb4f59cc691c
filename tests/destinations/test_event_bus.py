"""What destinations tell the account's own bus becomes an event, once; what nobody there hears goes elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pyfc.destinations.eventbridge import EventBus, bus_of, event_of
from pyfc.destinations.webhook import Webhook
from pyfc.errors import Unavailable
from pyfc.model.invocation import Trace

BUS = "acs:eventbridge:cn-hangzhou:1234:eventbus/default"
ARN = "acs:fc:cn-hangzhou:1234:services/shop/functions/pay"


def _outcome(error: str = "", condition: str = "") -> bytes:
    return json.dumps({
        "timestamp": 1_700_000_000_500, "requestPayload": "{}", "responsePayload": "done",
        "requestContext": {"requestId": "1", "functionArn": ARN, "condition": condition},
        "responseContext": {"statusCode": 200, "functionError": error},
    }).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (BUS, "default"),
        ("acs:eventbridge:::eventbus/orders", "orders"),
        ("acs:eventbridge:cn-hangzhou:1234:/eventbus/default", "default"),
        ("acs:eventbridge:cn-hangzhou:1234:rule/default", ""),
        ("acs:mns:cn-hangzhou:1234:eventbus/default", ""),
        ("acs:eventbridge:eventbus/default", ""),
    ],
)
def test_buses_are_named_by_arns(address: str, name: str) -> None:
    assert bus_of(address) == name


def test_an_outcome_is_an_event_of_function_compute() -> None:
    event = event_of(BUS, _outcome())

    assert event.pop("data") == json.loads(_outcome())
    assert event == {
        "id": event_of(BUS, _outcome())["id"], "source": "acs.fc", "specversion": "1.0",
        "type": "fc:AsyncInvoke:Success", "subject": ARN, "time": "2023-11-14T22:13:20.500Z",
        "datacontenttype": "application/json; charset=utf-8",
    }  # fmt: skip
    assert event_of(BUS, _outcome("Error"))["type"] == "fc:AsyncInvoke:Failed"
    assert event_of(BUS, _outcome(condition="EventAgeExceeded"))["type"] == "fc:AsyncInvoke:Failed"
    assert event_of(BUS, _outcome("Error"))["id"] != event["id"]


@pytest.mark.parametrize(("message", "data"), [(b'[{"id": "1"}]', [{"id": "1"}]), (b"\xff no JSON", "\ufffd no JSON")])
def test_what_could_not_be_pushed_is_handed_on_as_it_was(message: bytes, data: Any) -> None:
    event = event_of(BUS, message)

    assert (event["type"], event["data"], "time" in event) == ("fc:AsyncInvoke:DeadLetter", data, False)


@pytest.mark.parametrize(("address", "is_heard", "published"), [(BUS, True, 1), (BUS, False, 1), (f"{BUS}2", True, 0)])
def test_only_what_is_for_the_bus_is_published(address: str, is_heard: bool, published: int) -> None:
    told: list[tuple[dict[str, Any], int]] = []

    async def publish(event: dict[str, Any], depth: int, trace: Trace | None) -> bool:
        assert trace == ("1:2:0:1", {})
        told.append((event, depth))
        return is_heard

    async def scenario() -> None:
        bus = EventBus(Webhook(""))
        with pytest.raises(Unavailable):
            await bus(address, _outcome(), 3)
        bus.serve(publish)
        if not published:
            with pytest.raises(Unavailable, match="nothing here takes messages for"):
                await bus(address, _outcome(), 3)
        else:
            await bus(address, _outcome(), 3, ("1:2:0:1", {}))

    asyncio.run(scenario())

    assert [depth for _, depth in told] == [3] * published


def test_what_nobody_has_a_rule_for_goes_to_the_endpoint_where_there_is_one() -> None:
    async def publish(*_: object) -> bool:
        return False

    async def scenario() -> None:
        webhook = Webhook("http://127.0.0.1:9")
        bus = EventBus(webhook)
        bus.serve(publish)
        with pytest.raises(Unavailable):
            await bus(BUS, _outcome(), 1)
        await webhook.close()

    asyncio.run(scenario())
