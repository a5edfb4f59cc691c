"""What becomes of calls that wait for packages which are being installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pyfc.errors import FunctionNotStarted, PyfcError, ResourceExhausted
from pyfc.model.function import Function, Limits
from pyfc.model.invocation import Invocation, Kind, Reply, Ticket
from pyfc.model.names import Target
from pyfc.supervisor.held import Held

FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler", limits=Limits())


class Caller:
    """A reply that remembers."""

    streams = False

    def __init__(self) -> None:
        self.error: PyfcError | None = None

    def refuse(self, error: PyfcError) -> None:
        self.error = error


class Later:
    """A route that remembers what was handed on to it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.cancelled: list[str] = []

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        if call.request_id == "refused":
            raise ResourceExhausted(function="f", service="s", reason="it is full")
        self.calls.append(call.request_id)
        route = self

        class Handed:
            def cancel(self) -> bool:
                route.cancelled.append(call.request_id)
                return True

        return Handed()


def call(number: str) -> Invocation:
    return Invocation(number, Target("s", "f"), Kind.EVENT, b"")


def held(patience: float = 60.0, most: int = 10, hurried: list[str] | None = None) -> Held:
    hear: Callable[[], None] = (lambda: hurried.append("x")) if hurried is not None else (lambda: None)
    return Held(FUNCTION, patience, most, hear, lambda: "Collecting numpy")


def scenario(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_calls_are_handed_on_in_their_order_but_for_those_that_have_left() -> None:
    async def test() -> None:
        hurried: list[str] = []
        route, later, callers = held(hurried=hurried), Later(), [Caller() for _ in range(4)]
        names = ("a", "left", "refused", "b")
        tickets = [route.submit(call(name), caller) for name, caller in zip(names, callers, strict=True)]  # type: ignore[arg-type]
        assert tickets[1].cancel()

        route.release(later)

        assert (later.calls, len(hurried)) == (["a", "b"], 4)
        assert isinstance(callers[2].error, ResourceExhausted)
        assert tickets[3].cancel()
        assert later.cancelled == ["b"], "who leaves later leaves there"

    scenario(test)


def test_a_call_waits_as_long_as_it_may_and_is_told_what_is_going_on() -> None:
    async def test() -> None:
        route, caller, later = held(patience=0.01), Caller(), Later()
        route.submit(call("a"), caller)  # type: ignore[arg-type]
        while caller.error is None:
            await asyncio.sleep(0.001)

        assert isinstance(caller.error, FunctionNotStarted)
        assert str(caller.error).endswith(": Collecting numpy")
        route.release(later)
        assert later.calls == []

    scenario(test)


def test_no_more_calls_wait_than_may() -> None:
    async def test() -> None:
        route = held(most=2)
        first = route.submit(call("a"), Caller())  # type: ignore[arg-type]
        route.submit(call("b"), Caller())  # type: ignore[arg-type]
        with pytest.raises(ResourceExhausted, match="2 calls wait"):
            route.submit(call("c"), Caller())  # type: ignore[arg-type]
        first.cancel()
        route.submit(call("c"), Caller())  # type: ignore[arg-type]

    scenario(test)
