"""The pool, with launchers that start nothing, and workers that are nothing but pipes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyfc.errors import HostRefused, Internal, PyfcError, Unavailable
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Function
from pyfc.model.instance import Event, State, advance
from pyfc.model.invocation import FaultKind, Invocation, Kind, Result
from pyfc.model.names import LATEST, Target
from pyfc.settings import Settings
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.interface import PoolContext
from pyfc.supervisor.pool import Pool
from pyfc.supervisor.scaler import Scaler
from pyfc.wire import frames
from pyfc.workers.handshake import Expectation
from pyfc.workers.launch import LaunchSpec, Worker
from pyfc.workers.spares import Spares
from worker_pipes import Pipes

FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler")
STEPS = {"launch": 0, "Hello": frames.HELLO, "Ready": frames.READY, "initializer": frames.HOOK_DONE}
"""Everything that a start waits for."""
FAILURES = {
    "HostRefused": lambda: HostRefused(reason="Resource temporarily unavailable"),
    "OSError": lambda: OSError(12, "Cannot allocate memory"),
    "RuntimeError": lambda: RuntimeError("a bug"),
    "MemoryError": MemoryError,
    "TypeError": lambda: TypeError("a bug"),
    "another error of pyfc's": lambda: Internal(detail="a bug"),
    "cancellation": asyncio.CancelledError,
}


class Launcher:
    """Gives workers that are nothing but pipes; raises what `failure` makes instead of that."""

    def __init__(self, failure: Callable[[], BaseException] | None = None) -> None:
        self.failure = failure
        self.tries = 0
        self.workers: list[Pipes] = []

    async def launch(self, spec: LaunchSpec) -> Worker:
        self.tries += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure()
        self.workers.append(Pipes(claims=True))
        return self.workers[-1].worker

    def status(self, spec: LaunchSpec) -> str:
        return "none"

    async def close(self) -> None:
        """Nothing was started."""


class Answer:
    streams = False

    def __init__(self) -> None:
        self.error: PyfcError | None = None
        self.results: list[Result] = []
        self.done = asyncio.Event()

    def result(self, result: Result) -> None:
        self.results.append(result)
        self.done.set()

    def refuse(self, error: PyfcError) -> None:
        assert self.error is None, "refused twice"
        self.error = error
        self.done.set()


def pool_of(launcher: Launcher, scaler: Scaler, initializer: str = "", concurrency: int = 1) -> Pool:
    told = {"service": {"qualifier": LATEST}}
    hooks = {"preFreeze": "index.freeze"}
    init = frames.Init("index.handler", initializer, "/", {}, told, [], "", "", concurrency, "", {}, {}, hooks)
    spec = LaunchSpec(runtime=Runtimes().base, interpreter="", limits={})
    birth = Birth(
        spec=spec, init=init, load_timeout=1.0, initialization_timeout=1.0, maximum_result=1, confine=lambda _: {}
    )
    pool = Pool(FUNCTION, birth, PoolContext(Settings(), launcher, scaler, lambda *_: None, lambda *_: None))
    scaler.add(pool)
    return pool


def call(number: int) -> Invocation:
    return Invocation(f"request-{number}", Target("s", "f"), Kind.EVENT, b"")


async def come_to(launcher: Launcher, number: int, step: str) -> None:
    """Bring the worker of this number to where its start waits for `step`."""
    async with asyncio.timeout(5):
        while len(launcher.workers) <= number:
            await asyncio.sleep(0)
    worker = launcher.workers[number]
    if step in {"Ready", "initializer"}:
        worker.say(frames.HELLO, (1, "python"))
        await worker.heard(frames.INIT)
    if step == "initializer":
        worker.say(frames.READY, (None,))
        await asyncio.sleep(0)


async def answered(*answers: Answer) -> None:
    async with asyncio.timeout(5):
        for answer in answers:
            await answer.done.wait()


def test_a_host_that_refuses_an_instance_is_a_503_for_everyone_who_waits_and_is_not_asked_again() -> None:
    async def scenario() -> None:
        launcher = Launcher(FAILURES["HostRefused"])
        pool = pool_of(launcher, Scaler(10))
        answers = [Answer() for _ in range(3)]

        for number, answer in enumerate(answers):
            pool.submit(call(number), answer)
        await answered(*answers)

        assert [(answer.error.code, answer.error.status) for answer in answers if answer.error] == [
            ("ResourceThrottled", 503)
        ] * 3
        assert launcher.tries == 3
        assert not pool.roster.instances
        assert not pool.waiting

    asyncio.run(scenario())


def test_room_that_was_refused_is_given_back() -> None:
    async def scenario() -> None:
        launcher = Launcher(FAILURES["HostRefused"])
        pool = pool_of(launcher, Scaler(1))
        for number in range(5):
            answer = Answer()
            pool.submit(call(number), answer)
            await answered(answer)

        assert launcher.tries == 5

    asyncio.run(scenario())


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("step", STEPS)
def test_a_start_that_fails_anyhow_anywhere_leaves_nothing_and_answers_who_waits(
    step: str, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = FAILURES[failure]
    frame = Expectation.frame

    async def failing(self: Expectation, kind: int, timeout: float) -> Any:
        if kind == STEPS[step]:
            await asyncio.sleep(0)
            raise make()
        return await frame(self, kind, timeout)

    monkeypatch.setattr(Expectation, "frame", failing)

    async def scenario() -> None:
        launcher = Launcher(make if step == "launch" else None)
        scaler = Scaler(1)
        pool = pool_of(launcher, scaler, initializer="index.initialize")
        for number in range(5):
            answer = Answer()
            pool.submit(call(number), answer)
            if step != "launch":
                await come_to(launcher, number, step)
            await answered(answer)
            async with asyncio.timeout(5):
                await pool.roster.drained.wait()

            assert answer.error is not None
            assert answer.error.status == (503 if failure == "HostRefused" else 500)
            assert not pool.roster.instances
            assert not pool.population.starting
            assert not pool.waiting
        assert launcher.tries == 5
        assert all(worker.is_closed for worker in launcher.workers)
        pool.drain()

    asyncio.run(scenario())


@pytest.mark.parametrize("step", STEPS)
def test_a_start_that_is_cancelled_anywhere_leaves_nothing_and_answers_who_waits(step: str) -> None:
    async def scenario() -> None:
        launcher = Launcher()
        pool = pool_of(launcher, Scaler(1), initializer="index.initialize")
        answer = Answer()

        pool.submit(call(0), answer)
        [task] = pool.population._tasks
        await asyncio.sleep(0)
        if step != "launch":
            await come_to(launcher, 0, step)
        task.cancel()
        await answered(answer)
        async with asyncio.timeout(5):
            await pool.roster.drained.wait()

        assert answer.error is not None
        assert answer.error.status == 500
        assert all(worker.is_closed for worker in launcher.workers)

    asyncio.run(scenario())


def test_a_worker_that_dies_when_it_has_just_said_ready_is_a_process_that_exited() -> None:
    async def scenario() -> None:
        launcher = Launcher()
        pool = pool_of(launcher, Scaler(1))
        answer = Answer()
        pool.submit(call(0), answer)
        while not launcher.workers:
            await asyncio.sleep(0)
        [worker] = launcher.workers
        worker.say(frames.HELLO, (1, "python"))
        await worker.heard(frames.INIT)

        worker.say(frames.READY, (None,))
        worker.process.reported(0, 0)
        await answered(answer)
        async with asyncio.timeout(5):
            await pool.roster.drained.wait()

        [result] = answer.results
        assert result.fault is not None
        assert "Process exited unexpectedly before completing request" in result.fault.message
        assert pool.roster.deaths["exited"] == 1

    asyncio.run(scenario())


def test_a_memory_error_of_an_import_that_has_held_more_than_it_may_is_out_of_memory() -> None:
    async def scenario() -> None:
        launcher = Launcher()
        pool = pool_of(launcher, Scaler(1))
        answer = Answer()
        pool.submit(call(0), answer)
        await come_to(launcher, 0, "Ready")
        [worker], [instance] = launcher.workers, pool.roster.instances
        worker.worker.cell.memory_size = 2 << 20
        assert instance.link is not None
        instance.link.life.saw(3 << 20)

        worker.say(frames.READY, (("UNHANDLED", "no room", "MemoryError"),))
        await answered(answer)
        async with asyncio.timeout(5):
            await pool.roster.drained.wait()

        [result] = answer.results
        assert result.fault is not None
        assert result.fault.type == "FunctionOOMError"
        assert pool.roster.deaths["outOfMemory"] == 1

    asyncio.run(scenario())


async def started(pool: Pool, launcher: Launcher, number: int) -> Pipes:
    """The worker of this number, ready."""
    await come_to(launcher, number, "Ready")
    worker = launcher.workers[number]
    worker.say(frames.READY, (None,))
    return worker


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_call_that_its_worker_never_read_goes_to_another_instance(concurrency: int) -> None:
    async def scenario() -> None:
        launcher = Launcher()
        pool = pool_of(launcher, Scaler(9), concurrency=concurrency)
        answer = Answer()
        pool.submit(call(0), answer)
        first = await started(pool, launcher, 0)
        while not any(each.link and each.link.in_flight for each in pool.roster.instances):
            await asyncio.sleep(0)

        first.process.reported(0, 0)
        second = await started(pool, launcher, 1)
        await second.heard(frames.INVOKE)
        second.say(frames.REPLY, (False, 2, None, 200, None, False), b"ok", call=1)
        await answered(answer)

        assert [result.body for result in answer.results] == [b"ok"]
        pool.drain()

    asyncio.run(scenario())


def test_a_call_whose_instances_always_end_before_they_read_it_fails_in_the_end() -> None:
    async def scenario() -> None:
        launcher = Launcher()
        pool = pool_of(launcher, Scaler(9))
        answer = Answer()
        pool.submit(call(0), answer)
        for number in range(4):
            worker = await started(pool, launcher, number)
            while not any(each.link and each.link.in_flight for each in pool.roster.instances):
                await asyncio.sleep(0)
            worker.process.reported(0, 0)
        await answered(answer)

        [result] = answer.results
        assert result.fault is not None
        assert "Process exited unexpectedly before completing request (duration: 0ms" in result.fault.message
        assert len(launcher.workers) == 4

    asyncio.run(scenario())


@pytest.mark.parametrize("lost", [False, True])
def test_a_call_that_had_begun_fails_by_its_process_or_is_refused_if_that_was_lost(lost: bool) -> None:
    async def scenario() -> None:
        launcher = Launcher()
        pool = pool_of(launcher, Scaler(9))
        answer = Answer()
        pool.submit(call(0), answer)
        worker = await started(pool, launcher, 0)
        await worker.heard(frames.INVOKE)

        if lost:
            worker.process.orphaned()
        else:
            worker.process.reported(0, 0)
        await answered(answer)

        if lost:
            assert answer.error is not None
            assert answer.error.status == 500
        else:
            [result] = answer.results
            assert result.fault is not None
            assert result.fault.kind is FaultKind.EXITED

    asyncio.run(scenario())


@pytest.mark.parametrize("step", ["Hello", "Ready", "initializer"])
def test_an_instance_that_is_lost_while_it_starts_is_replaced_and_nobody_hears_of_it(step: str) -> None:
    async def scenario() -> None:
        launcher = Launcher()
        pool = pool_of(launcher, Scaler(9), initializer="index.initialize")
        answer = Answer()
        pool.submit(call(0), answer)
        for number in range(3):
            await come_to(launcher, number, step)
            while not all(each.link for each in pool.roster.instances):
                await asyncio.sleep(0)
            launcher.workers[number].process.orphaned()
        last = await started(pool, launcher, 3)
        await last.heard(frames.HOOK)
        last.say(frames.HOOK_DONE, (None,))
        await last.heard(frames.INVOKE)
        last.say(frames.REPLY, (False, 2, None, 200, None, False), b"ok", call=1)
        await answered(answer)

        assert [result.body for result in answer.results] == [b"ok"]
        pool.drain()

    asyncio.run(scenario())


def test_a_spare_that_can_not_be_made_is_made_later() -> None:
    async def scenario() -> None:
        launcher = Launcher(FAILURES["RuntimeError"])
        spares = Spares(lambda: launcher.launch(None), lambda: 1)  # type: ignore[arg-type]
        spares.refill()
        async with asyncio.timeout(5):
            while not launcher.tries:
                await asyncio.sleep(0.001)
        launcher.failure = None
        spares.refill()
        async with asyncio.timeout(5):
            while (worker := spares.take()) is None:
                spares.refill()
                await asyncio.sleep(0.02)

        assert worker is launcher.workers[0].worker
        spares.drop()
        worker.close()

    asyncio.run(scenario())


events = st.lists(
    st.sampled_from(["hello", "ready", "fault", "done", "garbage", "die", "kill", "stop", "drain", "call", "reply",
                     "freeze", "thaw", "exhaust", "look", "turn", "turn", "turn"]),
    max_size=14,
)  # fmt: skip
STARTED = ["hello", "turn", "turn", "ready", "turn", "turn", "done", "turn", "turn", "reply", "turn"]


@given(st.integers(0, len(STARTED)), events)
@example(len(STARTED), ["freeze", "die"])
@example(len(STARTED) - 4, ["ready", "done", "die"])
def test_nothing_that_happens_to_an_instance_in_any_order_is_impossible(steps: int, after: list[str]) -> None:
    happens = STARTED[:steps] + after
    impossible: list[tuple[State, Event]] = []

    def watched(state: State, event: Event) -> State:
        try:
            return advance(state, event)
        except Internal:
            impossible.append((state, event))
            raise

    async def scenario() -> None:
        launcher = Launcher()
        pool = pool_of(launcher, Scaler(1), initializer="index.initialize")
        answers = [Answer()]
        pool.submit(call(0), answers[0])
        [instance] = pool.roster.instances
        while not launcher.workers or instance.link is None:
            await asyncio.sleep(0)
        life = Life(pool, launcher.workers[0])
        for number, each in enumerate(happens, 1):
            if each == "call":
                answer = Answer()
                with contextlib.suppress(Unavailable):
                    pool.submit(call(number), answer)
                    answers.append(answer)
            else:
                getattr(life, each)()
            await asyncio.sleep(0)
        pool.kill()
        while pool.roster.instances:
            await asyncio.sleep(0)
        await answered(*answers)
        assert instance.state is State.DEAD
        assert all(len(answer.results) + (answer.error is not None) == 1 for answer in answers)

    with mock.patch("pyfc.supervisor.instance.advance", watched):
        asyncio.run(scenario())
    assert not impossible


class Life:
    """What can happen to an instance."""

    def __init__(self, pool: Pool, worker: Pipes) -> None:
        self._pool = pool
        self._worker = worker
        [self._instance] = pool.roster.instances

    def turn(self) -> None:
        """A turn of the loop goes by."""

    def hello(self) -> None:
        self._worker.say(frames.HELLO, (1, "python"))

    def ready(self) -> None:
        self._worker.say(frames.READY, (None,))

    def fault(self) -> None:
        self._worker.say(frames.READY, (("UNHANDLED", "no", "ValueError"),))

    def done(self) -> None:
        self._worker.say(frames.HOOK_DONE, (None,))

    def garbage(self) -> None:
        self._worker.write(b"\0" * 20)

    def die(self) -> None:
        self._worker.process.reported(0, 0)

    def kill(self) -> None:
        self._pool.kill()

    def stop(self) -> None:
        self._instance.stop()

    def reply(self) -> None:
        self._worker.say(frames.REPLY, (False, 0, None, 200, None, False), call=1)

    def drain(self) -> None:
        self._pool.drain()

    def freeze(self) -> None:
        if self._instance in self._pool.roster.idle and self._instance.state is State.READY:
            self._pool._idleness._freeze(self._instance)

    def thaw(self) -> None:
        self._pool._idleness.woken(self._instance)

    def exhaust(self) -> None:
        link = self._instance.link
        if link is not None and link.life.is_active:
            link.life.exhaust(1)

    def look(self) -> None:
        self._pool._stalls._look()
