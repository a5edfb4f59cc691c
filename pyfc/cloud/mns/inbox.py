"""The message service for who is in the same server: what destinations of calls are told arrives here."""

from __future__ import annotations

from pyfc.cloud.mns.faults import Fault
from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.model import Draft
from pyfc.cloud.mns.store import Store
from pyfc.cloud.mns.topics import Topics
from pyfc.errors import Unavailable
from pyfc.model.invocation import Trace


class LocalInbox:
    """See Inbox in destinations/mns.py. Bodies may be larger than those that clients send."""

    def __init__(self, store: Store, messages: Messages, topics: Topics) -> None:
        self._store = store
        self._messages = messages
        self._topics = topics

    async def take(self, kind: str, name: str, body: str, depth: int, trace: Trace | None) -> bool:
        """See Inbox. Raises Unavailable."""
        await self._topics.ready()
        try:
            if kind == "queues" and self._store.has("queues", name):
                await self._messages.send(self._store.resource("queues", name), [Draft(body, depth=depth)])
                return True
            if kind == "topics" and self._store.has("topics", name):
                await self._topics.publish(name, Draft(body), "", {}, depth, trace)
                return True
        except Fault as fault:
            raise Unavailable(message=f"{kind}/{name} has not taken a message: {fault.message}") from fault
        return False
