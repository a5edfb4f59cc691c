"""A call of the bridge to custom runtimes, and one that a program asks for: every pair of state and event has an
answer, and every way through them answers the call once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_modules import load

CALLS, PULL, CLIENT, WIRE = load("custom", "calls", "pull", "client", "wire")
PIECE = 300_000
"""Bytes: more than may be on their way."""


def cells(grid: str) -> dict[tuple[str, str], str]:
    """The states that follow, by state and event; "-" where the event cannot happen."""
    first, *rows = [line.split() for line in grid.strip().splitlines()]
    return {(row[0], event): state for row in rows for event, state in zip(first, row[1:], strict=True)}


SERVED = cells("""
           CONNECTED HEAD      LARGE     PIECE     WHOLE  WHOLE_LARGE DROPPED    LOSS   CREDIT    SENT LEFT     FAILURE
CONNECTING ASKED     -         -         -         -      -           -          LOST   -         -    OVER     OVER
ASKED      -         GATHERING -         -         -      -           CONNECTING LOST   -         -    OVER     OVER
GATHERING  -         -         STREAMING GATHERING OVER   ENDING      LOST       LOST   -         -    OVER     OVER
STREAMING  -         -         -         STREAMING ENDING ENDING      BROKEN     BROKEN STREAMING -    OVER     OVER
ENDING     -         -         ENDING    -         -      -           -          -      ENDING    OVER OVER     OVER
LOST       -         -         LOST      -         -      -           -          -      -         -    OVER     OVER
BROKEN     -         -         -         -         -      -           -          -      BROKEN    -    OVER     OVER
OVER       OVER      -         OVER      -         -      -           -          OVER   OVER      -    OVER     OVER
""")
PULLED = cells("""
           REQUESTED RESULT LARGE_RESULT CREDIT  SENT LEFT     FAILURE
GATHERING  OFFERED   -      -            -       -    OVER     OVER
OFFERED    -         OVER   SENDING      -       -    UNWANTED OVER
UNWANTED   -         OVER   OVER         -       -    UNWANTED OVER
SENDING    -         -      -            SENDING OVER OVER     OVER
OVER       -         OVER   OVER         OVER    -    OVER     OVER
""")


class Connection:
    """One to a server that takes everything."""

    is_fresh = False

    def __init__(self) -> None:
        self.is_aborted = False

    def ask(self, _request: bytes, _taker: Any, *, is_head: bool, unsent: int) -> None:
        assert not is_head
        assert not unsent

    def resume(self) -> None:
        assert not self.is_aborted

    pause = resume

    def abort(self) -> None:
        self.is_aborted = True


class Bridge:
    """Keeps what goes to pyfc; there is no connection yet."""

    fixed = (("x-fc-initialization-timeout", "3"),)

    def __init__(self) -> None:
        self.upstream = self
        self.open: dict[str, Any] = {}
        self.sent: list[tuple[int, tuple[Any, ...], int]] = []
        self.answered = 0

    def send(self, kind: int, _number: int, header: tuple[Any, ...], payload: bytes = b"") -> None:
        assert not self.answered, "a frame of a call that has been answered"
        self.sent.append((kind, header, len(payload)))

    def done(self, _number: int) -> None:
        self.answered += 1

    def idle(self) -> None:
        """None is kept."""

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_future()

    def offer(self, _headers: Any, _body: bytes) -> None:
        """As the runtime API."""

    @property
    def is_answered(self) -> bool:
        """Whether pyfc has got one whole answer. Asserts that it has got nothing that belongs to none."""
        kinds = [kind for kind, _, _ in self.sent]
        more = bool(kinds) and self.sent[0][1][0]
        last = WIRE.END if more else WIRE.REPLY
        is_whole = kinds[-1:] == [last]
        assert self.answered == is_whole
        assert kinds[:1] in ([], [WIRE.REPLY])
        assert set(kinds[1:-1] if is_whole else kinds[1:]) <= ({WIRE.DATA} if more else set())
        return is_whole


HEADER = [False, 0, "r", 1, 0, 0, ["POST", "/", "/", "127.0.0.1", []], None]
ERROR = CLIENT.BrokenAnswer("it is gone")
FAULT = ("UNHANDLED", "it has ended", "Ended")


def served(bridge: Bridge) -> Any:
    call = CALLS.Call(bridge, 1, HEADER, b"")
    call.start()
    return call


def pulled(bridge: Bridge) -> Any:
    return PULL.PulledCall(bridge, bridge, 1, HEADER, b"")


class Machine(NamedTuple):
    """One of the two: its module and class, its cells, how it begins, what its events tell, and ways to each state."""

    module: Any
    kind: Any
    cells: dict[tuple[str, str], str]
    begin: Callable[[Bridge], Any]
    told: dict[str, Callable[[], tuple[Any, ...]]]
    ways: dict[str, list[str]]


MACHINES = {
    "served": Machine(
        CALLS,
        CALLS.Call,
        SERVED,
        served,
        {
            "CONNECTED": lambda: (Connection(),),
            "HEAD": lambda: (200, [], None),
            "PIECE": lambda: (bytes(PIECE),),
            "DROPPED": lambda: (ERROR,),
            "LOSS": lambda: (ERROR,),
            "CREDIT": lambda: (1,),
            "FAILURE": lambda: (FAULT,),
        },
        {
            "CONNECTING": [],
            "ASKED": ["CONNECTED"],
            "GATHERING": ["CONNECTED", "HEAD", "PIECE"],
            "STREAMING": ["CONNECTED", "HEAD", "PIECE", "LARGE"],
            "ENDING": ["CONNECTED", "HEAD", "PIECE", "LARGE", "WHOLE"],
            "LOST": ["LOSS"],
            "BROKEN": ["CONNECTED", "HEAD", "PIECE", "LARGE", "LOSS"],
            "OVER": ["LEFT"],
        },
    ),
    "pulled": Machine(
        PULL,
        PULL.PulledCall,
        PULLED,
        pulled,
        {
            "RESULT": lambda: (b"x", 200, None),
            "LARGE_RESULT": lambda: (bytes(2 << 20), 200, None),
            "CREDIT": lambda: (1,),
            "FAILURE": lambda: (FAULT,),
        },
        {
            "GATHERING": [],
            "OFFERED": ["REQUESTED"],
            "UNWANTED": ["REQUESTED", "LEFT"],
            "SENDING": ["REQUESTED", "LARGE_RESULT"],
            "OVER": ["LEFT"],
        },
    ),
}
machines = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
pairs = [
    pytest.param(machine, state, event, id=f"{name}-{state}-{event}")
    for name, machine in MACHINES.items()
    for state, event in machine.cells
]


def happens(machine: Machine, call: Any, event: str) -> tuple[Any, ...]:
    told = machine.told.get(event, tuple)()
    call.happens(machine.module.Event[event], *told)
    return told


@machines
def test_the_tables_have_every_pair_and_no_other(machine: Machine) -> None:
    told = {
        (state.name, event.name): "-" if step is None else step[0].name
        for state, row in machine.kind.steps.items()
        for event, step in row.items()
    }

    assert told == machine.cells
    assert len(told) == len(machine.module.State) * len(machine.module.Event)


@pytest.mark.parametrize(("machine", "state", "event"), pairs)
def test_whatever_happens_in_a_state_is_answered_or_a_bug_that_is_named(
    machine: Machine, state: str, event: str
) -> None:
    async def scenario() -> None:
        bridge = Bridge()
        call = machine.begin(bridge)
        for each in machine.ways[state]:
            happens(machine, call, each)
        assert call.state.name == state

        following = machine.cells[state, event]
        if following == "-":
            with pytest.raises(RuntimeError, match=f"a call that is {call.state.value} was told"):
                happens(machine, call, event)
            assert call.state.name == state
            return
        told = happens(machine, call, event)

        assert call.state.name == following
        assert bridge.is_answered == (following == "OVER")
        if (state, event) == ("OVER", "CONNECTED"):
            assert told[0].is_aborted, "a connection that nobody closes"

    asyncio.run(scenario())


@machines
@given(st.lists(st.integers(0, 20), max_size=25))
def test_every_way_through_the_table_answers_the_call_once(machine: Machine, choices: list[int]) -> None:
    async def scenario() -> None:
        bridge = Bridge()
        call = machine.begin(bridge)
        credit = 0
        for choice in [*choices, None]:
            possible = [event for (state, event), to in machine.cells.items() if state == call.state.name and to != "-"]
            event = "FAILURE" if choice is None else possible[choice % len(possible)]
            sent = sum(size for kind, _, size in bridge.sent if kind == WIRE.DATA)
            if event == "CREDIT" and call.state.name != "OVER":
                if credit == sent:
                    continue  # pyfc gives none for what was never sent
                credit += 1
            if event == "SENT":
                continue  # the call itself finds out
            happens(machine, call, event)
            assert bridge.is_answered == (call.state.name == "OVER")

    asyncio.run(scenario())
