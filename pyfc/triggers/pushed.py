"""Triggers whose sources push what happened: the CDN, Tablestore, RDS and DataHub; and sources that are set up on their
own side (IoT, CloudMonitor), which no trigger of FC stands for. Here their events come through the door (gateway).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from pyfc.errors import InvalidArgument
from pyfc.model.trigger import Trigger
from pyfc.triggers import tablestore
from pyfc.triggers.interface import Emit, Firing, Key, State, is_enabled

TYPES = ("cdn_events", "tablestore", "rds", "datahub")
ONE_WAY = ("datahub", "iot", "cloudmonitor")
"""Sources that need no trigger: they call the function."""
CBOR = "application/cbor"


class Pushed:
    """The triggers of one type."""

    def __init__(self, kind: str, emit: Emit) -> None:
        self.type = kind
        self._emit = emit
        self._triggers: Mapping[Key, Trigger] = {}

    def use(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> Mapping[Key, str]:
        """See Source. Nothing is remembered of any."""
        self._triggers = triggers
        return {}

    async def run(self) -> None:
        """See Source. What is pushed fires by itself."""
        await asyncio.Event().wait()

    def state(self, key: Key) -> State:
        """See Source."""
        return State(key in self._triggers and is_enabled(self._triggers[key].config))

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        """See Source."""
        return []


def firing_of(trigger: Trigger, content_type: str, body: bytes, depth: int) -> Firing:
    """What a source has sent. Raises InvalidArgument for what it would not have."""
    return Firing(trigger, _event(trigger, content_type, body), f"pushed/{uuid.uuid4()}", "", depth)


def _event(trigger: Trigger, content_type: str, body: bytes) -> bytes:
    """As the function gets it: Tablestore's JSON becomes CBOR, everything else stays as it is."""
    if trigger.type == "rds" or (trigger.type == "tablestore" and content_type.startswith(CBOR)):
        return body
    try:
        event = msgspec.json.decode(body)
        return tablestore.encode(event) if trigger.type == "tablestore" else body
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidArgument(message=f"the event is no JSON, as {trigger.type} sends it: {error}") from None
