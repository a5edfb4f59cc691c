"""Who follows the changes of a store in this process; the same for every engine that is of one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from pyfc.stores.interface import Change


class Watches:
    """The watches of one store."""

    def __init__(self) -> None:
        self._watches: list[_Watch] = []

    def add(self, prefix: str) -> AsyncIterator[Sequence[Change]]:
        """See Store.watch."""
        watch = _Watch(prefix)
        self._watches.append(watch)
        return watch.batches()

    def tell(self, changes: Iterable[Change]) -> None:
        """These were made."""
        for change in changes:
            for watch in self._watches:
                if change.key.startswith(watch.prefix):
                    watch.queue.put_nowait(change)

    def end(self) -> None:
        """There will be no more."""
        for watch in self._watches:
            watch.queue.put_nowait(None)


class _Watch:
    """One reader's unread changes; None ends it."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.queue: asyncio.Queue[Change | None] = asyncio.Queue()

    async def batches(self) -> AsyncIterator[Sequence[Change]]:
        ended = False
        while not ended:
            batch = [await self.queue.get()]
            while not self.queue.empty():
                batch.append(self.queue.get_nowait())
            changes = [change for change in batch if change is not None]
            ended = len(changes) < len(batch)
            if changes:
                yield changes
