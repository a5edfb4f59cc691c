"""Logs that are too old go also when no more are put: a task sleeps until the first of them is, while any are kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.model import Logstore
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_DAY = 86400
_LATER = 60
"""Seconds by which it wakes late, so that there is enough to remove."""
_LONGEST = 86400.0
"""Seconds until it looks again at the latest: a clock may be set, and a logstore's days may change."""
_OLDEST_OF_EACH = """
SELECT l.number, (SELECT min(received) FROM groups WHERE logstore = l.number) FROM logstores l
"""


class Aged(Protocol):
    """What is kept."""

    logstores: dict[tuple[str, str], Logstore]

    async def read(self, query: str, values: tuple[Any, ...], pick: Any = None) -> list[tuple[Any, ...]]:
        """See Store."""

    async def trim(self) -> None:
        """See Store."""


class Aging:
    """The age of what one log service keeps."""

    def __init__(self, kept: Aged, most_days: int) -> None:
        self._kept = kept
        self._most_days = most_days
        self._tasks = Tasks()

    @property
    def is_watching(self) -> bool:
        """Whether it waits for something to be too old."""
        return bool(len(self._tasks))

    def watch(self) -> None:
        """Something may be kept: have it removed when it is too old."""
        if not self._tasks:
            self._tasks.begin("removing logs that are too old", self._watch())

    async def _watch(self) -> None:
        try:
            while (wait := await self._until_too_old()) is not None:
                await asyncio.sleep(wait)
                await self._kept.trim()
        except Fault as fault:
            _log.warning("logs that are too old cannot be removed until others are put: %s", fault)

    async def _until_too_old(self) -> float | None:
        """Seconds until something is; None if nothing is kept. Raises Fault ServerBusy."""
        oldest: Mapping[int, int | None] = dict(await self._kept.read(_OLDEST_OF_EACH, ()))
        ends = [
            received + min(each.days, self._most_days) * _DAY
            for each in self._kept.logstores.values()
            if (received := oldest.get(each.number)) is not None
        ]
        return min(max(min(ends) - time.time(), 0) + _LATER, _LONGEST) if ends else None

    async def close(self) -> None:
        """Wait for nothing more."""
        await self._tasks.close()
