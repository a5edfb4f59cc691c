"""The bucket of GetTempBucketToken: packages that are too large for a request. It is a bucket like others, but for
this: who was given a name may write it for an hour, by that alone, and what is in it is forgotten a day later.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable

from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.model import TEMPORARY, Cause, Place
from pyfc.cloud.oss.store import Store
from pyfc.model.bucket import DELETE

GOOD_FOR = 3600.0
"""Seconds from the time when a name is given out until it may not be written any more."""
_DAY = 86400.0
_ROWS = 1000


class Temporary:
    """The bucket of one server."""

    def __init__(self, store: Store, account: str, maximum_size: int, now: Callable[[], float] = time.time) -> None:
        """`maximum_size`: bytes of a package."""
        self._store = store
        self._account = account
        self._maximum_size = maximum_size
        self._now = now
        self._promised: dict[str, float] = {}

    async def new_name(self) -> str:
        """A name that nobody can guess; the bucket is there from the first one on."""
        await self.sweep()
        if TEMPORARY not in self._store.index.buckets:
            await self._store.create(TEMPORARY)
        now = time.monotonic()
        self._promised = {name: end for name, end in self._promised.items() if end > now}
        name = secrets.token_hex(16)
        self._promised[name] = now + GOOD_FOR
        return name

    @property
    def has_promised(self) -> bool:
        """Whether any name may be good."""
        return bool(self._promised)

    def is_promised(self, place: Place) -> bool:
        """Whether the key is a name that was made here: by itself, as `{account}/{name}`, or as
        `{account}/{service}/{name}`, since clients put those before it.
        """
        *above, name = place.key.split("/")
        is_below = not above or (above[0] == self._account and len(above) <= 2 and "" not in above)
        return place.bucket == TEMPORARY and is_below and self._promised.get(name, 0.0) > time.monotonic()

    async def limited(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """What comes. Raises Fault EntityTooLarge."""
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._maximum_size:
                raise Fault("EntityTooLarge", f"A package has at most {self._maximum_size} bytes.")
            yield chunk

    async def sweep(self) -> None:
        """Forget what is a day old."""
        if TEMPORARY not in self._store.index.buckets:
            return
        oldest = self._now() - _DAY
        for found in await self._store.index.objects(TEMPORARY, b"", b"", _ROWS):
            if found.modified < oldest:
                await self._store.delete(TEMPORARY, found.key, Cause(DELETE))
