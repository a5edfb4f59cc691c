"""Topics: what is published reaches every subscription, or is kept until it has.

One write decides who hears of a message: it is put into queues at once; for HTTP endpoints, for queues that are not
there, and for triggers of functions a row waits. So what was answered is delivered, whenever the server is killed.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pyfc.cloud.mns import notices
from pyfc.cloud.mns.faults import Fault
from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.model import Draft, Resource
from pyfc.cloud.mns.notices import Subscription
from pyfc.cloud.mns.store import Store, not_there, resource_of
from pyfc.destinations.mns import named
from pyfc.errors import Unavailable
from pyfc.model.invocation import Trace
from pyfc.model.topic import Notice, Wish
from pyfc.tasks import Tasks

RETENTION = 86400
"""Seconds for which a message is kept for those who could not be told of it."""
_SUBSCRIBED = "SELECT name, endpoint, tag, strategy, format, created, modified FROM subscriptions WHERE topic = ?"
_DELIVER = "INSERT INTO deliveries (topic, subscription, due, attempts, notice) VALUES (?, ?, ?, 0, ?)"
_FIRE = "INSERT INTO firings (trigger, time, notice) VALUES (?, ?, ?)"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Notice).decode


class _Published(NamedTuple):
    """What has become of a message."""

    queued: Sequence[tuple[Resource, Draft]]
    is_delivered: bool
    """Whether something is still to be delivered."""
    triggers: Sequence[str]
    """Which of them it is for."""


class Topics:
    """The topics of a store."""

    def __init__(self, store: Store, messages: Messages, account: str) -> None:
        self._store = store
        self._messages = messages
        self._account = account
        self._wishes: Mapping[str, Sequence[Wish]] = {}
        self._tasks = Tasks()
        self.arrived = asyncio.Event()
        """Set when there is something to deliver."""
        self.fired = asyncio.Event()
        """Set when there is something for triggers."""
        self.waiting: set[str] = set()
        """Names of triggers for which there is something."""

    async def publish(
        self, topic: str, draft: Draft, tag: str, attributes: dict[str, str], depth: int, trace: Trace | None = None
    ) -> str:
        """The id of the message, when it is in queues or kept. Raises Fault TopicNotExist."""
        await self.ready()
        name = secrets.token_hex(16).upper()
        notice = Notice(name, topic, draft.body, self._store.now, tag, draft.properties, attributes, depth, trace)
        found = await self._store.write(lambda connection: self._publish(connection, notice))
        for queue, queued in found.queued:
            self._messages.arrived(queue, [queued])
        if found.is_delivered:
            self.arrived.set()
        if found.triggers:
            self.waiting.update(found.triggers)
            self.fired.set()
        return name

    def _publish(self, connection: sqlite3.Connection, notice: Notice) -> _Published:
        topic = resource_of(connection, "topics", notice.topic)
        if topic is None:
            raise not_there("topics")
        connection.execute("DELETE FROM firings WHERE time < ?", (notice.time - RETENTION,))
        queued: list[tuple[Resource, Draft]] = []
        encoded, is_delivered = _encode(notice), False
        for subscription in (
            _subscription(notice.topic, row) for row in connection.execute(_SUBSCRIBED, (topic.number,)).fetchall()
        ):
            if subscription.tag not in {"", notice.tag}:
                continue
            found = self.queue_up(connection, notice, subscription)
            if found is not None:
                queued.append(found)
                continue
            connection.execute(_DELIVER, (topic.number, subscription.name, notice.time, encoded))
            is_delivered = True
        triggers = [each.trigger for each in self._wishes.get(notice.topic, ()) if each.fits(notice.tag)]
        connection.executemany(_FIRE, [(each, notice.time, encoded) for each in triggers])
        return _Published(queued, is_delivered, triggers)

    def queue_up(
        self, connection: sqlite3.Connection, notice: Notice, subscription: Subscription
    ) -> tuple[Resource, Draft] | None:
        """Put it into the queue of a subscription; None if that names none, or none that is there."""
        name = queue_of(subscription.endpoint)
        queue = resource_of(connection, "queues", name) if name else None
        if queue is None:
            return None
        text = notices.told(notice, subscription, self._account)
        draft = Draft(text, properties=notice.properties, depth=notice.depth)
        self._messages.put(connection, queue, [draft])
        return queue, draft

    async def queue(self, notice: Notice, subscription: Subscription) -> bool:
        """Put it into the queue of a subscription, by itself: whether there is one."""
        found = await self._store.write(lambda connection: self.queue_up(connection, notice, subscription))
        if found is not None:
            self._messages.arrived(found[0], [found[1]])
        return found is not None

    def want(self, wishes: Mapping[str, Sequence[Wish]]) -> None:
        """Keep what triggers wish to hear from now on, by topic; a topic that is not there is made."""
        self._wishes = wishes
        missing = [each for each in wishes if not self._store.has("topics", each)]
        if missing:
            self._tasks.begin("making topics of triggers", self._make(missing))

    def has(self, topic: str) -> bool:
        """Whether a topic is there, or may be made for a trigger just now."""
        return self._store.has("topics", topic) or bool(self._tasks)

    async def _make(self, missing: Sequence[str]) -> None:
        for name in missing:
            await self._store.have("topics", name)

    async def ready(self) -> None:
        """Wait until the topics of triggers are there."""
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def notices(self, trigger: str, after: int, limit: int) -> list[tuple[int, Notice]]:
        """The first `limit` messages that a trigger was not told of, from numbers higher than `after` on. Raises
        Unavailable.
        """
        query = "SELECT number, notice FROM firings WHERE trigger = ? AND number > ? ORDER BY number LIMIT ?"
        try:
            return [(number, _decode(row)) for number, row in await self._store.read(query, (trigger, after, limit))]
        except Fault as fault:
            raise Unavailable(message=fault.message) from fault

    async def forget(self, trigger: str, number: int) -> None:
        """A trigger was told of what has numbers up to this one. Raises Unavailable."""
        query = "DELETE FROM firings WHERE trigger = ? AND number <= ?"
        try:
            await self._store.write(lambda connection: connection.execute(query, (trigger, number)))
        except Fault as fault:
            raise Unavailable(message=fault.message) from fault

    async def subscribe(self, topic: Resource, made: Subscription) -> bool:
        """Whether it is new. Raises Fault SubscriptionAlreadyExist for one that says something else."""

        def job(connection: sqlite3.Connection) -> bool:
            if resource_of(connection, "topics", topic.name) is None:
                raise not_there("topics")
            row = connection.execute(f"{_SUBSCRIBED} AND name = ?", (topic.number, made.name)).fetchone()
            if row is None:
                query = "INSERT INTO subscriptions VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                connection.execute(query, (topic.number, *made[1:]))
                return True
            if _subscription(topic.name, row)[:6] != made[:6]:
                message = "The subscription you want to create is already exist, with other attributes."
                raise Fault("SubscriptionAlreadyExist", message)
            return False

        return await self._store.write(job)

    async def change(self, topic: Resource, made: Subscription) -> None:
        """It has this strategy and tag from now on."""
        query = "UPDATE subscriptions SET strategy = ?, tag = ?, modified = ? WHERE topic = ? AND name = ?"
        values = (made.strategy, made.tag, made.modified, topic.number, made.name)
        await self._store.write(lambda connection: connection.execute(query, values))

    async def unsubscribe(self, topic: Resource, name: str) -> None:
        """Forget a subscription and what is still to be delivered for it."""

        def job(connection: sqlite3.Connection) -> None:
            for table, column in (("subscriptions", "name"), ("deliveries", "subscription")):
                query = f"DELETE FROM {table} WHERE topic = ? AND {column} = ?"  # noqa: S608  words of our own
                connection.execute(query, (topic.number, name))

        await self._store.write(job)

    async def subscriptions(self, topic: Resource) -> list[Subscription]:
        """Those of a topic, by name."""
        rows = await self._store.read(f"{_SUBSCRIBED} ORDER BY name", (topic.number,))
        return [_subscription(topic.name, row) for row in rows]

    async def subscription(self, topic: Resource, name: str) -> Subscription:
        """Raises Fault SubscriptionNotExist."""
        for row in await self._store.read(f"{_SUBSCRIBED} AND name = ?", (topic.number, name)):
            return _subscription(topic.name, row)
        raise Fault("SubscriptionNotExist", "The subscription name you provided is not exist.")

    async def close(self) -> None:
        """Make no more topics."""
        await self._tasks.close()


def _subscription(topic: str, row: Sequence[Any]) -> Subscription:
    return Subscription(topic, *row)


def queue_of(endpoint: str) -> str:
    """The queue that an endpoint names, '' if it names none."""
    kind, name = named(endpoint)
    return name if kind == "queues" else ""
