"""What the account's own bus is told of operations that change something. Of FC's API as EventBridge documents it:
source acs.fc, types like fc:Function:CreateSuccess. Of MNS's, for which no document names any, as calls of an API:
source acs.mns, type mns:ActionTrail:ApiCall. The data is a management event of ActionTrail.

Nothing is made of an operation that no trigger may be for. An event is promised after its operation is done and before
it is answered: a server that is killed between the two has told nobody.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from pyfc.auth.keys import Key
from pyfc.errors import PyfcError

_FC = re.compile("(Create|Update|Delete)(Service|Function|Trigger)")
_MNS = re.compile("mns:(CreateQueue|SetQueueAttributes|DeleteQueue|CreateTopic|SetTopicAttributes|DeleteTopic|"
                  "Subscribe|SetSubscriptionAttributes|Unsubscribe)")  # fmt: skip
_VERSIONS = {"fc": "2016-08-15", "mns": "2015-06-06"}
_log = logging.getLogger(__name__)


class Bus(Protocol):
    """The account's own bus."""

    def hears(self, source: str) -> bool:
        """Whether a trigger may be for events of a source."""

    async def deliver(self, event: Mapping[str, Any], depth: int) -> bool:
        """Publish an event; whether somebody has a rule for it. Raises PyfcError."""


class Done(NamedTuple):
    """An operation that was asked for."""

    operation: str
    """Its name, of MNS with `mns:` before it."""
    names: Mapping[str, str]
    """What it is about, by FC's and MNS's names of that."""
    key: Key | None
    """Who has asked; None where that is not asked."""
    client: str
    """The address of the client."""
    agent: str
    """What the client says that it is."""
    error: tuple[str, str] = ("", "")
    """Code and text of what was wrong."""
    version: str = ""
    """Of the API; '' for the usual one."""


class Trail:
    """Tells the bus of one server."""

    def __init__(self, bus: Bus, led_by: Callable[[Key], int], account: str, region: str) -> None:
        """`led_by`: how many calls have led to what the holder of a key does."""
        self._bus = bus
        self._led_by = led_by
        self._account = account
        self._region = region

    def wants(self, operation: str) -> bool:
        """Whether a trigger may be for an operation."""
        return bool(_FC.fullmatch(operation) and self._bus.hears("acs.fc")) or bool(
            _MNS.fullmatch(operation) and self._bus.hears("acs.mns")
        )

    async def tell(self, done: Done) -> None:
        """Publish what was done, or could not be. What the bus has no room for is told in the log: it is done."""
        depth = self._led_by(done.key) if done.key is not None else 0
        try:
            await self._bus.deliver(self._event(done), depth)
        except PyfcError as error:
            _log.warning("the bus was not told of %s: %s", done.operation, error)

    def _event(self, done: Done) -> dict[str, Any]:
        product = "mns" if done.operation.startswith("mns:") else "fc"
        moment = datetime.fromtimestamp(time.time(), UTC)
        number = str(uuid.uuid4()).upper()
        return {
            "id": number, "source": f"acs.{product}", "specversion": "1.0", "type": _type(done),
            "datacontenttype": "application/json; charset=utf-8", "subject": self._subject(product, done.names),
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": self._record(product, done, number, f"{moment:%Y-%m-%dT%H:%M:%SZ}"),
        }  # fmt: skip

    def _subject(self, product: str, names: Mapping[str, str]) -> str:
        kinds = {"serviceName": "services", "functionName": "functions", "triggerName": "triggers",
                 "QueueName": "queues", "TopicName": "topics", "SubscriptionName": "subscriptions"}  # fmt: skip
        path = "/".join(f"{kind}/{names[name]}" for name, kind in kinds.items() if name in names)
        return f"acs:{product}:{self._region}:{self._account}:{'/' if product == 'mns' else ''}{path}"

    def _record(self, product: str, done: Done, number: str, moment: str) -> dict[str, Any]:
        """As ActionTrail keeps it."""
        code, text = done.error
        user = {"type": "root-account", "accountId": self._account, "principalId": self._account}
        key = {"accessKeyId": done.key.id} if done.key is not None else {}
        wrong = {"errorCode": code, "errorMessage": text} if code else {}
        return {
            "eventId": number, "eventVersion": 1, "eventCategory": "Management", "eventType": "ApiCall",
            "eventRW": "Write", "eventName": done.operation.removeprefix("mns:"), "eventTime": moment,
            "eventSource": f"{self._account}.{self._region}.{product}.aliyuncs.com", "serviceName": product.title(),
            "acsRegion": self._region, "apiVersion": done.version or _VERSIONS[product], "requestId": number,
            "sourceIpAddress": done.client, "userAgent": done.agent, "isGlobal": False,
            "requestParameters": dict(done.names), "userIdentity": {**user, **key}, **wrong,
        }  # fmt: skip


def _type(done: Done) -> str:
    found = _FC.fullmatch(done.operation)
    if found is None:
        return "mns:ActionTrail:ApiCall"
    return f"fc:{found[2]}:{found[1]}{'Failed' if done.error[0] else 'Success'}"
