"""The operations on queues and topics themselves: made, described, changed, listed, deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from pyfc.cloud.markup import Node
from pyfc.cloud.mns.asked import Answer, Asked, answer, made
from pyfc.cloud.mns.model import LOGGING, NAMED, Kind, Resource, check_name, settings_of, whole
from pyfc.cloud.mns.topics import RETENTION

T = TypeVar("T")
_GIVEN = (
    "DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "VisibilityTimeout", "PollingWaitSeconds", LOGGING,
)  # fmt: skip
_MOST_LISTED = 1000


def create(kind: Kind) -> Callable[[Asked], Awaitable[Answer]]:
    """CreateQueue, CreateTopic."""

    async def run(asked: Asked) -> Answer:
        (name,) = asked.names
        check_name(NAMED[kind], name)
        given = asked.fields(NAMED[kind], *_GIVEN)
        store = asked.environment.store
        if "metaoverride" in asked.sent.query:
            before = store.resource(kind, name)
            await store.change(before, settings_of(kind, given, before.settings))
            return Answer(204)
        is_new = await store.create(kind, name, settings_of(kind, given))
        return made(asked, f"/{kind}/{name}", is_new=is_new)

    return run


async def delete_queue(asked: Asked) -> Answer:
    """DeleteQueue."""
    await asked.environment.messages.delete_queue(asked.names[0])
    return Answer(204)


async def delete_topic(asked: Asked) -> Answer:
    """DeleteTopic."""
    await asked.environment.store.delete("topics", asked.names[0])
    return Answer(204)


async def get_queue(asked: Asked) -> Answer:
    """GetQueueAttributes."""
    queue = asked.resource("queues")
    return answer("Queue", await _queue(asked, queue))


async def get_topic(asked: Asked) -> Answer:
    """GetTopicAttributes."""
    return answer("Topic", await _topic(asked, asked.resource("topics")))


def list_all(kind: Kind) -> Callable[[Asked], Awaitable[Answer]]:
    """ListQueue, ListTopic."""

    async def run(asked: Asked) -> Answer:
        found, marker = page(asked, asked.environment.store.resources(kind), lambda each: each.name)
        has_meta = asked.sent.headers.get("x-mns-with-meta", "").lower() == "true"
        describe = _queue if kind == "queues" else _topic
        listed: list[Node] = []
        for each in found:
            url = (f"{NAMED[kind]}URL", asked.url(f"/{kind}/{each.name}"))
            listed.append((NAMED[kind], [url, *(await describe(asked, each) if has_meta else ())]))
        return answer(f"{NAMED[kind]}s", [*listed, *marker])

    return run


def page(asked: Asked, found: Sequence[T], name: Callable[[T], str]) -> tuple[list[T], list[Node]]:
    """Those that headers ask for of what is sorted by name, and the mark of the next ones if there are more."""
    headers = asked.sent.headers
    most = whole("x-mns-ret-number", headers.get("x-mns-ret-number", ""), _MOST_LISTED, 1, _MOST_LISTED)
    prefix, marker = (headers.get(f"x-mns-{each}", "") for each in ("prefix", "marker"))
    prefix, marker = ("" if each == "undefined" else each for each in (prefix, marker))
    meant = [each for each in found if name(each).startswith(prefix) and name(each) >= marker]
    following: list[Node] = [("NextMarker", name(meant[most]))] if len(meant) > most else []
    return meant[:most], following


async def _queue(asked: Asked, queue: Resource) -> list[Node]:
    counts = await asked.environment.messages.counts(queue)
    numbers = zip(("ActiveMessages", "InactiveMessages", "DelayMessages"), counts, strict=True)
    return [("QueueName", queue.name), *numbers, *_common(queue)]


async def _topic(asked: Asked, topic: Resource) -> list[Node]:
    waiting = await asked.environment.store.read("SELECT count(*) FROM deliveries WHERE topic = ?", (topic.number,))
    count = waiting[0][0] if waiting else 0
    return [
        ("TopicName", topic.name), ("MessageCount", count), ("MessageRetentionPeriod", RETENTION),
        *_common(topic),
    ]  # fmt: skip


def _common(resource: Resource) -> Iterator[Node]:
    """What both have; truth is written as MNS does."""
    for name, value in resource.settings.items():
        yield name, str(value) if isinstance(value, bool) else value
    yield "CreateTime", resource.created
    yield "LastModifyTime", resource.modified
