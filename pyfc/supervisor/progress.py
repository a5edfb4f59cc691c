"""How far what is served has followed the registry, for those who wait for it."""

from __future__ import annotations

import asyncio

from pyfc.errors import HostRefused, Internal
from pyfc.registry.registry import Change


class Progress:
    """The newest revision that is served, and what of the changes up to it could not be."""

    def __init__(self) -> None:
        self._revision = -1
        self._refusal: HostRefused | None = None
        self._failed: dict[str, int] = {}
        """What is not served as it was declared: revisions by key."""
        self._moved = asyncio.Condition()

    async def refuse(self, error: HostRefused) -> None:
        """Nothing can be served on this host."""
        async with self._moved:
            self._refusal = error
            self._moved.notify_all()

    async def move(self, changes: list[Change], failed: set[str]) -> None:
        """These are served now, but for those with the keys that `failed`."""
        for change in changes:
            self._failed.pop(change.key, None)
        self._failed |= {change.key: change.revision for change in changes if change.key in failed}
        if changes or self._revision < 0:
            async with self._moved:
                self._revision = max(self._revision, 0, *(change.revision for change in changes))
                self._moved.notify_all()

    async def reached(self, revision: int) -> None:
        """Return when everything up to `revision` is served, or nothing will be."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._revision >= revision or self._refusal is not None)

    def check(self, revision: int) -> None:
        """Raises HostRefused if nothing can be served, Internal if what this very revision has changed cannot be."""
        if self._refusal is not None:
            raise self._refusal
        failed = [name for name, when in self._failed.items() if when == revision > 0]
        if failed:
            raise Internal(detail=f"{', '.join(failed)} can not be served as it was declared: see the server's log")
