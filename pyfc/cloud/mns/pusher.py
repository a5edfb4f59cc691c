"""Delivers what waits for subscriptions: to HTTP endpoints, and to queues that were not there when it was published.

What fails is tried again as the subscription's strategy says, then it is dropped, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from pyfc.cloud.mns import notices
from pyfc.cloud.mns.faults import Fault
from pyfc.cloud.mns.notices import Subscription
from pyfc.cloud.mns.signing import Signing
from pyfc.cloud.mns.store import Store
from pyfc.cloud.mns.topics import Topics, queue_of
from pyfc.errors import InvalidArgument, NotReached
from pyfc.model.policy import back_off
from pyfc.model.topic import Notice
from pyfc.outgoing.client import Outgoing
from pyfc.tasks import Tasks

BACKOFF, DECAY = "BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"
STRATEGIES = (BACKOFF, DECAY)
_BACKOFFS, _SHORTEST, _LONGEST = 3, 10.0, 20.0
"""How often, and after how many seconds."""
_DECAYS, _MOST = 176, 512.0
_AT_ONCE = 16
_DUE = """
SELECT deliveries.number, attempts, notice, topics.name, subscriptions.name, endpoint, tag, strategy, format,
  subscriptions.created, subscriptions.modified
FROM deliveries JOIN topics ON topics.number = deliveries.topic
JOIN subscriptions ON subscriptions.topic = deliveries.topic AND subscriptions.name = subscription
WHERE due <= ? ORDER BY due LIMIT ?
"""
_log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Notice).decode


class _Delivery(NamedTuple):
    number: int
    attempts: int
    notice: Notice
    subscription: Subscription


def pause(strategy: str, failures: int) -> float | None:
    """Seconds until a delivery is tried again that has failed so often; None if it is dropped."""
    if strategy == DECAY:
        return min(2.0 ** (failures - 1), _MOST) if failures <= _DECAYS else None
    return random.uniform(_SHORTEST, _LONGEST) if failures <= _BACKOFFS else None  # noqa: S311  no secret


class Pusher:
    """Runs until it is closed."""

    def __init__(
        self, store: Store, topics: Topics, outgoing: Outgoing, signing: Signing, account: str,
        pause: Callable[[str, int], float | None] = pause,
    ) -> None:  # fmt: skip
        self._store = store
        self._topics = topics
        self._outgoing = outgoing
        self._signing = signing
        self._account = account
        self._pause = pause
        self._under_way: set[int] = set()
        self._failing: set[tuple[str, str]] = set()
        """Topics and subscriptions of which the log says that nothing arrives."""
        self._tasks = Tasks()

    def start(self) -> None:
        """Deliver from now on."""
        self._tasks.begin("delivering what was published to topics", self._keep())

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                await self._begin_due()
                failures = 0
                await self._wait()
            except Fault as fault:
                failures += 1
                _log.warning("what was published to topics is not delivered for a while: %s", fault)
                await asyncio.sleep(back_off(failures))

    async def _begin_due(self) -> None:
        """Begin as many of those that are due as may be under way. Raises Fault."""
        self._topics.arrived.clear()
        rows = await self._store.read(_DUE, (self._store.now, _AT_ONCE + len(self._under_way)))
        found = [
            _Delivery(number, attempts, _decode(notice), Subscription(*rest))
            for number, attempts, notice, *rest in rows
        ]
        for delivery in [each for each in found if each.number not in self._under_way]:
            if len(self._under_way) < _AT_ONCE:
                self._under_way.add(delivery.number)
                self._tasks.begin(f"a message for {delivery.subscription.name}", self._deliver(delivery))

    async def _wait(self) -> None:
        """Until something may be due that is not under way."""
        seconds: float | None = None
        if len(self._under_way) < _AT_ONCE:
            query = "SELECT number, due FROM deliveries ORDER BY due LIMIT ?"
            rows = await self._store.read(query, (len(self._under_way) + 1,))
            dues = [due for number, due in rows if number not in self._under_way]
            seconds = max(min(dues) - self._store.now, 0.0) if dues else None
        try:
            async with asyncio.timeout(seconds):
                await self._topics.arrived.wait()
        except TimeoutError:
            pass

    async def _deliver(self, delivery: _Delivery) -> None:
        try:
            reason = await self._attempt(delivery)
            self._tell(delivery.subscription, reason)
            await self._store.write(lambda connection: self._settle(connection, delivery, reason))
        except Fault as fault:
            _log.warning("a message for %s is delivered again: %s", delivery.subscription.name, fault)
            await asyncio.sleep(back_off(1))
        finally:
            self._under_way.discard(delivery.number)
            self._topics.arrived.set()

    def _tell(self, subscription: Subscription, reason: str) -> None:
        """Have the log say once that nothing arrives at a subscription, and when something does again."""
        names = subscription.topic, subscription.name
        if reason and names not in self._failing:
            self._failing.add(names)
            advice = "it is tried again as its strategy says"
            _log.warning("subscription %s of topic %s takes no messages: %r; %s", names[1], names[0], reason, advice)
        elif not reason and names in self._failing:
            self._failing.discard(names)
            _log.warning("subscription %s of topic %s takes messages again", names[1], names[0])

    async def _attempt(self, delivery: _Delivery) -> str:
        """Why it could not be delivered, '' if it was."""
        notice, subscription = delivery.notice, delivery.subscription
        if queue_of(subscription.endpoint):
            return "" if await self._topics.queue(notice, subscription) else "there is no such queue"
        body = notices.told(notice, subscription, self._account).encode()
        headers, url = notices.headers(notice, subscription, self._account, body), _address(subscription.endpoint)
        try:
            signed = await self._signing.signed(url, headers)
            answered = await self._outgoing.post(url, body, signed, reads=False)
        except (NotReached, InvalidArgument, OSError) as error:
            return str(error)
        except Exception as error:  # a mistake of ours must not have it tried again without end
            _log.exception("a message for %s could not be sent", subscription.name)
            return type(error).__name__
        return "" if 200 <= answered.status < 300 else f"it answered {answered.status}"

    def _settle(self, connection: sqlite3.Connection, delivery: _Delivery, reason: str) -> None:
        failures = delivery.attempts + 1
        seconds = self._pause(delivery.subscription.strategy, failures) if reason else None
        if seconds is not None:
            query = "UPDATE deliveries SET attempts = ?, due = ? WHERE number = ?"
            connection.execute(query, (failures, self._store.now + seconds, delivery.number))
            return
        connection.execute("DELETE FROM deliveries WHERE number = ?", (delivery.number,))
        if reason:
            subscription, number = delivery.subscription, delivery.notice.id
            _log.warning(
                "message %s of topic %s is dropped for subscription %s after %s tries: %r",
                number, subscription.topic, subscription.name, failures, reason,
            )  # fmt: skip

    async def close(self) -> None:
        """Deliver no more for now."""
        await self._tasks.close()


def _address(endpoint: str) -> str:
    """Where an HTTP endpoint is asked: one without a path at /notifications."""
    parts = urlsplit(endpoint)
    return endpoint if parts.path else parts._replace(path="/notifications").geturl()
