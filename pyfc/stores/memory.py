"""Store in a dict: for what need not outlive the server, and for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from pyfc.errors import Conflict
from pyfc.stores.interface import NOTHING, Change, Entry
from pyfc.stores.watching import Watches


class MemoryStore:
    """See interface.Store."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        self._watches = Watches()

    async def get(self, key: str) -> Entry | None:
        """See Store."""
        return self._entries.get(key)

    async def write(self, values: Mapping[str, bytes | None], expect: Mapping[str, int] = NOTHING) -> int:
        """See Store."""
        self._check(expect)
        known = {key: value for key, value in values.items() if value is not None or key in self._entries}
        if not known:
            return 0
        self._revision += 1
        for key, value in known.items():
            if value is not None:
                self._entries[key] = Entry(key, value, self._revision)
            else:
                del self._entries[key]
        self._watches.tell([Change(key, value, self._revision) for key, value in known.items()])
        return self._revision

    def _check(self, expect: Mapping[str, int]) -> None:
        for key, revision in expect.items():
            entry = self._entries.get(key)
            if revision != (entry.revision if entry else 0):
                raise Conflict(message=f"'{key}' was changed by somebody else: read it again")

    async def list(self, prefix: str, *, after: str = "", limit: int = 100) -> Sequence[Entry]:
        """See Store."""
        keys = sorted(key for key in self._entries if key.startswith(prefix) and key > after)
        return [self._entries[key] for key in keys[:limit]]

    def watch(self, prefix: str) -> AsyncIterator[Sequence[Change]]:
        """See Store."""
        return self._watches.add(prefix)

    async def close(self) -> None:
        """See Store."""
        self._watches.end()
