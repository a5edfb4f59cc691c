"""Asynchronous calls keep going whatever fails around them, whatever is done to the clock, and nothing runs twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyfc.calls.table import Entry, Table
from pyfc.dispatch import lane, lanes, memory, persistence
from pyfc.dispatch.attempts import DispatchContext
from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.lane import Gate, Supply
from pyfc.dispatch.records import Records
from pyfc.errors import (
    AlreadyExists,
    FunctionNotFound,
    HostRefused,
    Internal,
    InvocationEnded,
    InvocationNotEnded,
    ResourceExhausted,
    Unavailable,
)
from pyfc.model import asynchronous
from pyfc.model.asynchronous import DEEPEST, LOOP, Event, Status
from pyfc.model.function import Function
from pyfc.model.invocation import Fault, FaultKind, Invocation, Reply, Result, Route, Ticket, Usage
from pyfc.model.names import Target
from pyfc.model.resources import ASYNC, Config
from pyfc.observe.journal import Journal
from pyfc.queues.interface import Outcome, Queue
from pyfc.queues.sqlite import SqliteQueue
from pyfc.settings import Settings
from pyfc.supervisor.line import SERVED, Waiter

ONE, OTHER = Target("s", "one"), Target("s", "other")
DONE = Result(None, b"done", Usage(0.001, 1.0, cold=False, instance_id="i"))
FAILED = DONE._replace(fault=Fault(FaultKind.UNHANDLED, "wanted"))
KILLED = DONE._replace(fault=Fault(FaultKind.EXITED, "killed"))
Answer = Callable[[Reply], None]


class Played:
    """A route that answers as it is told, and then with success."""

    def __init__(self) -> None:
        self.calls: list[Invocation] = []
        self.answers: list[Answer] = []
        self.waiters: list[Waiter] | None = None

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        if self.waiters is not None:
            self.waiters.append(Waiter(call, reply, 0.0, 60.0, "it is busy"))
            return self.waiters[-1]
        self.calls.append(call)
        answer = self.answers.pop(0) if self.answers else lambda reply: reply.result(DONE)
        answer(reply)
        return SERVED


class World:
    """A dispatcher with two functions that are played."""

    def __init__(self, queue: Queue, **settings: Any) -> None:
        self.queue = queue
        self.routes = {ONE: Played(), OTHER: Played()}
        self.configs: dict[Target, dict[str, Any]] = {}
        self.table = Table({}, {target: self.entry(target) for target in self.routes}, {}, {})
        supervisor = SimpleNamespace(table=self.table, config=self.config)
        self.supervisor = supervisor
        self.delivered: list[bytes] = []
        own = Settings(async_retry_delay=0.01, **settings)
        context = DispatchContext(own, cast("Any", supervisor), Journal(), self.deliver)
        self.dispatcher = Dispatcher(queue, context)
        self.records = Records(queue, self.dispatcher)

    def entry(self, target: Target, **changes: Any) -> Entry:
        function = Function(service="s", name=target.function, runtime="python3", handler="index.handler", **changes)
        return Entry(function, cast("Route", self.routes[target]), ())

    def config(self, target: Target, kind: str) -> Config | None:
        document = self.configs.get(target)
        if kind != ASYNC or document is None:
            return None
        return Config(service="s", function=target.function, qualifier="LATEST", kind=kind, document=document)

    def serve(self, target: Target, **changes: Any) -> None:
        """Serve another state of a function from now on."""
        entries = {**self.supervisor.table.entries, target: self.entry(target, **changes)}
        self.supervisor.table = self.table._replace(entries=entries)
        self.dispatcher.use(self.supervisor.table)

    async def deliver(self, address: str, message: bytes, *_: object) -> None:
        self.delivered.append(message)

    async def promise(self, name: str, target: Target = ONE, delay: float = 0.0, **fields: Any) -> Event:
        event = Event(id=name, request_id=name, target=target, payload=b"x", **fields)
        await self.dispatcher.submit(event, delay)
        self.dispatcher.arrived(event)
        return event

    def ran(self, target: Target = ONE) -> list[str]:
        return [call.request_id for call in self.routes[target].calls]

    async def record(self, name: str) -> Event:
        found = await self.records.find("", "", name)
        assert found is not None
        return found


async def until(condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout} s for {what}"
        await asyncio.sleep(0.002)


async def empty(world: World) -> None:
    """Return when nothing is left to be done."""

    async def look() -> bool:
        depth = await world.queue.depth()
        return depth.waiting == depth.delayed == 0

    end = time.monotonic() + 30.0
    while not await look():
        assert time.monotonic() < end
        await asyncio.sleep(0.002)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short."""
    monkeypatch.setattr(persistence, "back_off", lambda _: 0.005)
    for module in (lane, lanes):
        monkeypatch.setattr(module, "refusal_delay", lambda _: 0.005)
    monkeypatch.setattr(asynchronous, "retry_delay", lambda _attempts, _first: 0.01)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Plays a scenario with a world on a queue, which is there again the next time."""

    def run(
        scenario: Callable[[World], Awaitable[None]],
        wrap: Callable[[Queue], Any] = lambda queue: queue,
        **settings: Any,
    ) -> None:
        async def whole() -> None:
            queue = SqliteQueue(tmp_path / "queue.sqlite")
            world = World(wrap(queue), drain_timeout=0.05)
            try:
                await world.dispatcher.start()
                await scenario(world)
            finally:
                await world.dispatcher.close()
                await queue.close()

        asyncio.run(whole())

    return run


class Failing:
    """A queue of which one method fails a few times, before it is done or after."""

    def __init__(self, queue: Queue, method: str, error: BaseException, times: int, *, after: bool = False) -> None:
        self._queue, self._method, self._error, self.left, self._after = queue, method, error, times, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._queue, name)
        if name != self._method:
            return found

        async def fails(*given: Any) -> Any:
            result = await found(*given) if self._after or not self.left else None
            self._fail()
            return result

        def fails_now(*given: Any) -> Any:
            self._fail()
            return found(*given)

        return fails if asyncio.iscoroutinefunction(found) else fails_now

    def _fail(self) -> None:
        if self.left:
            self.left -= 1
            raise self._error


ERRORS = [
    Unavailable(message="the disk is full"),
    Internal(detail="a bug"),
    AlreadyExists(message="twice"),
    RuntimeError("a bug"),
    OSError(5, "Input/output error"),
    KeyError("number"),
    TimeoutError(),
    RecursionError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["take", "settle", "lanes", "next_due", "sweep", "claim"])
def test_whatever_a_step_of_the_queue_fails_by_no_lane_stands(
    play: Callable[..., None], method: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        world.routes[ONE].answers = [lambda reply: reply.result(FAILED)] * 2
        for number in range(3):
            await world.promise(f"n{number}")
        await world.promise("late", delay=0.02)
        await world.promise("other", OTHER)
        await empty(world)
        assert sorted(world.ran()) == ["late", "n0", "n0", "n1", "n1", "n2"]
        assert world.ran(OTHER) == ["other"]
        while cast("Any", world.queue).left == 3:  # which way an event takes is a matter of moments
            await world.promise(f"more{len(world.ran(OTHER))}", OTHER)
            await empty(world)

    play(scenario, lambda queue: Failing(queue, method, error, 3))

    assert str(error) in caplog.text


def test_an_outcome_that_was_written_although_that_failed_is_written_again(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.promise("a", is_stateful=True)
        await until(lambda: world.ran() == ["a"], "its run")
        await empty(world)
        assert (await world.record("a")).status is Status.SUCCEEDED
        assert world.ran() == ["a"]

    play(scenario, lambda queue: Failing(queue, "settle", OSError(), 2, after=True))


class Reluctant:
    """A queue of an engine that does not know at once what it holds: what was put must be asked for."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def claim(self, _: Event) -> bool:
        return False


def test_an_engine_that_gives_nothing_unasked_is_asked(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await asyncio.gather(*(world.promise(f"n{number}") for number in range(100)))
        await empty(world)
        await world.promise("last")
        await empty(world)
        assert world.ran().count("last") == 1
        assert len(world.ran()) == 101

    play(scenario, Reluctant)


class Forgetful:
    """A queue of an engine that loses a lease: what runs already is given to somebody once more."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self.again = queue, 3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def claim(self, _: Event) -> bool:
        return False

    async def take(self, *given: Any) -> list[Event]:
        events = await self._queue.take(*given)
        if events and self.again:
            self.again -= 1
            events.append(events[0].copy())
        return events


def test_an_event_whose_lease_is_lost_may_run_twice_and_ends_once(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        world.configs[ONE] = {"destinationConfig": {"onSuccess": {"destination": "acs:mns:::/queues/q"}}}
        for number in range(3):
            await world.promise(f"n{number}", is_stateful=True)
            await empty(world)
        assert sorted(set(world.ran())) == ["n0", "n1", "n2"]
        assert len(world.ran()) > 3
        assert [(await world.record(f"n{number}")).status for number in range(3)] == [Status.SUCCEEDED] * 3
        told = [json.loads(text)["requestContext"]["requestId"] for text in world.delivered]
        assert sorted(set(told)) == ["n0", "n1", "n2"]
        await world.promise("last", OTHER)
        await until(lambda: world.ran(OTHER) == ["last"], "another lane")
        await empty(world)
        await until(lambda: world.dispatcher._lanes._memory.held == 0, "word of the last end")

    play(scenario, Forgetful)


def test_an_outcome_that_can_never_be_written_holds_up_no_other(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        world.configs[ONE] = {"destinationConfig": {"onSuccess": {"destination": "acs:\ud800"}}}
        await asyncio.gather(*(world.promise(f"n{number}") for number in range(5)))
        await asyncio.gather(*(world.promise(f"o{number}", OTHER, is_stateful=True) for number in range(5)))
        for number in range(5):
            end = time.monotonic() + 10
            while (kept := await world.queue.get("", "", f"o{number}")) is None or not kept.status.is_final:
                assert time.monotonic() < end
                await asyncio.sleep(0.002)

    play(scenario)


def test_an_event_by_which_pyfc_fails_rests_and_the_others_go_on(
    play: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        world.configs[ONE] = {"maxAsyncRetryAttempts": "three"}
        await world.promise("broken")
        await until(lambda: "could not be dealt with" in caplog.text, "the log")
        await world.promise("other", OTHER)
        await until(lambda: world.ran(OTHER) == ["other"], "another lane")
        assert world.ran() == []
        del world.configs[ONE]
        await until(lambda: world.ran() == ["broken"], "its run")
        await empty(world)

    play(scenario)


def bug(_: Reply) -> None:
    raise RuntimeError("a bug of the pool")


@pytest.mark.parametrize(
    ("answers", "runs", "attempts", "status"),
    [
        ([], 1, 1, "Succeeded"),
        ([FAILED], 2, 2, "Succeeded"),
        ([FAILED] * 3, 3, 3, "Failed"),
        ([KILLED] * 3, 3, 3, "Failed"),
        ([ResourceExhausted(function="f", service="s", reason="full")] * 9, 10, 1, "Succeeded"),
        ([HostRefused(reason="no processes")] * 9, 10, 1, "Succeeded"),
        ([Unavailable(message="it was killed before it began")] * 9, 10, 1, "Succeeded"),
        ([Internal(detail="a bug")] * 9, 10, 1, "Succeeded"),
        ([bug] * 9, 10, 1, "Succeeded"),
        ([FunctionNotFound(function="f", service="s")], 1, 0, "Invalid"),
        ([FAILED, HostRefused(reason="no"), FAILED, bug, KILLED], 5, 3, "Failed"),
    ],
)
@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "later"])
def test_only_what_has_begun_uses_up_an_attempt(
    play: Callable[..., None], answers: list[Any], runs: int, attempts: int, status: str, is_at_once: bool
) -> None:
    def played(answer: Any) -> Answer:
        if isinstance(answer, Result):
            give: Answer = lambda reply: reply.result(answer)  # noqa: E731
        elif isinstance(answer, Exception):
            give = raised(answer) if is_at_once else lambda reply: reply.refuse(answer)
        else:
            give = answer
        if is_at_once or give is bug:
            return give
        return lambda reply: asyncio.get_running_loop().call_soon(give, reply) and None

    async def scenario(world: World) -> None:
        world.configs[ONE] = {"maxAsyncRetryAttempts": 2}
        world.routes[ONE].answers = [played(answer) for answer in answers]
        await world.promise("a", is_stateful=True)
        await until(lambda: len(world.ran()) == runs, "its runs")
        await empty(world)
        found = await world.record("a")
        assert (found.attempts, found.status.value, len(world.ran())) == (attempts, status, runs)

    play(scenario)


def raised(error: Exception) -> Answer:
    def give(_: Reply) -> None:
        raise error

    return give


STEPS = [3600.0, -3600.0, 10 * 365 * 86400.0, -10 * 365 * 86400.0]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the machine's clock forward, or back."""
    real, steps = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + sum(steps))
    return steps.append


@pytest.mark.parametrize("seconds", STEPS)
@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_delayed_or_tried_again_is_due_when_it_was_whatever_is_done_to_the_clock(
    play: Callable[..., None],
    step: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    restarts: bool,
) -> None:
    monkeypatch.setattr(asynchronous, "retry_delay", lambda _attempts, _first: 0.15)
    due: list[float] = []

    async def before(world: World) -> None:
        world.configs[ONE] = {"maxAsyncEventAgeInSeconds": 600}
        world.routes[ONE].answers = [lambda reply: reply.result(FAILED)]
        await world.promise("again", is_stateful=True)
        await until(lambda: world.ran() == ["again"], "its first run")
        while (await world.queue.depth()).delayed != 1:
            await asyncio.sleep(0.002)
        await world.promise("late", delay=0.15, is_stateful=True)
        due.append(time.monotonic() + 0.15)
        step(seconds)
        if not restarts:
            await after(world)

    async def after(world: World) -> None:
        world.configs[ONE] = {"maxAsyncEventAgeInSeconds": 600}
        runs = ["again", "late"] if restarts else ["again", "again", "late"]  # the first one was before
        await until(lambda: sorted(world.ran()) == runs, "both")
        assert time.monotonic() >= due[0] - 0.05
        step(-seconds)
        await empty(world)
        assert [(await world.record(name)).status.value for name in ("again", "late")] == ["Succeeded"] * 2
        assert sorted(world.ran()) == runs

    play(before)
    if restarts:
        play(after)


@pytest.mark.parametrize("seconds", STEPS)
def test_nothing_is_too_old_because_of_the_clock(
    play: Callable[..., None], step: Callable[[float], None], seconds: float
) -> None:
    async def scenario(world: World) -> None:
        world.configs[ONE] = {"maxAsyncEventAgeInSeconds": 600}
        world.serve(ONE, is_disabled=True)
        await world.promise("a", is_stateful=True)
        step(seconds)
        world.serve(ONE)
        await until(lambda: world.ran() == ["a"], "its run")
        await empty(world)
        assert (await world.record("a")).status is Status.SUCCEEDED

    play(scenario)


def test_what_is_too_old_is_given_up(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        world.configs[ONE] = {"maxAsyncEventAgeInSeconds": 0.05}
        world.serve(ONE, is_disabled=True)
        await world.promise("a")
        await empty(world)
        assert (await world.record("a")).condition == "EventAgeExceeded"
        assert world.ran() == []

    play(scenario)


def test_calls_of_a_disabled_function_wait_until_it_is_enabled(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (lane, lanes):
        monkeypatch.setattr(module, "refusal_delay", lambda _: 60.0)

    async def scenario(world: World) -> None:
        world.routes[ONE].waiters = waiters = []
        await world.promise("waits in the pool")
        await world.promise("late", delay=0.01)
        await until(lambda: len(waiters) == 2, "two that wait")
        world.serve(ONE, is_disabled=True)
        assert all(waiter.gone for waiter in waiters)
        await world.promise("new")
        world.serve(OTHER, is_disabled=True)
        await world.promise("never", OTHER)
        lane = world.dispatcher._lanes[OTHER]
        await until(lambda: lane.gate is Gate.DISABLED, "a refusal")
        assert world.ran(OTHER) == []
        world.serve(OTHER)
        await until(lambda: world.ran(OTHER) == ["never"], "another function")
        assert len(waiters) == 2

        world.routes[ONE].waiters = None
        world.serve(ONE)

        await until(lambda: sorted(world.ran()) == ["late", "new", "waits in the pool"], "all of them")
        await empty(world)

    play(scenario)


def test_calls_of_a_deleted_function_are_given_up(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        world.supervisor.table = world.table._replace(entries={})
        await world.promise("a")
        await empty(world)
        assert (await world.record("a")).condition == "FunctionDeleted"

    play(scenario)


def test_a_live_call_is_not_retried_or_dropped_and_one_that_ended_is_not_stopped(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        records = world.records
        world.routes[ONE].waiters = []
        running, delayed = await world.promise("running"), await world.promise("delayed", delay=60.0)
        for event in (running, delayed, await world.record("running"), await world.record("delayed")):
            with pytest.raises(InvocationNotEnded, match="can be retried when it has"):
                await records.retry(event)
            with pytest.raises(InvocationNotEnded, match="can be dropped when it has"):
                await records.drop(event)
        await records.stop(delayed)
        await records.stop(running)
        await empty(world)
        for name in ("running", "delayed"):
            found = await world.record(name)
            assert found.status is Status.STOPPED
            with pytest.raises(InvocationEnded, match="it is Stopped"):
                await records.stop(found)

    play(scenario)


def test_of_two_who_retry_or_drop_the_same_call_one_is_refused(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        world.configs[ONE] = {"maxAsyncRetryAttempts": 0}
        world.routes[ONE].answers = [lambda reply: reply.result(FAILED)]
        await world.promise("a")
        await until(lambda: world.ran() == ["a"], "its run")
        await empty(world)
        one, other = await world.record("a"), await world.record("a")

        outcomes = await asyncio.gather(
            world.records.retry(one), world.records.retry(other), world.records.drop(other), return_exceptions=True
        )

        assert outcomes[0] is None
        assert all(isinstance(each, InvocationNotEnded) for each in outcomes[1:])
        await until(lambda: world.ran() == ["a", "a"], "its second run")
        await empty(world)
        assert world.ran() == ["a", "a"]

    play(scenario)


def test_a_call_that_rests_or_waits_for_room_is_stopped_too(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (lane, lanes):
        monkeypatch.setattr(module, "refusal_delay", lambda _: 60.0)

    async def scenario(world: World) -> None:
        world.routes[ONE].answers = [bug]
        world.routes[OTHER].answers = [raised(HostRefused(reason="no"))]
        for name, target in (("rests", ONE), ("refused", OTHER)):
            await world.promise(name, target)
            await world.records.stop(await world.record(name))
        await empty(world)
        assert [(await world.record(name)).status.value for name in ("rests", "refused")] == ["Stopped"] * 2

    play(scenario)


def test_many_large_events_of_many_functions_are_not_all_in_memory_and_all_run(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_HELD", 50_000)
    monkeypatch.setattr(memory, "MOST_TAKEN", 20_000)

    async def scenario(world: World) -> None:
        replies: list[Reply] = []
        lanes = world.dispatcher._lanes
        for route in world.routes.values():
            route.answers = [replies.append] * 100
        for number in range(100):
            for name, target in (("a", ONE), ("b", OTHER)):
                event = Event(id=f"{name}{number}", request_id=f"{name}{number}", target=target, payload=b"x" * 9_000)
                await world.dispatcher.submit(event)
                world.dispatcher.arrived(event)
        answered = 0
        while answered < 200:
            await until(
                lambda: replies and not any(lane.supply in {Supply.READING, Supply.STALE} for lane in lanes.all()),
                "calls that run",
            )
            held = sum(len(lane.ready) + len(lane.running) for lane in lanes.all())
            assert held * 9_000 <= 150_000
            answered += len(replies)
            for reply in replies[:]:
                reply.result(DONE)
            del replies[:]
            await until(lambda: not any(lane.running for lane in lanes.all()) or replies, "their ends")
        await empty(world)
        await until(lambda: lanes._memory.held == 0, "the last read to end")

    play(scenario)


def test_an_outcome_leads_to_its_message_in_one_step(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        world.configs[ONE] = {"destinationConfig": {"onSuccess": {"destination": "acs:mns:::/queues/q"}}}
        steps: list[list[Outcome]] = []
        settle = world.queue.settle

        async def seen(outcomes: list[Outcome]) -> None:
            steps.append(list(outcomes))
            await settle(outcomes)

        world.queue.settle = seen  # type: ignore[method-assign,assignment]
        await world.promise("a")
        await until(lambda: world.delivered, "the message")
        [first] = [each for step in steps for each in step if each.event.id == "a"]
        assert (first.forget, len(first.followers)) == (True, 1)

    play(scenario)


def test_a_call_that_too_many_have_led_to_is_not_made_and_says_so(play: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.promise("last", depth=DEEPEST)
        await world.promise("beyond", depth=DEEPEST + 1)
        await empty(world)

        assert world.ran() == ["last"]
        found = await world.record("beyond")
        assert (found.status, found.condition, found.attempts) == (Status.FAILED, LOOP, 0)

    play(scenario)
