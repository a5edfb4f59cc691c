"""What the account's own bus is told of operations that change something, and of nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from pyfc.auth.keys import Key
from pyfc.errors import Unavailable
from pyfc.model.names import Target
from pyfc.triggers.trail import Done, Trail

FUNCTION = Key(id="STS.1", secret="x", token="t", function=Target("shop", "pay"))
DONE = Done("CreateFunction", {"serviceName": "shop", "functionName": "pay"}, FUNCTION, "10.0.0.7", "curl")


class Bus:
    """Hears some sources."""

    def __init__(self, *sources: str) -> None:
        self.sources = sources
        self.told: list[tuple[Mapping[str, Any], int]] = []
        self.is_full = False

    def hears(self, source: str) -> bool:
        return source in self.sources

    async def deliver(self, event: Mapping[str, Any], depth: int) -> bool:
        if self.is_full:
            raise Unavailable(message="no room")
        self.told.append((event, depth))
        return True


def _told(done: Done) -> Mapping[str, Any]:
    bus = Bus("acs.fc", "acs.mns")
    asyncio.run(Trail(bus, lambda _: 3, "42", "cn-shanghai").tell(done))
    [(event, depth)] = bus.told
    assert depth == (3 if done.key is not None else 0)
    return event


def test_an_operation_of_fc_has_the_type_that_eventbridge_documents_and_actiontrails_record() -> None:
    event = _told(DONE)

    assert {name: event[name] for name in ("source", "type", "subject", "specversion")} == {
        "source": "acs.fc", "type": "fc:Function:CreateSuccess", "specversion": "1.0",
        "subject": "acs:fc:cn-shanghai:42:services/shop/functions/pay",
    }  # fmt: skip
    data = event["data"]
    assert (data["eventName"], data["eventType"], data["eventRW"]) == ("CreateFunction", "ApiCall", "Write")
    assert (data["sourceIpAddress"], data["requestParameters"]) == ("10.0.0.7", DONE.names)
    assert data["userIdentity"]["accessKeyId"] == "STS.1"
    assert "errorCode" not in data


def test_what_could_not_be_done_says_why() -> None:
    event = _told(DONE._replace(operation="DeleteTrigger", error=("TriggerNotFound", "there is none"), key=None))

    assert event["type"] == "fc:Trigger:DeleteFailed"
    assert (event["data"]["errorCode"], event["data"]["errorMessage"]) == ("TriggerNotFound", "there is none")
    assert "accessKeyId" not in event["data"]["userIdentity"]


def test_operations_of_the_message_service_are_calls_of_an_api() -> None:
    event = _told(Done("mns:Subscribe", {"TopicName": "t", "SubscriptionName": "s"}, None, "", ""))

    assert (event["source"], event["type"]) == ("acs.mns", "mns:ActionTrail:ApiCall")
    assert event["subject"] == "acs:mns:cn-shanghai:42:/topics/t/subscriptions/s"
    assert (event["data"]["eventName"], event["data"]["apiVersion"]) == ("Subscribe", "2015-06-06")


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        ("CreateFunction", ("acs.fc",)), ("UpdateTrigger", ("acs.fc",)), ("DeleteService", ("acs.fc",)),
        ("GetFunction", ()), ("ListTriggers", ()), ("InvokeFunction", ()), ("CreateFunctionX", ()),
        ("mns:CreateQueue", ("acs.mns",)), ("mns:Unsubscribe", ("acs.mns",)), ("mns:SendMessage", ()),
    ],
)  # fmt: skip
def test_nothing_is_made_of_what_nobody_hears(operation: str, wanted: tuple[str, ...]) -> None:
    heard = [
        source for source in ("acs.fc", "acs.mns", "acs.oss")
        if Trail(Bus(source), lambda _: 0, "42", "cn-shanghai").wants(operation)
    ]  # fmt: skip

    assert tuple(heard) == wanted


def test_a_bus_without_room_does_not_undo_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    bus = Bus("acs.fc")
    bus.is_full = True

    asyncio.run(Trail(bus, lambda _: 0, "42", "cn-shanghai").tell(DONE))

    assert "the bus was not told of CreateFunction: no room" in caplog.text
