"""The operations on subscriptions, and publishing."""

from __future__ import annotations

from pyfc.cloud.markup import Node, texts
from pyfc.cloud.mns import administration, properties
from pyfc.cloud.mns.asked import Answer, Asked, answer, made
from pyfc.cloud.mns.faults import Fault
from pyfc.cloud.mns.model import Draft, check_name
from pyfc.cloud.mns.notices import FORMATS, XML, Subscription, md5
from pyfc.cloud.mns.pusher import BACKOFF, STRATEGIES
from pyfc.cloud.mns.queue_operations import check_size
from pyfc.cloud.mns.topics import queue_of
from pyfc.errors import NotReached

_LONGEST_TAG = 16
_GIVEN = ("Endpoint", "FilterTag", "NotifyStrategy", "NotifyContentFormat")


async def publish(asked: Asked) -> Answer:
    """PublishMessage."""
    topic, root = asked.resource("topics"), asked.element("Message")
    body, tag = texts(root, "MessageBody", "MessageTag").values()
    check_size(topic, body)
    _check_tag("MessageTag", tag)
    kept = properties.read(root)
    attributes, draft = properties.attributes(kept), Draft(body, properties=kept)
    name = await asked.environment.topics.publish(topic.name, draft, tag, attributes, asked.depth)
    group: list[Node] = [each for each in properties.nodes(kept) if each[0] == "MessageGroupId"]
    return answer("Message", [("MessageId", name), ("MessageBodyMD5", md5(body)), *group], 201)


def _check_tag(name: str, tag: str) -> None:
    if len(tag) > _LONGEST_TAG or not tag.isprintable():
        raise Fault("InvalidArgument", f"{name} has {_LONGEST_TAG} printable characters at most.")


async def subscribe(asked: Asked) -> Answer:
    """Subscribe, SetSubscriptionAttributes: which of them the parameters say."""
    topic, topics, name = asked.resource("topics"), asked.environment.topics, asked.names[1]
    check_name("Subscription", name)
    endpoint, tag, strategy, told = asked.fields("Subscription", *_GIVEN).values()
    now = int(asked.environment.store.now)
    if "metaoverride" in asked.sent.query:
        before = await topics.subscription(topic, name)
        changed = before._replace(strategy=strategy or before.strategy, tag=tag or before.tag, modified=now)
        _check(changed)
        await topics.change(topic, changed)
        return Answer(204)
    found = Subscription(topic.name, name, endpoint, tag, strategy or BACKOFF, told or XML, now, now)
    _check(found)
    if not queue_of(endpoint):
        _check_reach(asked, endpoint)
    is_new = await topics.subscribe(topic, found)
    return made(asked, f"/topics/{topic.name}/subscriptions/{name}", is_new=is_new)


def _check(found: Subscription) -> None:
    """Raises Fault InvalidArgument."""
    _check_tag("FilterTag", found.tag)
    for name, value, values in (
        ("NotifyStrategy", found.strategy, STRATEGIES), ("NotifyContentFormat", found.format, FORMATS),
    ):  # fmt: skip
        if value not in values:
            raise Fault("InvalidArgument", f"{name} is {value[:50]!r}: it must be one of {', '.join(values)}.")


def _check_reach(asked: Asked, endpoint: str) -> None:
    """Raises Fault EndpointInvalid, AccessDenied. MNS itself takes every address; what this server will never ask is
    told when it can still be changed.
    """
    try:
        asked.environment.outgoing.check(endpoint)
    except NotReached as error:
        message = f"The endpoint must be an HTTP address or acs:mns:REGION:ACCOUNT:queues/NAME: {error}"
        raise Fault("EndpointInvalid", message) from None
    if not asked.reaches_out:
        raise Fault("AccessDenied", "A function without internetAccess may have messages sent to queues only.")


async def unsubscribe(asked: Asked) -> Answer:
    """Unsubscribe."""
    await asked.environment.topics.unsubscribe(asked.resource("topics"), asked.names[1])
    return Answer(204)


async def get_subscription(asked: Asked) -> Answer:
    """GetSubscriptionAttributes."""
    found = await asked.environment.topics.subscription(asked.resource("topics"), asked.names[1])
    account = asked.environment.account
    tag: list[Node] = [("FilterTag", found.tag)] if found.tag else []
    return answer(
        "Subscription",
        [
            ("SubscriptionName", found.name), ("Subscriber", account), ("TopicOwner", account),
            ("TopicName", found.topic), ("Endpoint", found.endpoint), *tag, ("NotifyStrategy", found.strategy),
            ("NotifyContentFormat", found.format), ("CreateTime", found.created), ("LastModifyTime", found.modified),
        ],
    )  # fmt: skip


async def list_subscriptions(asked: Asked) -> Answer:
    """ListSubscriptionByTopic."""
    topic = asked.resource("topics")
    found = await asked.environment.topics.subscriptions(topic)
    shown, marker = administration.page(asked, found, lambda each: each.name)
    place = f"/topics/{topic.name}/subscriptions"
    listed: list[Node] = [
        ("Subscription", [("SubscriptionURL", asked.url(f"{place}/{each.name}"))]) for each in shown
    ]  # fmt: skip
    return answer("Subscriptions", [*listed, *marker])
