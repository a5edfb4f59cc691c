"""The operations on messages of queues."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from pyfc.cloud.markup import Node, children, name_of, texts
from pyfc.cloud.mns import properties
from pyfc.cloud.mns.asked import Answer, Asked, answer
from pyfc.cloud.mns.faults import Fault, no_message
from pyfc.cloud.mns.messages import Posted
from pyfc.cloud.mns.model import (
    LONGEST_DELAY,
    LONGEST_VISIBILITY,
    LOWEST_PRIORITY,
    USUAL_PRIORITY,
    Draft,
    Message,
    Resource,
    whole,
)  # fmt: skip
from pyfc.cloud.mns.notices import md5

_MOST = 16
"""Messages at once."""


async def send(asked: Asked) -> Answer:
    """SendMessage, BatchSendMessage: which of them the body says."""
    queue = asked.resource("queues")
    root = asked.element("Message", "Messages")
    is_batch = name_of(root) == "Messages"
    drafts = [_draft(asked, queue, each) for each in (children(root, "Message") if is_batch else [root])]
    if not 1 <= len(drafts) <= _MOST:
        raise Fault("InvalidArgument", f"A batch has 1 to {_MOST} messages, and this one {len(drafts)}.")
    check_size(queue, *(draft.body for draft in drafts))
    posted = await asked.environment.messages.send(queue, drafts)
    told = [_posted(*each) for each in zip(drafts, posted, strict=True)]
    return (
        answer("Messages", [("Message", each) for each in told], 201) if is_batch else answer("Message", told[0], 201)
    )


def check_size(resource: Resource, *bodies: str) -> None:
    """Raises Fault InvalidArgument for bodies that are too large together, or empty."""
    most = resource.settings["MaximumMessageSize"]
    if not all(bodies):
        raise Fault("InvalidArgument", "MessageBody must not be empty.")
    if sum(len(each.encode()) for each in bodies) > most:
        raise Fault("InvalidArgument", f"The value of MessageBody should between 1 and {most} bytes.")


def _draft(asked: Asked, queue: Resource, message: Element) -> Draft:
    found = texts(message, "MessageBody", "DelaySeconds", "Priority")
    delay = whole("DelaySeconds", found["DelaySeconds"], queue.settings["DelaySeconds"], 0, LONGEST_DELAY)
    priority = whole("Priority", found["Priority"], USUAL_PRIORITY, 1, LOWEST_PRIORITY)
    return Draft(found["MessageBody"], delay, priority, properties.read(message), asked.depth)


def _posted(draft: Draft, posted: Posted) -> list[Node]:
    handle: list[Node] = [("ReceiptHandle", posted.handle)] if posted.handle else []
    group = [each for each in properties.nodes(draft.properties) if each[0] == "MessageGroupId"]
    return [("MessageId", posted.id), ("MessageBodyMD5", md5(draft.body)), *handle, *group]


async def receive(asked: Asked) -> Answer:
    """ReceiveMessage, BatchReceiveMessage, PeekMessage, BatchPeekMessage: which of them the parameters say."""
    queue, messages = asked.resource("queues"), asked.environment.messages
    count = asked.number("numofmessages", 1, 1, _MOST)
    if asked.sent.query.get("peekonly", "").lower() == "true":
        found = await messages.peek(queue, count)
    else:
        wait = asked.number("waitseconds", queue.settings["PollingWaitSeconds"], 0, 30)
        found = await messages.receive(queue, count, wait, asked.gone)
    if not found:
        raise no_message()
    if "numofmessages" in asked.sent.query:
        return answer("Messages", [("Message", _received(each)) for each in found])
    return answer("Message", _received(found[0]))


def _received(message: Message) -> Iterator[Node]:
    yield "MessageId", message.id
    if message.handle:
        yield "ReceiptHandle", message.handle
    yield "MessageBody", message.body
    yield "MessageBodyMD5", md5(message.body)
    yield "EnqueueTime", _milliseconds(message.enqueued)
    if message.handle:
        yield "NextVisibleTime", _milliseconds(message.visible)
    yield "FirstDequeueTime", _milliseconds(message.first)
    yield "DequeueCount", message.receptions
    yield "Priority", message.priority
    yield from properties.nodes(message.properties)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


async def delete(asked: Asked) -> Answer:
    """DeleteMessage, BatchDeleteMessage: the latter has a body."""
    queue, messages = asked.resource("queues"), asked.environment.messages
    handle = asked.sent.query.get("receipthandle", "")
    if handle:
        for fault in (await messages.delete(queue, [handle])).values():
            raise fault
        return Answer(204)
    if not asked.sent.body.strip():
        raise Fault("MissingReceiptHandle", "ReceiptHandle is required.")
    handles = [each.text or "" for each in children(asked.element("ReceiptHandles"), "ReceiptHandle")]
    if not 1 <= len(handles) <= _MOST:
        raise Fault("InvalidArgument", f"A batch has 1 to {_MOST} receipt handles, and this one {len(handles)}.")
    wrong = await messages.delete(queue, handles)
    if not wrong:
        return Answer(204)
    errors = [
        ("Error", [("ErrorCode", fault.code), ("ErrorMessage", fault.message), ("ReceiptHandle", handle)])
        for handle, fault in wrong.items()
    ]  # fmt: skip
    return answer("Errors", errors, 404)


async def change_visibility(asked: Asked) -> Answer:
    """ChangeMessageVisibility."""
    queue, query = asked.resource("queues"), asked.sent.query
    for name, code in (("receipthandle", "MissingReceiptHandle"), ("visibilitytimeout", "MissingVisibilityTimeout")):
        if not query.get(name):
            raise Fault(code, f"{code.removeprefix('Missing')} is required.")
    seconds = asked.number("visibilitytimeout", 1, 1, LONGEST_VISIBILITY)
    handle, visible = await asked.environment.messages.change_visibility(queue, query["receipthandle"], seconds)
    return answer("ChangeVisibility", [("ReceiptHandle", handle), ("NextVisibleTime", _milliseconds(visible))])
