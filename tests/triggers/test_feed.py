"""What happens in buckets is told on the bus, each change once, over restarts too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pyfc.errors import Unavailable
from pyfc.model.bucket import PUT, Happened
from pyfc.triggers.feed import BucketFeed

CHANGE = Happened("photos", "in/a b.png", PUT, 1_790_000_000.5, 5, 5, "ETAG", "image/png", "R1", "127.0.0.1", 3)


class Buckets:
    """Changes, and what a feed tells of them."""

    def __init__(self) -> None:
        self.last = 100
        self.passed = asyncio.Event()
        self.followed: int | None = None
        self.kept: list[tuple[int, Happened]] = []
        self.told: list[tuple[dict[str, Any], int, str]] = []
        self.fails = False
        self.feed = BucketFeed(self, self.tell, "42", "cn-shanghai")

    def happen(self) -> int:
        self.last += 1
        if self.followed is not None:
            self.kept.append((self.last, CHANGE))
            self.passed.set()
        return self.last

    def follow(self, cursor: int | None) -> None:
        self.followed = cursor

    async def rows(self, after: int, limit: int) -> list[tuple[int, Happened]]:
        return [each for each in self.kept if each[0] > after][:limit]

    async def tell(self, event: dict[str, Any], depth: int, mark: str) -> None:
        if self.fails:
            raise Unavailable(message="the queue is full")
        self.told.append((event, depth, mark))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    @property
    def marks(self) -> list[str]:
        return [mark for _, _, mark in self.told]


def _run(scenario: Callable[[Buckets], Awaitable[None]]) -> None:
    async def whole() -> None:
        buckets = Buckets()
        task = asyncio.create_task(buckets.feed.run())
        try:
            await scenario(buckets)
        finally:
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(whole())


def test_a_change_is_told_as_eventbridge_tells_it() -> None:
    async def scenario(buckets: Buckets) -> None:
        assert buckets.feed.use([], is_wanted=True) == "oss 100"
        number = buckets.happen()
        await buckets.until(lambda: buckets.told)
        [(event, depth, mark)] = buckets.told

        assert (depth, mark, buckets.followed) == (3, f"oss {number}", number)
        assert event.pop("id")
        data = event.pop("data")
        assert event == {
            "source": "acs.oss", "specversion": "1.0", "type": "oss:ObjectCreated:PutObject",
            "datacontenttype": "application/json;charset=utf-8",
            "subject": "acs:oss:cn-shanghai:42:photos/in/a b.png", "time": "2026-09-21T14:13:20.500Z",
        }  # fmt: skip
        assert (data["eventName"], data["oss"]["object"]["key"]) == ("ObjectCreated:PutObject", "in/a b.png")

    _run(scenario)


def test_what_could_not_be_told_is_told_later_and_nothing_twice() -> None:
    async def scenario(buckets: Buckets) -> None:
        buckets.feed.use([], is_wanted=True)
        buckets.fails = True
        buckets.happen()
        await buckets.until(lambda: buckets.feed.error)
        buckets.happen()
        buckets.fails = False
        await buckets.until(lambda: len(buckets.told) == 2)
        assert buckets.marks == ["oss 101", "oss 102"]
        await buckets.until(lambda: not buckets.feed.error)

    _run(scenario)


def test_after_a_restart_it_goes_on_after_the_highest_mark() -> None:
    async def scenario(buckets: Buckets) -> None:
        buckets.kept = [(number, CHANGE) for number in range(90, 101)]
        buckets.feed.use(["oss 97", "oss 95", "", "97 [1]"], is_wanted=True)
        await buckets.until(lambda: len(buckets.told) == 3)
        assert buckets.marks == ["oss 98", "oss 99", "oss 100"]

    _run(scenario)


def test_changes_are_kept_for_triggers_that_are_not_there_yet_and_not_told_before() -> None:
    async def scenario(buckets: Buckets) -> None:
        buckets.feed.use(["oss 100"], is_wanted=False)
        number = buckets.happen()
        await asyncio.sleep(0)
        assert (buckets.followed, buckets.told) == (100, [])
        buckets.feed.use(["oss 100"], is_wanted=True)
        await buckets.until(lambda: buckets.told)
        assert buckets.marks == [f"oss {number}"]
        buckets.feed.use([], is_wanted=False)
        assert buckets.followed is None

    _run(scenario)
