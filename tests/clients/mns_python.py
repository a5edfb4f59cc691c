"""The life of a queue with MNS's clients for Python, unmodified: ADDRESS KEY SECRET NAME. Raises for what is not as it
should be.
"""

from __future__ import annotations

import sys
import time

from mns.account import Account  # type: ignore[import-not-found]
from mns.mns_exception import MNSServerException  # type: ignore[import-not-found]
from mns.queue import Message, QueueMeta  # type: ignore[import-not-found]


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


def _text(body: bytes | str) -> str:
    return body.decode() if isinstance(body, bytes) else body


def main(address: str, key: str, secret: str, name: str) -> None:
    """Does all of it."""
    assert code_of(Account(address, key, "wrong").get_queue(name).create, QueueMeta()) == "SignatureDoesNotMatch"
    account = Account(address, key, secret)
    queues(account, name)
    messages(account, name)
    batches(account, name)
    account.get_queue(name).delete()
    assert code_of(account.get_queue(name).get_attributes) == "QueueNotExist"


if __name__ == "__main__":
    main(*sys.argv[1:])
