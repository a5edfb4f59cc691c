"""Idle instances by a clock of the test's: frozen first, released later, as many as nobody reserves."""

from __future__ import annotations

import asyncio
from typing import Any

from pyfc.model.instance import State
from pyfc.supervisor.idleness import Idleness
from pyfc.supervisor.roster import Roster


class Instance:
    """One that does nothing but be frozen and stopped."""

    link = None
    died_of = ""

    def __init__(self, name: str, *, has_pre_freeze: bool = False) -> None:
        self.id = name
        self.has_pre_freeze = has_pre_freeze
        self.state = State.READY
        self.hook = asyncio.Event()

    @property
    def is_frozen(self) -> bool:
        return self.state is State.FROZEN

    async def pre_freeze(self) -> None:
        self.state = State.FREEZING
        await self.hook.wait()

    def freeze(self) -> None:
        self.state = State.FROZEN

    def thaw(self) -> None:
        self.state = State.READY

    def stop(self) -> None:
        self.state = State.STOPPING

    def kill(self) -> None:
        self.state = State.KILLED


class Pool:
    """Holds idle instances, of which `reserved` are to stay."""

    def __init__(self, instances: list[Instance], reserved: int = 0) -> None:
        self.roster = Roster(fills=False)
        self.waiting: list[str] = []
        self.draining = False
        self.served: list[str] = []
        self._reserved = reserved
        for since, each in enumerate(instances):
            self.roster.add(each)  # type: ignore[arg-type]
            self.roster.idle[each] = float(since)  # type: ignore[index]

    @property
    def has_spare(self) -> bool:
        return len(self.roster.idle) > self._reserved

    def evict(self) -> None:
        self.roster.take_longest_idle().stop()

    def serve_waiting(self, instance: Instance) -> None:
        self.served.append(instance.id)


def idleness_of(pool: Any) -> Idleness:
    return Idleness(pool, freeze_after=10.0, idle_timeout=100.0)


def states(instances: list[Instance]) -> list[State]:
    return [each.state for each in instances]


def test_an_instance_is_frozen_and_later_released_but_for_the_reserved_ones() -> None:
    async def scenario() -> None:
        instances = [Instance(str(number)) for number in range(3)]
        idleness = idleness_of(Pool(instances, reserved=1))

        idleness._look_now(9.0)
        assert states(instances) == [State.READY] * 3
        idleness._look_now(11.0)
        assert states(instances) == [State.FROZEN, State.FROZEN, State.READY]
        idleness._look_now(200.0)
        assert states(instances) == [State.STOPPING, State.STOPPING, State.FROZEN]

    asyncio.run(scenario())


def test_the_next_look_is_when_there_is_something_to_do() -> None:
    async def scenario() -> None:
        instances = [Instance(str(number)) for number in range(2)]
        idleness = idleness_of(Pool(instances))

        assert idleness._next(1.0) == 10.0
        idleness._look_now(20.0)
        assert idleness._next(20.0) == 100.0

    asyncio.run(scenario())


def test_an_instance_is_frozen_when_its_hook_has_run_and_stands_where_it_stood() -> None:
    async def scenario() -> None:
        first, second = Instance("first", has_pre_freeze=True), Instance("second")
        pool = Pool([first, second])
        idleness = idleness_of(pool)
        idleness._look_now(10.5)
        await asyncio.sleep(0)
        assert list(pool.roster.idle) == [second]
        assert idleness.freezing == 1

        first.hook.set()
        async with asyncio.timeout(5):
            while idleness.freezing:
                await asyncio.sleep(0)

        assert list(pool.roster.idle) == [first, second]
        assert first.is_frozen

    asyncio.run(scenario())


def test_an_instance_whose_hook_has_run_serves_who_waits_instead_of_being_frozen() -> None:
    async def scenario() -> None:
        first = Instance("first", has_pre_freeze=True)
        pool = Pool([first])
        idleness = idleness_of(pool)
        idleness._look_now(10.0)
        await asyncio.sleep(0)
        pool.waiting.append("a call")

        first.hook.set()
        async with asyncio.timeout(5):
            while idleness.freezing:
                await asyncio.sleep(0)

        assert pool.served == ["first"]
        assert first.state is State.READY

    asyncio.run(scenario())
