"""The life of a queue and of a topic with MNS's clients for Python, unmodified: ADDRESS KEY SECRET NAME. Raises for
what is not as it should be.
"""

from __future__ import annotations

import json
import sys
import time

from mns.account import Account  # type: ignore[import-not-found]
from mns.mns_exception import MNSServerException  # type: ignore[import-not-found]
from mns.queue import Message, QueueMeta  # type: ignore[import-not-found]
from mns.subscription import SubscriptionMeta  # type: ignore[import-not-found]
from mns.topic import TopicMessage, TopicMeta  # type: ignore[import-not-found]


def code_of(work: object, *arguments: object) -> str:
    """What error is answered."""
    try:
        work(*arguments)  # type: ignore[operator]
    except MNSServerException as error:
        return str(error.type)
    return ""


def queues(account: Account, name: str) -> None:
    """Made, described, changed, listed."""
    queue = account.get_queue(name)
    assert code_of(queue.get_attributes) == "QueueNotExist"
    assert code_of(queue.send_message, Message("lost")) == "QueueNotExist"
    meta = QueueMeta(vis_timeout=10, max_msg_size=65536, msg_ttl=345600)
    assert queue.create(meta).endswith(f"/queues/{name}")
    assert queue.create(meta).endswith(f"/queues/{name}")
    assert code_of(queue.create, QueueMeta(vis_timeout=11)) == "QueueAlreadyExist"
    assert code_of(queue.create, QueueMeta(vis_timeout=50000)) == "InvalidArgument"
    found = queue.get_attributes()
    assert (found.queue_name, found.visibility_timeout, found.maximum_message_size) == (name, 10, 65536)
    assert (found.active_messages, found.inactive_messages, found.delay_messages) == (0, 0, 0)
    assert abs(found.create_time - time.time()) < 100
    queue.set_attributes(QueueMeta(vis_timeout=20, max_msg_size=65536, msg_ttl=345600))
    found = queue.get_attributes()
    assert (found.visibility_timeout, found.message_retention_period) == (20, 345600)
    for number in range(3):
        account.get_queue(f"{name}-{number}").create(QueueMeta())
    urls, marker = account.list_queue(prefix=f"{name}-", ret_number=2)[:2]
    more, end = account.list_queue(prefix=f"{name}-", ret_number=2, marker=marker)[:2]
    assert [each.rpartition("/")[2] for each in [*urls, *more]] == [f"{name}-{number}" for number in range(3)]
    assert not end
    for number in range(3):
        account.get_queue(f"{name}-{number}").delete()


def messages(account: Account, name: str) -> None:
    """Sent, looked at, received, hidden, deleted."""
    queue = account.get_queue(name)
    assert code_of(queue.receive_message) == "MessageNotExist"
    text = "a message with <markup> & ü"
    sent = queue.send_message(Message(text))
    assert (len(sent.message_id), len(sent.message_body_md5)) == (32, 32)
    assert _text(queue.peek_message().message_body) == text
    got = queue.receive_message()
    assert (_text(got.message_body), got.message_id, got.dequeue_count, got.priority) == (text, sent.message_id, 1, 8)
    assert abs(got.next_visible_time - got.first_dequeue_time - 20_000) < 100
    assert code_of(queue.receive_message) == "MessageNotExist"
    assert queue.get_attributes().inactive_messages == 1
    changed = queue.change_message_visibility(got.receipt_handle, 1)
    assert code_of(queue.delete_message, got.receipt_handle) == "MessageNotExist"
    assert code_of(queue.delete_message, "no-handle") == "ReceiptHandleError"
    again = queue.receive_message(5)
    assert (again.message_id, again.dequeue_count) == (sent.message_id, 2)
    assert code_of(queue.delete_message, changed.receipt_handle) == "MessageNotExist"
    queue.delete_message(again.receipt_handle)
    assert code_of(queue.receive_message, 1) == "MessageNotExist"


def batches(account: Account, name: str) -> None:
    """By priority; some of them not deleted."""
    queue = account.get_queue(name)
    sent = queue.batch_send_message([Message(f"text {number}", priority=16 - number) for number in range(16)])
    assert len(sent) == 16
    assert [_text(each.message_body) for each in queue.batch_peek_message(2)] == ["text 15", "text 14"]
    got = queue.batch_receive_message(16)
    assert [_text(each.message_body) for each in got] == [f"text {number}" for number in range(15, -1, -1)]
    handles = [each.receipt_handle for each in got]
    queue.batch_delete_message(handles[:15])
    assert code_of(queue.batch_delete_message, handles[14:]) == "MessageNotExist"
    assert queue.get_attributes().inactive_messages == 0
    queue.send_message(Message("later", delay_seconds=1))
    assert queue.get_attributes().delay_messages == 1
    assert code_of(queue.receive_message) == "MessageNotExist"
    assert _text(queue.receive_message(5).message_body) == "later"


def topics(account: Account, name: str) -> None:
    """A message reaches the queues that have subscribed to its tag, in their formats."""
    topic, queue = account.get_topic(name), account.get_queue(name)
    assert code_of(topic.get_attributes) == "TopicNotExist"
    assert topic.create(TopicMeta(maximum_message_size=2048)).endswith(f"/topics/{name}")
    topic.set_attributes(TopicMeta(maximum_message_size=4096))
    found = topic.get_attributes()
    assert (found.topic_name, found.maximum_message_size, found.message_count) == (name, 4096, 0)
    assert [each.rpartition("/")[2] for each in account.list_topic(prefix=name)[0]] == [name]
    endpoint = f"acs:mns:cn-hangzhou:1234567890123456:queues/{name}"
    meta = SubscriptionMeta(endpoint, "BACKOFF_RETRY", "SIMPLIFIED", "wanted")
    plain = account.get_subscription(name, "plain")
    assert plain.subscribe(meta).endswith(f"/topics/{name}/subscriptions/plain")
    account.get_subscription(name, "framed").subscribe(SubscriptionMeta(endpoint, notify_content_format="JSON"))
    wrong = SubscriptionMeta("ftp://host")
    assert code_of(account.get_subscription(name, "wrong").subscribe, wrong) == "EndpointInvalid"
    plain.set_attributes(SubscriptionMeta(notify_strategy="EXPONENTIAL_DECAY_RETRY"))
    got = plain.get_attributes()
    assert (got.endpoint, got.notify_strategy) == (endpoint, "EXPONENTIAL_DECAY_RETRY")
    assert (got.notify_content_format, got.topic_name) == ("SIMPLIFIED", name)
    assert [each.rpartition("/")[2] for each in topic.list_subscription()[0]] == ["framed", "plain"]
    assert len(topic.publish_message(TopicMessage("hello", "wanted")).message_id) == 32
    topic.publish_message(TopicMessage("other"))
    queue.set_encoding(False)
    bodies = [_text(queue.receive_message(5).message_body) for _ in range(3)]
    assert "hello" in bodies
    framed = [json.loads(each) for each in bodies if each.startswith("{")]
    assert sorted(each["Message"] for each in framed) == ["hello", "other"]
    assert {each["SubscriptionName"] for each in framed} == {"framed"}
    assert code_of(queue.receive_message) == "MessageNotExist"
    plain.unsubscribe()
    assert code_of(plain.get_attributes) == "SubscriptionNotExist"
    topic.delete()


def _text(body: bytes | str) -> str:
    return body.decode() if isinstance(body, bytes) else body


def main(address: str, key: str, secret: str, name: str) -> None:
    """Does all of it."""
    assert code_of(Account(address, key, "wrong").get_queue(name).create, QueueMeta()) == "SignatureDoesNotMatch"
    account = Account(address, key, secret)
    queues(account, name)
    messages(account, name)
    batches(account, name)
    topics(account, name)
    account.get_queue(name).delete()
    assert code_of(account.get_queue(name).get_attributes) == "QueueNotExist"


if __name__ == "__main__":
    main(*sys.argv[1:])
