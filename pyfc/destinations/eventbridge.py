"""Messages for the account's own bus (`acs:eventbridge:REGION:ACCOUNT:eventbus/default`): they are published to the
triggers of this server that have a rule for them; all others go elsewhere.

FC does not document the event that it makes of a message. Here it is of the source acs.fc, of one of TYPES, and its
data is the message.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from pyfc.destinations.webhook import Webhook
from pyfc.errors import Unavailable
from pyfc.model.invocation import Trace

TYPES = {True: "fc:AsyncInvoke:Success", False: "fc:AsyncInvoke:Failed", None: "fc:AsyncInvoke:DeadLetter"}
"""By what became of the call; None: what could not be pushed is handed on as it was."""
_PARTS = 5
"""Of an ARN."""
_SPACE = uuid.UUID("0d2a0a0f-5f5b-4c1c-9a43-7c1c7d4f2b11")
"""Ids of events are made in it of messages: what is delivered twice is one event."""
Publish = Callable[[dict[str, Any], int, Trace | None], Awaitable[bool]]
"""Publishes an event to which so many calls have led, with their trace; whether somebody has a rule for it. Raises
PyfcError.
"""


class EventBus:
    """Publishes what is for the bus; what nobody there has a rule for goes to the webhook, if there is one."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._publish: Publish = _absent

    def serve(self, publish: Publish) -> None:
        """The bus is there from now on."""
        self._publish = publish

    async def __call__(self, address: str, message: bytes, depth: int, trace: Trace | None = None) -> None:
        """Deliver. Raises PyfcError if it was not taken."""
        if bus_of(address) == "default":
            is_heard = await self._publish(event_of(address, message), depth, trace)
            if is_heard or not self._webhook.is_configured:
                return
        await self._webhook(address, message, depth, trace)


async def _absent(*_: object) -> bool:
    raise Unavailable(message="the bus is not there yet")


def bus_of(address: str) -> str:
    """The bus that an ARN names; '' for anything else."""
    parts = address.split(":", _PARTS - 1)
    kind, _, name = parts[-1].removeprefix("/").partition("/")
    return name if len(parts) == _PARTS and parts[:2] == ["acs", "eventbridge"] and kind == "eventbus" else ""


def event_of(address: str, message: bytes) -> dict[str, Any]:
    """The event that a message is."""
    try:
        data = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError):
        data = message.decode("utf-8", "replace")
    event = {
        "id": str(uuid.uuid5(_SPACE, f"{address} {message.decode('latin-1')}")), "source": "acs.fc",
        "specversion": "1.0", "type": TYPES[None], "datacontenttype": "application/json; charset=utf-8",
    }  # fmt: skip
    if isinstance(data, dict) and {"requestContext", "responseContext", "timestamp"} <= data.keys():
        context = data["requestContext"]
        moment = datetime.fromtimestamp(data["timestamp"] / 1000, UTC)
        event["type"] = TYPES[not data["responseContext"]["functionError"] and not context["condition"]]
        event["subject"] = context["functionArn"]
        event["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**event, "data": data}
