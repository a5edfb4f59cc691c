"""Queues of the message service as triggers of EventBridge pull them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pyfc.cloud.mns.asked import Environment
from pyfc.cloud.mns.faults import Fault
from pyfc.errors import Unavailable
from pyfc.triggers.pulling import Pulled

_WAIT = 30.0
"""Seconds for which an empty queue is waited at."""


class Queues:
    """Those of one server. See pyfc.triggers.pulling."""

    def __init__(self, mns: Environment) -> None:
        self._mns = mns
        self._had: set[str] = set()

    async def have(self, queue: str) -> None:
        """See Queues of the triggers."""
        await self._mns.store.have("queues", queue)
        self._had.add(queue)

    def is_deleted(self, queue: str) -> bool:
        """See Queues of the triggers."""
        return queue in self._had and not self._mns.store.has("queues", queue)

    async def receive(self, queue: str, count: int) -> Sequence[Pulled]:
        """See Queues of the triggers."""
        try:
            resource = await self._mns.store.there("queues", queue)
            found = await self._mns.messages.receive(resource, count, _WAIT, asyncio.Event().wait)
        except Fault as fault:
            if fault.code == "QueueNotExist":  # it was deleted meanwhile
                return ()
            raise Unavailable(message=f"the queue {queue!r}: {fault}") from None
        return [Pulled(each.id, each.handle, each.body, each.enqueued, each.depth) for each in found]

    async def delete(self, queue: str, handles: Sequence[str]) -> None:
        """See Queues of the triggers."""
        try:
            await self._mns.messages.delete(self._mns.store.resource("queues", queue), handles)
        except Fault as fault:
            raise Unavailable(message=f"the queue {queue!r}: {fault}") from None
