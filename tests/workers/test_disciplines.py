"""How a worker takes its calls: what may be sent, what has begun, whose output it is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pyfc.errors import PyfcError
from pyfc.host.process import Exit
from pyfc.model.invocation import Invocation, Kind, Result
from pyfc.model.names import LATEST, Target
from pyfc.wire import frames
from pyfc.workers.disciplines import Ahead, Concurrent, OneAtATime
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls
from pyfc.workers.link import Link
from worker_pipes import Pipes

MARK = "mark"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="packet mode is of Linux")


class Owner:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def answered(self, _link: Calls, flight: Flight, result: Result, /) -> None:
        self.told.append(("answered", flight.call.request_id, bytes(result.body), result.log))

    def returned(self, _link: Calls, flights: list[Flight], /) -> None:
        self.told += [("returned", flight.call.request_id) for flight in flights]

    def refused(self, _link: Calls, flight: Flight, _error: PyfcError, /) -> None:
        self.told.append(("refused", flight.call.request_id))

    def retired(self, _link: Calls, /) -> None:
        self.told.append(("retired",))

    def doomed(self, _link: Calls, /) -> None:
        self.told.append(("doomed",))

    def closed(self, _link: Calls, _how: Exit, /) -> None:
        self.told.append(("closed",))

    def wrote(self, _link: Calls, request_id: str, data: bytes, /) -> None:
        if data:
            self.told.append(("wrote", request_id, data))


class Bench:
    """A link whose loop is the test."""

    def __init__(self, *, concurrency: int = 1, mark: str = "", claims: bool = False) -> None:
        self.pipes = Pipes(claims=claims)
        self.owner = Owner()
        told = {"service": {"qualifier": LATEST}}
        init = frames.Init("h", "", "/", {}, told, [], "", "", concurrency, mark, {}, {}, {})
        self.link = Link(self.pipes.worker, self.owner, "i", init, 1 << 20)

    def send(self, name: str, *, timeout: float = 60.0, now: float = 0.0, body: bytes = b"x") -> bool:
        call = Invocation(name, Target("s", "f"), Kind.EVENT, body)
        reply: Any = None
        return self.link.invoke(Flight(call, reply, timeout, now, now + timeout))

    def answer(self, number: int, body: bytes = b"ok", *, written: bool = False) -> None:
        self.pipes.say(frames.REPLY, (False, len(body), None, 200, None, written), body, call=number)
        self.link.read()

    def write_output(self, data: bytes) -> None:
        os.write(self.pipes.theirs[2], data)

    async def end(self) -> None:
        self.link.life.kill()
        async with asyncio.timeout(5):
            while not self.link.life.closed:
                await asyncio.sleep(0)


def play(scenario: Callable[[Bench], None], **how: Any) -> Bench:
    """Let the scenario happen, and then the worker's death."""

    async def whole() -> Bench:
        bench = Bench(**how)
        scenario(bench)
        await bench.end()
        return bench

    return asyncio.run(whole())


def test_a_worker_of_one_call_is_sent_no_other_before_it_has_answered() -> None:
    def scenario(bench: Bench) -> None:
        assert isinstance(bench.link.discipline, OneAtATime)
        assert bench.send("first")
        assert not bench.send("second")
        bench.answer(1)
        assert bench.send("second")

    bench = play(scenario)
    assert bench.owner.told[0] == ("answered", "first", b"ok", b"")


def test_what_is_in_the_pipe_when_a_call_without_marks_is_answered_is_its_log_and_before_it_is_nobodys() -> None:
    def scenario(bench: Bench) -> None:
        bench.write_output(b"between\n")
        bench.send("first")
        bench.write_output(b"during\n")
        bench.answer(1)

    bench = play(scenario)
    assert bench.owner.told[:2] == [("wrote", "", b"between\n"), ("answered", "first", b"ok", b"during\n")]


@linux
def test_calls_that_were_sent_ahead_and_not_read_are_taken_back_in_order_and_the_first_is_not() -> None:
    def scenario(bench: Bench) -> None:
        assert isinstance(bench.link.discipline, Ahead)
        for name in ("first", "second", "third"):
            assert bench.send(name)
        assert [flight.call.request_id for _, flight in bench.link.discipline.begun()] == ["first"]

        taken = bench.link.discipline.take_back()

        assert [flight.call.request_id for flight in taken] == ["second", "third"]
        assert [flight.call.request_id for flight in bench.link.in_flight.values()] == ["first"]
        bench.answer(1)

    bench = play(scenario, mark=MARK, claims=True)
    assert ("answered", "first", b"ok", b"") in bench.owner.told


@linux
def test_a_call_that_is_no_packet_is_not_sent_ahead() -> None:
    def scenario(bench: Bench) -> None:
        bench.send("first")
        assert not bench.send("long", body=b"x" * 5000)
        assert bench.send("short")

    play(scenario, mark=MARK, claims=True)


@linux
def test_the_time_of_a_call_that_was_sent_ahead_begins_when_the_one_before_it_is_answered() -> None:
    def scenario(bench: Bench) -> None:
        bench.send("first")
        bench.send("second", timeout=10.0)
        [_, (_, second)] = bench.link.in_flight.items()
        assert second.deadline == 10.0

        bench.answer(1)

        assert second.started > 10.0  # the real clock's
        assert second.deadline == pytest.approx(second.started + 10.0)

    play(scenario, mark=MARK, claims=True)


@linux
@pytest.mark.parametrize("frame", ["answer", "refusal"])
def test_a_worker_that_answers_before_its_turn_or_refuses_what_it_has_begun_is_ended(frame: str) -> None:
    def scenario(bench: Bench) -> None:
        bench.send("first")
        bench.send("second")
        if frame == "answer":
            bench.answer(2)
        else:
            bench.pipes.say(frames.CANCEL, ("busy",), call=1)
            bench.link.read()
        assert bench.link.life.is_broken

    bench = play(scenario, mark=MARK, claims=True)
    assert bench.owner.told[0] == ("doomed",)
    assert ("answered", "second") not in [told[:2] for told in bench.owner.told]


@linux
def test_a_call_that_the_worker_will_not_come_to_is_given_back() -> None:
    def scenario(bench: Bench) -> None:
        bench.send("first")
        bench.send("second")
        bench.pipes.say(frames.CANCEL, ("busy",), call=2)
        bench.link.read()

    bench = play(scenario, mark=MARK, claims=True)
    assert bench.owner.told[0] == ("returned", "second")


def test_concurrent_calls_begin_at_once_and_are_answered_in_any_order_with_their_own_output() -> None:
    def scenario(bench: Bench) -> None:
        assert isinstance(bench.link.discipline, Concurrent)
        for name in ("first", "second"):
            assert bench.send(name)
        assert len(bench.link.discipline.begun()) == 2
        bench.pipes.say(frames.LOG, (), b"of the second\n", call=2)
        bench.link.read()
        bench.answer(2)
        bench.answer(1)

    bench = play(scenario, concurrency=2)
    assert bench.owner.told[:2] == [
        ("answered", "second", b"ok", b"of the second\n"), ("answered", "first", b"ok", b""),
    ]  # fmt: skip


def test_a_late_call_with_neighbours_is_answered_at_once_and_what_it_still_writes_is_logged() -> None:
    def scenario(bench: Bench) -> None:
        bench.send("late", timeout=0.001, now=-1.0)
        bench.send("neighbour", now=1e12)
        bench.link.life._check()
        bench.pipes.say(frames.LOG, (), b"still here\n", call=1)
        bench.link.read()
        bench.answer(1)  # nobody waits for it any more
        bench.answer(2)
        assert not bench.link.life.is_broken

    bench = play(scenario, concurrency=2)
    kinds = [told[:2] for told in bench.owner.told]
    assert kinds[:4] == [("retired",), ("answered", "late"), ("wrote", "late"), ("answered", "neighbour")]
    assert bench.owner.told[2] == ("wrote", "late", b"still here\n")


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_frame_of_a_call_that_never_was_ends_the_worker(concurrency: int) -> None:
    def scenario(bench: Bench) -> None:
        bench.send("first")
        bench.answer(9)
        assert bench.link.life.is_broken

    bench = play(scenario, concurrency=concurrency)
    assert bench.owner.told[0] == ("doomed",)
    assert bench.owner.told[-1] == ("closed",)


@pytest.mark.parametrize("held", [1, 3])
def test_a_memory_error_of_a_worker_that_has_held_more_than_it_may_ends_it_and_is_out_of_memory(held: int) -> None:
    def scenario(bench: Bench) -> None:
        bench.link.worker.cell.memory_size = 2 << 20
        bench.link.life.saw(held << 20)
        bench.send("first")
        fault = ("UNHANDLED", "no room", "MemoryError")
        bench.pipes.say(frames.REPLY, (False, 2, fault, 200, None, False), b"{}", call=1)
        bench.link.read()
        assert bench.link.life.is_exhausted == (held > 2)

    bench = play(scenario)

    (body,) = (told[2] for told in bench.owner.told if told[0] == "answered")
    assert body == b"{}" if held < 2 else b"FunctionOOMError" in body
