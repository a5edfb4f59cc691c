"""The server's room for instances, and whose go first when it gets short."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyfc.supervisor import scaler
from pyfc.supervisor.interface import Tended


class Idle:
    """A pool with one idle instance."""

    def __init__(self, name: str, since: float, evicted: list[str], *, has_spare: bool = True) -> None:
        self.name, self.has_spare, self.waiting = name, has_spare, ()
        self.roster = SimpleNamespace(idle={self: since}, idle_since=since)
        self._evicted = evicted

    def evict(self) -> None:
        self.roster.idle.clear()
        self._evicted.append(self.name)

    @property
    def tended(self) -> Tended:
        return cast("Tended", self)


def test_idle_instances_are_given_up_while_memory_is_short_reserved_ones_last(monkeypatch: pytest.MonkeyPatch) -> None:
    evicted: list[str] = []

    async def relieve() -> None:
        monkeypatch.setattr(scaler, "is_memory_short", lambda: True)
        monkeypatch.setattr(scaler, "_INTERVAL", 0.001)
        room = scaler.Scaler(10)
        pools = [
            Idle("reserved", 1.0, evicted, has_spare=False),
            Idle("newest", 3.0, evicted),
            Idle("oldest", 2.0, evicted),
        ]
        for pool in pools:
            room.add(pool.tended)
        assert room.take(pools[0].tended)
        async with asyncio.timeout(10):
            while len(evicted) < 3:
                await asyncio.sleep(0.001)

    asyncio.run(relieve())

    assert evicted == ["oldest", "newest", "reserved"]


class Hungry:
    """A pool whose calls wait for room."""

    def __init__(self, room: scaler.Scaler, served: list[str], name: str) -> None:
        self.waiting = [name]
        self.roster: Any = SimpleNamespace(idle={})
        self._room, self._served, self._name = room, served, name

    def grow(self) -> None:
        if self._room.take(self.tended):
            self._served.append(self._name)

    @property
    def tended(self) -> Tended:
        return cast("Tended", self)


def test_who_waits_for_room_gets_it_in_the_order_of_asking() -> None:
    served: list[str] = []

    async def scenario() -> None:
        room = scaler.Scaler(1)
        pools = [Hungry(room, served, name) for name in ("first", "second", "third")]
        for pool in pools:
            pool.grow()
        assert served == ["first"]

        room.give_back()
        assert served == ["first", "second"]
        pools[0].grow()
        room.give_back()
        room.give_back()

    asyncio.run(scenario())
    assert served == ["first", "second", "third", "first"]


def test_an_idle_instance_of_another_function_makes_room_and_no_more_than_are_needed() -> None:
    evicted: list[str] = []

    async def scenario() -> None:
        room = scaler.Scaler(2)
        idle = [Idle("one", 1.0, evicted), Idle("two", 2.0, evicted)]
        for pool in idle:
            room.add(pool.tended)
            assert room.take(pool.tended)
        hungry = Hungry(room, [], "hungry")

        for _ in range(3):
            hungry.grow()

    asyncio.run(scenario())
    assert evicted == ["one"]
