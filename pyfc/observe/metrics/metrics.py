"""The metrics of one server: counted as the journal tells of calls, written every 10 s in which something happened, and
read over any span. While nobody calls nothing runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pyfc.data.version import METRICS
from pyfc.errors import PyfcError
from pyfc.model.function import Function
from pyfc.observe.journal import Record
from pyfc.observe.metrics.counting import Counting
from pyfc.observe.metrics.gauges import Gauges
from pyfc.observe.metrics.point import Point, Series
from pyfc.observe.metrics.store import STEP, STEPS, Counted, Found, Store, Wanted
from pyfc.observe.metrics.totals import Totals
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)


class Metrics:
    """A journal's listener (`listen`). Making one raises InvalidArgument for a file that is none of ours."""

    def __init__(self, folder: Path, gather: Callable[[], None] = lambda: None, *, is_kept: bool = True) -> None:
        """`folder`: the data folder. `gather` has `listen` be told at once of what has happened up to now."""
        self._gather = gather
        self.is_kept = is_kept
        """Whether anything is counted."""
        self._store = Store(folder / METRICS)
        self._counting = Counting()
        self._unwritten: dict[Series, Point] = {}
        """What could not be written."""
        self.totals = Totals()
        """What has been counted since the server's start and was looked at, or is over 10 s old."""
        self._time = 0
        """When the 10 s began that are counted."""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        self._is_failing = False
        self.gauges = Gauges(self._seen, self._tasks)

    def listen(self, batch: list[Record]) -> None:
        """See Journal. A batch is of 4 ms: it belongs to the 10 s in which it ends."""
        self._begin(int(batch[-1].time))
        self._counting.listen(batch)
        self._wait_for_end()
        self.gauges.wake()

    def reserved(self, function: Function, count: int, seconds: float) -> None:
        """So many instances of a function were reserved for so long, up to now."""
        if self.is_kept:
            self._begin(int(time.time()))
            self._counting.reserved(function, count, seconds)
            self._wait_for_end()

    def note(self, series: Series, values: Mapping[str, int]) -> None:
        """Something that is no call has happened now, or is so now: see the fields of a point."""
        if self.is_kept:
            self._seen(series, values)
            self.gauges.wake()

    def _seen(self, series: Series, values: Mapping[str, int]) -> None:
        self._begin(int(time.time()))
        self._counting.note(series, values)
        self._wait_for_end()

    def _begin(self, now: int) -> None:
        """What is counted next belongs to the 10 s that `now` is in."""
        if now - now % STEP != self._time:
            self._end()
            self._time = now - now % STEP

    def _wait_for_end(self) -> None:
        if self._timer is None and self._counting:
            self._wait(self._time + STEP - time.time())

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        """The 10 s are over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        taken = self._take()
        if taken.points:
            self._tasks.begin("writing metrics", self._keep(taken))

    def _take(self) -> Counted:
        points, examples = self._counting.take()
        self.totals.add(points, examples)
        unwritten, self._unwritten = self._unwritten, {}
        return Counted(self._time, _together(points, unwritten))

    async def _keep(self, taken: Counted) -> None:
        try:
            await self._store.write(taken)
        except PyfcError as error:
            self._unwritten = _together(self._unwritten, taken.points)
            if not self._is_failing:
                _log.error("metrics cannot be written, so they are kept in memory: %s", error)
            self._is_failing = True
            if self._timer is None:
                self._wait(STEP)
        else:
            self._is_failing = False

    async def read(self, wanted: Wanted) -> list[Found]:
        """Points, in order of time, with what has happened up to now. Raises Unavailable."""
        await self.settle()
        return await self._store.read(wanted)

    async def settle(self) -> None:
        """Write what has happened up to now, and wait for that: then it is in the totals too."""
        self._gather()
        if self.is_kept:
            await self.gauges.look()
        while len(self._tasks):
            await asyncio.wait(set(self._tasks))
        taken = self._take()
        if taken.points:
            await self._keep(taken)

    async def close(self) -> None:
        """Write what is counted, and close the file."""
        self.gauges.close()
        await self.settle()
        if self._timer is not None:
            self._timer.cancel()
        await self._store.close()


def _together(points: dict[Series, Point], others: dict[Series, Point]) -> dict[Series, Point]:
    """The points of both; those of the first are changed."""
    for series, point in others.items():
        points.setdefault(series, Point()).merge(point)
    return points


def step_of(start: float, now: float) -> int:
    """The smallest step of which points are still kept that began at `start`."""
    return next((step for step, kept in STEPS.items() if now - start < kept), max(STEPS))


def summed(found: Iterable[Found]) -> dict[Series, Point]:
    """By series, all their points in one."""
    sums: dict[Series, Point] = {}
    for each in found:
        sums.setdefault(each.series, Point()).merge(each.point)
    return sums
