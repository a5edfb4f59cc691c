"""What happens in buckets, told on the bus as EventBridge does: events of the source acs.oss.

All triggers of the bus are told of a change in one step, which remembers its number by each trigger that it is for. So
after the server's end it goes on after the highest of these: what came later was for none of them, or is not told yet.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from pyfc.errors import PyfcError
from pyfc.model.bucket import Happened
from pyfc.model.policy import back_off
from pyfc.triggers.oss import element_of

SOURCE = "acs.oss"
_BATCH = 100
_MARK = "oss "
_SPACE = uuid.UUID("c0ac3a3e-45a3-4b0e-9d2c-2f8c6a3d7a55")
"""Ids of events are made in it of the numbers of changes."""


class Following(Protocol):
    """What a store of buckets tells to who follows everything."""

    passed: asyncio.Event
    """Set when there may be more to read."""

    @property
    def last(self) -> int:
        """No number of what has been is higher."""

    def follow(self, cursor: int | None) -> None:
        """Keep everything from now on for who has read up to this number; None: for nobody."""

    async def rows(self, after: int, limit: int) -> Sequence[tuple[int, Happened]]:
        """The first `limit` changes with higher numbers, by number. Raises PyfcError."""


Tell = Callable[[dict[str, Any], int, str], Awaitable[object]]
"""Publishes an event: its depth, and what is remembered of the triggers that it is for."""


class BucketFeed:
    """The one of a server. `tell` raises PyfcError; then it is called again."""

    def __init__(self, changes: Following, tell: Tell, account: str, region: str) -> None:
        self._changes = changes
        self._tell = tell
        self._account = account
        self._region = region
        self._cursor: int | None = None
        """The number up to which all is told; None if nobody is to be told of anything."""
        self._is_wanted = False
        self.error = ""
        """Why nothing is told now."""

    def use(self, marks: Iterable[str], *, is_wanted: bool) -> str:
        """`is_wanted`: there are triggers that are for such events; else they are kept for those of `marks`, which may
        come back. What is to be remembered of a new trigger.
        """
        known = [int(each.removeprefix(_MARK)) for each in marks if _is_mark(each)]
        if not is_wanted and not known:
            self._cursor = None
        elif self._cursor is None:
            self._cursor = max(known, default=self._changes.last)
        self._is_wanted = is_wanted
        self._changes.follow(self._cursor)
        self._changes.passed.set()
        return f"{_MARK}{self._cursor or 0}"

    async def run(self) -> None:
        """Tell of everything in order, until it is cancelled."""
        failures = 0
        while True:
            self._changes.passed.clear()
            try:
                is_more = self._is_wanted and await self._tell_some()
            except PyfcError as error:
                failures, self.error = failures + 1, str(error)
                await asyncio.sleep(back_off(failures))
                continue
            failures, self.error = 0, ""
            if not is_more:
                await self._changes.passed.wait()

    async def _tell_some(self) -> bool:
        """Whether there may be more. Raises PyfcError."""
        rows = await self._changes.rows(self._cursor or 0, _BATCH)
        for number, happened in rows:
            if not self._is_wanted:
                return False
            await self._tell(self._event(number, happened), happened.depth, f"{_MARK}{number}")
            self._read(number)
        return bool(rows)

    def _read(self, number: int) -> None:
        if self._cursor is not None:
            self._cursor = number
            self._changes.follow(number)

    def _event(self, number: int, happened: Happened) -> dict[str, Any]:
        element = element_of(happened, self._account, self._region, "")
        return {
            "id": str(uuid.uuid5(_SPACE, f"{self._account}/{number}")),
            "source": SOURCE,
            "specversion": "1.0",
            "type": f"oss:{happened.event}",
            "datacontenttype": "application/json;charset=utf-8",
            "subject": f"{element['oss']['bucket']['arn']}/{happened.key}",
            "time": element["eventTime"],
            "data": element,
        }


def _is_mark(text: str) -> bool:
    return text.startswith(_MARK) and text.removeprefix(_MARK).isdecimal()
