"""Store in a dict: for a server whose folder is its only truth, and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from pyfc.errors import Conflict
from pyfc.stores.interface import Change, Entry


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


class MemoryStore:
    """See interface.Store."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        self._watches: list[_Watch] = []

    async def get(self, key: str) -> Entry | None:
        """See Store."""
        return self._entries.get(key)

    async def put(self, key: str, value: bytes, *, expect: int | None = None) -> int:
        """See Store."""
        self._check(key, expect)
        self._revision += 1
        self._entries[key] = Entry(key, value, self._revision)
        self._tell(Change(key, value, self._revision))
        return self._revision

    async def delete(self, key: str, *, expect: int | None = None) -> int:
        """See Store."""
        self._check(key, expect)
        if self._entries.pop(key, None) is None:
            return 0
        self._revision += 1
        self._tell(Change(key, None, self._revision))
        return self._revision

    async def list(self, prefix: str, *, after: str = "", limit: int = 100) -> Sequence[Entry]:
        """See Store."""
        keys = sorted(key for key in self._entries if key.startswith(prefix) and key > after)
        return [self._entries[key] for key in keys[:limit]]

    def watch(self, prefix: str) -> AsyncIterator[Sequence[Change]]:
        """See Store."""
        watch = _Watch(prefix)
        self._watches.append(watch)
        return watch.batches()

    async def close(self) -> None:
        """See Store."""
        for watch in self._watches:
            watch.queue.put_nowait(None)

    def _check(self, key: str, expect: int | None) -> None:
        entry = self._entries.get(key)
        if expect is not None and expect != (entry.revision if entry else 0):
            raise Conflict(message=f"'{key}' was changed by somebody else: read it again")

    def _tell(self, change: Change) -> None:
        for watch in self._watches:
            if change.key.startswith(watch.prefix):
                watch.queue.put_nowait(change)
