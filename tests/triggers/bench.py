"""What tests of sources share: the triggers that are declared, what they have told, and what is remembered of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pyfc.errors import Unavailable
from pyfc.model.trigger import Trigger
from pyfc.triggers.interface import Firing, Key, Source
from support import DEADLINE


class TriggerBench:
    """Triggers and the queue that they fire into."""

    source: Source

    def __init__(self, marks: dict[Key, str] | None = None) -> None:
        self.told: list[Firing] = []
        self.failing: set[str] = set()
        """Names of triggers that cannot fire."""
        self.reason: Exception = Unavailable(message="the queue is full")
        """Why not."""
        self.marks = {} if marks is None else marks

    async def emit(self, *firings: Firing) -> None:
        await asyncio.sleep(0)
        if firings[0].trigger.name in self.failing:
            raise self.reason
        self.told += firings
        for each in firings:
            self.marks[Key.of(each.trigger)] = each.mark

    def use(self, *triggers: Trigger) -> None:
        self.marks |= self.source.use({Key.of(each): each for each in triggers}, self.marks)

    def error(self, name: str = "t") -> str:
        return self.source.state(Key("s", "f", name)).error

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While its triggers fire."""
        task = asyncio.create_task(self.source.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


async def fires_after_a_mistake(
    bench: TriggerBench, happen: Callable[[str], Awaitable[object]], fired: Callable[[], list[str]]
) -> None:
    """A trigger that cannot fire by a mistake of ours says so, and fires when that is over. `happen`: something to fire
    for, by a name that is among those for which it has `fired` then.
    """
    bench.failing.add("t")
    bench.reason = RuntimeError("a bug")
    await happen("a")
    await until(lambda: bench.error() == "a bug")
    bench.failing.clear()
    await until(lambda: fired() == ["a"])
    await until(lambda: not bench.error())
