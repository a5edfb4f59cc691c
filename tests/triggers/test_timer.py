"""Timers fire at their times, each instant at most once, whatever becomes of the clock and the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from pyfc.errors import InvalidArgument, Unavailable
from pyfc.model.trigger import Trigger
from pyfc.triggers.interface import Firing, Key
from pyfc.triggers.timer import Timer, check

KEY = Key("demo", "tick", "t")


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _trigger(expression: str = "0 * * * * *", **config: object) -> Trigger:
    values = {"cronExpression": expression, **config}
    return Trigger(service="demo", function="tick", name="t", type="timer", config=values)


class Bench:
    """A timer with a clock of its own, and what it has told."""

    def __init__(self, moment: str, misfire: float = 60.0) -> None:
        self.now = _at(moment)
        self.told: list[Firing] = []
        self.failing = 0
        self.timer = Timer(self._emit, misfire, lambda: self.now)
        self.trigger = _trigger()

    async def _emit(self, *firings: Firing) -> None:
        if self.failing:
            self.failing -= 1
            raise Unavailable(message="the disk is full")
        self.told += firings

    async def come(self, moment: str) -> list[str]:
        """The clock says something else now: the instants that have fired since."""
        before = len(self.told)
        self.now = _at(moment)
        self.timer.use({KEY: self.trigger}, {})
        for _ in range(20):
            await asyncio.sleep(0)
        return [json.loads(each.payload)["triggerTime"][11:19] for each in self.told[before:]]

    def run(self, work: Callable[[Bench], Awaitable[None]], mark: str = "") -> None:
        async def whole() -> None:
            self.timer = Timer(self._emit, self.timer._misfire, lambda: self.now)
            self.timer.use({KEY: self.trigger}, {KEY: mark} if mark else {})
            running = asyncio.create_task(self.timer.run())
            try:
                await work(self)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        asyncio.run(whole())


def test_each_time_fires_once_with_the_time_that_was_planned() -> None:
    async def work(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:00:59.9Z") == []
        assert await bench.come("2026-11-27T10:01:00.2Z") == ["10:01:00"]
        assert await bench.come("2026-11-27T10:01:30Z") == []
        assert await bench.come("2026-11-27T10:02:01Z") == ["10:02:00"]
        event = json.loads(bench.told[0].payload)
        assert event == {"triggerTime": "2026-11-27T10:01:00Z", "triggerName": "t", "payload": "hello"}
        assert bench.told[0].identity != bench.told[1].identity

    bench = Bench("2026-11-27T10:00:30Z")
    bench.trigger = _trigger(payload="hello")
    bench.run(work)


def test_it_fires_by_itself_when_its_time_has_come() -> None:
    async def whole() -> None:
        fired = asyncio.Event()

        async def emit(*_: Firing) -> None:
            fired.set()

        timer = Timer(emit, 60.0)
        timer.use({KEY: _trigger("* * * * * *")}, {})
        running = asyncio.create_task(timer.run())
        await asyncio.wait_for(fired.wait(), 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(whole())


def test_a_clock_that_is_set_back_makes_nothing_fire_again() -> None:
    async def work(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:01:00Z") == ["10:01:00"]
        assert await bench.come("2026-11-27T09:00:30Z") == []
        assert await bench.come("2026-11-27T10:01:30Z") == []
        assert await bench.come("2026-11-27T10:02:00Z") == ["10:02:00"]

    Bench("2026-11-27T10:00:30Z").run(work)


def test_of_what_a_sleep_has_missed_the_last_fires_if_it_is_young() -> None:
    async def work(bench: Bench) -> None:
        assert await bench.come("2026-11-27T12:00:30Z") == ["12:00:00"]
        assert await bench.come("2026-11-27T12:01:00Z") == ["12:01:00"]

    Bench("2026-11-27T10:00:30Z").run(work)


def test_what_was_missed_for_too_long_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async def work(bench: Bench) -> None:
        assert await bench.come("2026-11-27T13:00:00Z") == []
        assert await bench.come("2026-11-28T08:00:00Z") == ["08:00:00"]

    bench = Bench("2026-11-27T07:00:00Z")
    bench.trigger = _trigger("0 0 8 * * *")
    bench.run(work)
    assert "was missed" in caplog.text


def test_every_counts_from_when_a_timer_was_made_whenever_the_server_starts() -> None:
    kept: list[str] = []

    async def fires(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:59:59Z") == []
        assert await bench.come("2026-11-27T11:00:00Z") == ["11:00:00"]

    bench = Bench("2026-11-27T10:00:00Z")
    bench.trigger = _trigger("@every 1h")
    kept += bench.timer.use({KEY: bench.trigger}, {}).values()
    bench.now = _at("2026-11-27T10:40:00Z")
    again = Timer(bench._emit, 60.0, lambda: bench.now)
    assert again.use({KEY: bench.trigger}, {KEY: kept[0]}) == {}
    assert again.state(KEY).next == _at("2026-11-27T11:00:00Z")
    bench.run(fires, kept[0])


def test_a_server_that_starts_again_goes_on_where_it_was() -> None:
    marks: list[str] = []

    async def first(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:01:00Z") == ["10:01:00"]
        marks.append(bench.told[-1].mark)

    async def second(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:01:20Z") == []
        assert await bench.come("2026-11-27T10:02:00Z") == ["10:02:00"]

    async def later(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:05:10Z") == ["10:05:00"]

    bench = Bench("2026-11-27T10:00:30Z")
    bench.run(first)
    bench.now = _at("2026-11-27T10:01:10Z")
    bench.run(second, marks[0])
    bench.now = _at("2026-11-27T10:05:10Z")
    bench.run(later, marks[0])


def test_every_keeps_its_phase_over_a_new_start_and_begins_again_when_it_is_changed() -> None:
    marks: list[str] = []

    async def first(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:05:33Z") == ["10:05:33"]
        marks.append(bench.told[-1].mark)

    async def second(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:10:32Z") == []
        assert await bench.come("2026-11-27T10:10:33Z") == ["10:10:33"]
        bench.trigger = _trigger("@every 2m")
        assert await bench.come("2026-11-27T10:11:00Z") == []
        assert await bench.come("2026-11-27T10:12:59Z") == []
        assert await bench.come("2026-11-27T10:13:00Z") == ["10:13:00"]

    bench = Bench("2026-11-27T10:00:33Z")
    bench.trigger = _trigger("@every 5m")
    bench.run(first)
    bench.now = _at("2026-11-27T10:08:00Z")
    bench.run(second, marks[0])


def test_a_call_that_can_not_be_promised_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfc.triggers.timer.back_off", lambda _: 0)

    async def work(bench: Bench) -> None:
        bench.failing = 3
        assert await bench.come("2026-11-27T10:01:00Z") == ["10:01:00"]
        assert bench.timer.state(KEY).error == ""
        bench.failing = 10**6
        bench.now = _at("2026-11-27T10:02:00Z")
        assert await bench.come("2026-11-27T10:02:00Z") == []
        assert "the disk is full" in bench.timer.state(KEY).error
        bench.timer.use({}, {})

    Bench("2026-11-27T10:00:30Z").run(work)


@pytest.mark.parametrize("off", [False, "false", "False"])
def test_one_that_is_switched_off_does_not_fire(off: object) -> None:
    async def work(bench: Bench) -> None:
        assert await bench.come("2026-11-27T10:01:00Z") == []
        assert bench.timer.state(KEY).is_enabled is False
        bench.trigger = _trigger(Enable=True)
        assert await bench.come("2026-11-27T10:05:30Z") == []
        assert await bench.come("2026-11-27T10:06:00Z") == ["10:06:00"]

    bench = Bench("2026-11-27T10:00:30Z")
    bench.trigger = _trigger(Enable=off)
    bench.run(work)


def test_the_next_times_are_told() -> None:
    async def work(bench: Bench) -> None:
        assert [time - bench.now for time in bench.timer.upcoming(KEY, 3)] == [30, 90, 150]
        assert bench.timer.state(KEY).next == bench.now + 30

    Bench("2026-11-27T10:00:30Z").run(work)


def test_a_configuration_that_is_none_names_its_property_and_keeps_nobody_else_from_firing() -> None:
    with pytest.raises(InvalidArgument, match=r"triggerConfig\.cronExpression is '5 \* \*'.*six"):
        check({"CRONEXPRESSION": "5 * *"})
    assert check({"CronExpression": "@every 5m"}) == "@every 5m"

    async def work(bench: Bench) -> None:
        other = Key("demo", "tick", "other")
        bench.timer.use({KEY: _trigger("nonsense"), other: _trigger()}, {})
        assert "nonsense" in bench.timer.state(KEY).error
        assert bench.timer.state(other).next == bench.now + 30

    Bench("2026-11-27T10:00:30Z").run(work)
