"""What a source tells and what it remembers are one step, and a source that fails is run again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyfc.calls.table import Entry, Table
from pyfc.dispatch import sources
from pyfc.dispatch.attempts import DispatchContext
from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.sources import Sources
from pyfc.errors import Unavailable
from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Reply, Result, Ticket, Usage
from pyfc.model.names import Target
from pyfc.model.trigger import Trigger
from pyfc.observe.journal import Journal
from pyfc.queues.sqlite import SqliteQueue
from pyfc.settings import Settings
from pyfc.supervisor.line import SERVED
from pyfc.triggers.interface import Emit, Firing, Key, State
from support import DEADLINE

TARGET = Target("s", "f")
TRIGGER = Trigger(service="s", function="f", name="t", type="bell", config={})
KEY = Key.of(TRIGGER)
DONE = Result(None, b"", Usage(0.001, 1.0, cold=False, instance_id="i"))


class Done:
    """A route of which every call succeeds, when it may."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.held: list[Reply] | None = None

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        self.calls.append(call.body)
        if self.held is None:
            reply.result(DONE)
        else:
            self.held.append(reply)
        return SERVED


class Bell:
    """A source that fires when the test says so, and fails as often as it says."""

    type = "bell"

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self.runs = 0
        self.failures = 0
        self.was_stopped = False
        self.marks: Mapping[Key, str] = {}

    def use(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> Mapping[Key, str]:
        self.marks = dict(marks)
        return {}

    async def run(self) -> None:
        self.runs += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the bell is stuck")
        try:
            await asyncio.Event().wait()
        finally:
            self.was_stopped = True

    def state(self, key: Key) -> State:
        return State()

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        return [1.0, 2.0][:count]


class World:
    """What is served, on a queue that is there again the next time."""

    def __init__(self, folder: Path) -> None:
        self.route = Done()
        function = Function(service="s", name="f", runtime="python3", handler="index.handler")
        self.table = Table({}, {TARGET: Entry(function, cast("Any", self.route), (TRIGGER,))}, {}, {})
        self.queue = SqliteQueue(folder / "queue.sqlite")
        supervisor = SimpleNamespace(table=self.table, config=lambda *_: None)
        context = DispatchContext(Settings(), cast("Any", supervisor), Journal(), cast("Any", None))
        self.dispatcher = Dispatcher(self.queue, context)
        self.sources = Sources(self.dispatcher)
        self.bell = self.sources.add(Bell)

    async def marks(self) -> dict[str, Any]:
        found = await self.queue.marks("")
        return {name: text.split()[-1] for name, text in found.items()}


def play(folder: Path, scenario: Callable[[World], Awaitable[None]], failures: int = 0) -> None:
    async def whole() -> None:
        world = World(folder)
        world.bell.failures = failures
        try:
            await world.dispatcher.start()
            await world.sources.start(world.table)
            await scenario(world)
        finally:
            await world.sources.close()
            await world.dispatcher.close()
            await world.queue.close()

    asyncio.run(whole())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.002)


def ring(number: int) -> Firing:
    return Firing(TRIGGER, json.dumps(number).encode(), f"ring {number}", f"heard {number}")


def test_what_is_told_is_called_and_what_was_seen_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first(world: World) -> None:
        assert world.bell.marks == {}
        await world.bell.emit(ring(1), ring(2))
        assert await world.marks() == {"trigger/s/f/t": "2", "fired/s/f/t": "2"}
        await until(lambda: world.route.calls == [b"1", b"2"])

    async def then(world: World) -> None:
        assert world.bell.marks == {KEY: "heard 2"}
        (described,) = world.sources.describe()
        assert (described.past.count, described.past.last > 0, described.word) == (2, True, "ready")
        assert world.sources.upcoming(KEY, 5) == [1.0, 2.0]

    play(tmp_path, first)
    play(tmp_path, then)


def test_what_cannot_be_promised_is_neither_remembered_nor_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(world: World) -> None:
        def full(*_: object) -> asyncio.Future[bool]:
            raise Unavailable(message="the disk is full")

        with monkeypatch.context() as change:
            change.setattr(world.queue, "put", full)
            with pytest.raises(Unavailable):
                await world.bell.emit(ring(1))
        assert await world.marks() == {}
        assert [each.past.count for each in world.sources.describe()] == [0]
        await world.bell.emit(ring(1))
        assert await world.marks() == {"trigger/s/f/t": "1", "fired/s/f/t": "1"}

    play(tmp_path, scenario)


def test_what_is_told_twice_is_called_once_and_what_is_new_beside_it_too(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.route.held = []
        await world.bell.emit(ring(1))
        await world.bell.emit(ring(1))
        await world.bell.emit(ring(1), ring(2))
        await until(lambda: len(world.route.calls) == 2)
        assert world.route.calls == [b"1", b"2"]
        assert [each.past.count for each in world.sources.describe()] == [2]
        for reply in world.route.held:
            reply.result(DONE)

    play(tmp_path, scenario)


def test_a_source_that_fails_is_run_again_each_time_later_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    waited: list[int] = []

    def back_off(failures: int) -> float:
        waited.append(failures)
        return 0.001

    async def scenario(world: World) -> None:
        await until(lambda: world.bell.runs == 4)
        assert not world.bell.was_stopped
        await world.sources.close()
        assert world.bell.was_stopped

    monkeypatch.setattr(sources, "back_off", back_off)
    play(tmp_path, scenario, failures=3)
    assert waited == [1, 2, 3]
    told = [each.getMessage() for each in caplog.records]
    assert told == ["triggers of type bell do not fire; they will again after a while"] * 3


def test_of_triggers_that_are_gone_nothing_is_remembered(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.bell.emit(ring(1))
        (entry,) = world.table.entries.values()
        world.sources.use(world.table._replace(entries={TARGET: entry._replace(triggers=())}))
        async with asyncio.timeout(DEADLINE):
            while await world.marks():
                await asyncio.sleep(0.002)
        assert world.sources.describe() == []
        assert world.sources.upcoming(KEY, 5) == []

    play(tmp_path, scenario)
