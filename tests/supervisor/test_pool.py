"""The pool, with a launcher that starts nothing."""

from __future__ import annotations

import asyncio

from pyfc.errors import HostRefused, PyfcError
from pyfc.host.launch import LaunchSpec, Worker
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Kind, Result
from pyfc.model.names import Target
from pyfc.settings import Settings
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.pool import Pool
from pyfc.supervisor.scaler import Scaler
from pyfc.wire import frames

FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler")


class Refusing:
    """A host that has no room."""

    def __init__(self) -> None:
        self.tries = 0

    async def launch(self, spec: LaunchSpec) -> Worker:
        self.tries += 1
        await asyncio.sleep(0)
        raise HostRefused(reason="Resource temporarily unavailable")

    async def close(self) -> None:
        """Nothing was started."""


class Answer:
    def __init__(self) -> None:
        self.error: PyfcError | None = None
        self.done = asyncio.Event()

    def result(self, result: Result) -> None:
        raise AssertionError("nothing runs here")

    def refuse(self, error: PyfcError) -> None:
        assert self.error is None, "refused twice"
        self.error = error
        self.done.set()


def pool_of(launcher: Refusing, scaler: Scaler) -> Pool:
    init = frames.Init("index.handler", "", "/", {}, {}, [], "", "", 1, "", {}, {}, {})
    spec = LaunchSpec(runtime=Runtimes().base, interpreter="", limits={})
    birth = Birth(spec=spec, init=init, load_timeout=1.0, initialization_timeout=1.0, maximum_result=1, confine=dict)
    pool = Pool(FUNCTION, birth, Settings(), launcher, scaler, on_output=lambda *_: None)
    scaler.pools.add(pool)
    return pool


def call(number: int) -> Invocation:
    return Invocation(f"request-{number}", Target("s", "f"), Kind.EVENT, b"")


def test_a_host_that_refuses_an_instance_is_a_503_for_everyone_who_waits_and_is_not_asked_again() -> None:
    async def scenario() -> None:
        launcher = Refusing()
        pool = pool_of(launcher, Scaler(10))
        answers = [Answer() for _ in range(3)]

        for number, answer in enumerate(answers):
            pool.submit(call(number), answer)
        async with asyncio.timeout(5):
            for answer in answers:
                await answer.done.wait()

        assert [(answer.error.code, answer.error.status) for answer in answers if answer.error] == [
            ("ResourceThrottled", 503)
        ] * 3
        assert launcher.tries == 3
        assert not pool.instances
        assert not pool.waiting

    asyncio.run(scenario())


def test_room_that_was_refused_is_given_back() -> None:
    async def scenario() -> None:
        launcher = Refusing()
        pool = pool_of(launcher, Scaler(1))
        for number in range(5):
            answer = Answer()
            pool.submit(call(number), answer)
            async with asyncio.timeout(5):
                await answer.done.wait()

        assert launcher.tries == 5

    asyncio.run(scenario())
