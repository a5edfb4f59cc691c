"""Those who wait: in order, for as long as they may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyfc.errors import PyfcError, ResourceExhausted
from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Kind
from pyfc.model.names import Target
from pyfc.settings import Settings
from pyfc.supervisor import line as module
from pyfc.supervisor.line import Line

FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler")


class Reply:
    def __init__(self, *, breaks: bool = False) -> None:
        self.errors: list[PyfcError] = []
        self._breaks = breaks

    def refuse(self, error: PyfcError) -> None:
        self.errors.append(error)
        if self._breaks:
            raise RuntimeError("a bug")


def join(line: Line, name: str, reply: Any = None) -> module.Waiter:
    return line.join(Invocation(name, Target("s", "f"), Kind.EVENT, b""), reply or Reply(), "busy")


def test_those_who_have_left_are_passed_over_and_make_room() -> None:
    async def scenario() -> None:
        line = Line(FUNCTION, Settings(maximum_waiting_calls=2), lambda: 0)
        first = join(line, "first")
        join(line, "second")
        with pytest.raises(ResourceExhausted, match="2 calls wait already"):
            join(line, "third")

        assert first.cancel()
        join(line, "third")

        served = [waiter.call.request_id for waiter in iter(line.next, None)]
        assert served == ["second", "third"]

    asyncio.run(scenario())


def test_who_is_served_can_not_leave_any_more_until_put_back() -> None:
    async def scenario() -> None:
        line = Line(FUNCTION, Settings(), lambda: 0)
        waiter = join(line, "first")
        join(line, "second")
        assert line.next() is waiter
        assert not waiter.cancel()

        line.put_back(waiter)

        assert waiter.cancel()
        following = line.next()
        assert following is not None
        assert following.call.request_id == "second"

    asyncio.run(scenario())


def test_who_waits_too_long_is_refused_but_for_those_who_are_about_to_be_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.001)

    async def scenario() -> None:
        sure = 1
        line = Line(FUNCTION, Settings(maximum_wait=0.01), lambda: sure)
        replies = [Reply(breaks=number == 1) for number in range(3)]
        for number, reply in enumerate(replies):
            join(line, str(number), reply)
        async with asyncio.timeout(10):
            while len(line) > 1:
                await asyncio.sleep(0.001)
        assert [len(reply.errors) for reply in replies] == [0, 1, 1]

        sure = 0  # its instance could not be started
        async with asyncio.timeout(10):
            while line:
                await asyncio.sleep(0.001)
        assert [type(error) for reply in replies for error in reply.errors] == [ResourceExhausted] * 3

    asyncio.run(scenario())
