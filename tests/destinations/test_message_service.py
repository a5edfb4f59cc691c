"""Messages for destinations reach the message service of this server only where that has the queue or topic."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pyfc.cloud.mns.inbox import LocalInbox
from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.store import Store
from pyfc.cloud.mns.topics import Topics
from pyfc.destinations.mns import MessageService, named
from pyfc.destinations.webhook import Webhook
from pyfc.errors import Unavailable


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("acs:mns:cn-hangzhou:1:/queues/q/messages", ("queues", "q")),
        ("acs:mns:::topics/t", ("topics", "t")),
        ("acs:mns:cn-hangzhou:1:/other/q/messages", ("", "")),
        ("acs:eventbridge:cn-hangzhou:1:/queues/q", ("", "")),
        ("acs:mns:/queues/q", ("", "")),
    ],
)
def test_queues_and_topics_are_named_by_arns(address: str, found: tuple[str, str]) -> None:
    assert named(address) == found


def test_a_queue_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "mns.sqlite")
        messages = Messages(store)
        topics = Topics(store, messages, "1")
        deliver = MessageService(LocalInbox(store, messages, topics), Webhook(""))
        address = "acs:mns:cn-hangzhou:1:/queues/q/messages"
        with pytest.raises(Unavailable, match="make the queue or topic, or set PYFC_DESTINATION_ENDPOINT"):
            await deliver(address, b"{}", 1, None)
        await store.have("queues", "q")
        await deliver(address, b"{}", 1, None)
        assert await messages.counts(store.resource("queues", "q")) == (1, 0, 0)
        await topics.close()
        await store.close()

    asyncio.run(scenario())
