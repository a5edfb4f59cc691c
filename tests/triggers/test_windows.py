"""Windows push what has gathered when it is enough, or has waited long enough, and lose nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from pyfc.errors import Unavailable
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target
from pyfc.model.trigger import Trigger
from pyfc.triggers import windows
from pyfc.triggers.interface import Firing, Key
from pyfc.triggers.pacing import Pace
from pyfc.triggers.windows import Stream, Window, Windows

KEY = Key("demo", "hello", "bus")


def _trigger(**config: Any) -> Trigger:
    return Trigger(service="demo", function="hello", name="bus", type="eventbridge", config=config)


class Queue:
    """What is held, and what was pushed of it; windows that run on it."""

    def __init__(self) -> None:
        self.held: list[Event] = []
        self.pushed: list[list[Any]] = []
        self.identities: list[str] = []
        self.forgotten = 0
        self.fails = False
        self.open: dict[str, Status] = {}
        self.pace: tuple[int, bool] = (0, False)
        self.windows = Windows(self)

    def use(self, window: Window | None, trigger: Trigger | None = None) -> None:
        self.windows.use({KEY: Stream(trigger or _trigger(), window, *self.pace)}, {KEY})

    def put(self, *values: Any) -> None:
        for value in values:
            number = str(time.perf_counter_ns())
            payload = json.dumps(value).encode()
            self.held.append(Event(id=number, request_id=number, target=Target("", ""), payload=payload))
        self.windows.add(KEY, len(values))

    async def take(self, key: Key, limit: int) -> Sequence[Event]:
        assert limit > 0
        taken, self.held = self.held[:limit], self.held[limit:]
        return taken

    async def calls(self, key: Key) -> Mapping[str, Status]:
        return self.open

    async def release(self, events: Sequence[Event], firing: Firing | None) -> str:
        if self.fails:
            raise Unavailable(message="the disk is gone")
        if firing is None:
            self.forgotten += len(events)
        else:
            self.pushed.append(json.loads(firing.payload))
            self.identities.append(firing.identity)
        return f"call {len(self.pushed)}" if firing is not None else ""

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)


def _run(scenario: Callable[[Queue], Awaitable[None]]) -> None:
    async def whole() -> None:
        queue = Queue()
        task = asyncio.create_task(queue.windows.run())
        try:
            await scenario(queue)
        finally:
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(whole())


def test_enough_events_are_pushed_at_once_and_few_after_their_time() -> None:
    async def scenario(queue: Queue) -> None:
        queue.use(Window(3, 60.0))
        queue.put(1, 2)
        queue.put(3, 4)
        await queue.until(lambda: queue.pushed)
        assert queue.pushed == [[1, 2, 3]]

        queue.use(Window(3, 0.05))
        await queue.until(lambda: len(queue.pushed) == 2)
        assert queue.pushed[1] == [4]

    _run(scenario)


def test_what_was_held_before_the_start_is_pushed_in_as_many_calls_as_it_takes() -> None:
    async def scenario(queue: Queue) -> None:
        queue.put(*range(5))
        queue.use(Window(2, 0.01))
        await queue.until(lambda: len(queue.pushed) == 3)
        assert queue.pushed == [[0, 1], [2, 3], [4]]

    _run(scenario)


def test_no_more_comes_together_than_a_call_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(windows._MOST_BYTES, True, 20)

    async def scenario(queue: Queue) -> None:
        queue.put("x" * 100, "a" * 5, "b" * 5, "c" * 5)
        queue.use(Window(4, 0.01), _trigger(asyncInvocationType=True))
        await queue.until(lambda: sum(map(len, queue.pushed)) == 4)
        assert queue.pushed == [["x" * 100], ["a" * 5, "b" * 5], ["c" * 5]]

    _run(scenario)


def test_what_cannot_be_pushed_is_pushed_later_as_the_same_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_AGAIN", 0.01)

    async def scenario(queue: Queue) -> None:
        queue.fails = True
        queue.use(Window(2, 60.0))
        queue.put(1, 2)
        first = queue.held[0].id
        await queue.until(lambda: queue.windows.errors)
        assert queue.windows.errors[KEY] == "the disk is gone"
        queue.fails = False
        await queue.until(lambda: queue.pushed)
        assert (queue.pushed, queue.identities) == ([[1, 2]], [f"window/{first}"])
        await queue.until(lambda: not queue.windows.errors)

    _run(scenario)


def test_what_has_gathered_is_pushed_when_there_is_no_window_any_more_and_forgotten_with_its_trigger() -> None:
    async def scenario(queue: Queue) -> None:
        queue.use(Window(100, 60.0))
        queue.put(1)
        queue.use(None)
        await queue.until(lambda: queue.pushed)
        assert queue.pushed == [[1]]

        queue.use(Window(100, 60.0))
        queue.put(2)
        queue.windows.use({}, set())
        await queue.until(lambda: queue.forgotten)
        assert (queue.forgotten, queue.pushed) == (1, [[1]])

    _run(scenario)


def test_events_wait_while_something_is_wrong_with_their_trigger() -> None:
    async def scenario(queue: Queue) -> None:
        queue.use(Window(100, 0.02))
        queue.put(1)
        queue.windows.use({}, {KEY})
        gathering = queue.windows._gathering[KEY]
        await queue.until(lambda: gathering.due is None)
        assert queue.pushed == []
        queue.use(Window(100, 0.02))
        await queue.until(lambda: queue.pushed)
        assert (queue.pushed, queue.forgotten) == ([[1]], 0)

    _run(scenario)


def test_a_stream_has_as_many_calls_at_once_as_it_may_and_what_waits_comes_together() -> None:
    async def scenario(queue: Queue) -> None:
        queue.pace = (2, False)
        queue.open = {"before": Status.RUNNING, "dead": Status.FAILED}
        queue.use(Window(2, 0.0))
        queue.put(1)
        await queue.until(lambda: queue.pushed)
        queue.put(2, 3, 4)
        await queue.until(lambda: len(queue.held) < 3)
        await asyncio.sleep(0)
        assert queue.pushed == [[1]]

        queue.windows.heard(KEY, "call 1", Status.SUCCEEDED)
        await queue.until(lambda: len(queue.pushed) == 2)
        queue.windows.heard(KEY, "before", Status.FAILED)
        await queue.until(lambda: len(queue.pushed) == 3)
        assert queue.pushed == [[1], [2, 3], [4]]
        assert queue.windows.stopped_at(KEY) == ""

    _run(scenario)


@pytest.mark.parametrize("way", ["drop", "retry"])
def test_a_stream_that_stops_at_what_was_given_up_goes_on_when_that_is_dropped_or_succeeds(way: str) -> None:
    async def scenario(queue: Queue) -> None:
        queue.pace = (1, True)
        queue.use(Window(1, 0.0))
        queue.put(1)
        await queue.until(lambda: queue.pushed)
        queue.put(2)
        queue.windows.heard(KEY, "call 1", Status.EXPIRED)
        assert queue.windows.stopped_at(KEY) == "call 1"
        await queue.until(lambda: not queue.held)
        if way == "drop":
            queue.windows.heard(KEY, "call 1", None)
        else:
            queue.windows.heard(KEY, "call 1", Status.ENQUEUED)
            assert queue.windows.stopped_at(KEY) == ""
            await asyncio.sleep(0)
            assert queue.pushed == [[1]]
            queue.windows.heard(KEY, "call 1", Status.SUCCEEDED)
        await queue.until(lambda: len(queue.pushed) == 2)

    _run(scenario)


def test_what_is_heard_while_calls_are_asked_for_counts() -> None:
    async def scenario() -> None:
        asked, answered = asyncio.Event(), asyncio.Event()

        class Slow(Queue):
            async def calls(self, key: Key) -> Mapping[str, Status]:
                asked.set()
                await answered.wait()
                return {"1": Status.RUNNING, "2": Status.FAILED}

        pace = Pace(Slow())
        task = asyncio.create_task(pace.know(KEY))
        await asked.wait()
        pace.heard(KEY, "1", Status.SUCCEEDED)
        pace.heard(KEY, "3", Status.ENQUEUED)
        answered.set()
        await task
        assert (pace.under_way(KEY), pace.given_up(KEY)) == (1, "2")
        pace.keep(set())
        assert (pace.under_way(KEY), pace.given_up(KEY)) == (0, "")

    asyncio.run(scenario())
