"""The door between pip and its builds answers everybody who asks, whatever is asked."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from pyfc.build import door

LOOPS = pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
GOOD = {"command": ["build", "it"], "folder": "/there", "environment": {"A": "b"}}
Loops = Callable[[], asyncio.AbstractEventLoop]


def run(make: Loops, scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(bounded())


async def asked(descriptor: int, request: Any) -> bytes:
    """What is answered to a request, as pip_door.py sends it."""
    mine, theirs = socket.socketpair()
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    with socket.socket(fileno=os.dup(descriptor)) as pip:
        descriptors = array.array("i", [1, theirs.fileno()])
        pip.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    theirs.close()
    with mine:
        mine.setblocking(False)
        return await asyncio.get_running_loop().sock_recv(mine, 16)


@LOOPS
def test_requests_are_answered_with_the_status_of_what_they_ask_for(make: Loops) -> None:
    seen: list[door.Request] = []

    async def serve(request: door.Request) -> int:
        seen.append(request)
        return 40 + len(seen)

    async def scenario() -> None:
        async with door.opened(serve) as descriptor:
            assert [await asked(descriptor, GOOD) for _ in range(3)] == [b"41", b"42", b"43"]

    run(make, scenario)
    assert [(each.command, each.folder, each.environment) for each in seen] == [
        (["build", "it"], "/there", {"A": "b"})
    ] * 3


@LOOPS
@pytest.mark.parametrize(
    "request_",
    [
        b"no JSON",
        b"[]",
        b"\xff",
        {},
        {**GOOD, "command": "ls"},
        {**GOOD, "environment": {"A": 1}},
        {**GOOD, "folder": None},
    ],
)
def test_what_is_no_request_is_answered_too_and_the_next_one_is_served(make: Loops, request_: Any) -> None:
    async def serve(_: door.Request) -> int:
        return 7

    async def scenario() -> None:
        async with door.opened(serve) as descriptor:
            assert await asked(descriptor, request_) == b"1"
            assert await asked(descriptor, GOOD) == b"7"

    run(make, scenario)


@LOOPS
@pytest.mark.parametrize("count", [0, 1])
def test_a_request_without_a_way_to_answer_it_stops_nothing_and_leaves_no_descriptor(make: Loops, count: int) -> None:
    async def serve(_: door.Request) -> int:
        return 7

    async def scenario() -> None:
        async with door.opened(serve) as descriptor:
            before = len(os.listdir("/dev/fd"))
            with socket.socket(fileno=os.dup(descriptor)) as pip:
                ways = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1] * count))]
                pip.sendmsg([json.dumps(GOOD).encode()], ways if count else [])
            assert await asked(descriptor, GOOD) == b"7"
            assert len(os.listdir("/dev/fd")) == before

    run(make, scenario)


@LOOPS
def test_what_a_build_raises_is_raised_at_the_end_and_pip_gets_all_its_answers(make: Loops) -> None:
    async def serve(request: door.Request) -> int:
        if request.folder == "/broken":
            raise ZeroDivisionError
        return 0

    async def scenario() -> None:
        async with door.opened(serve) as descriptor:
            assert await asked(descriptor, {**GOOD, "folder": "/broken"}) == b"1"
            assert await asked(descriptor, GOOD) == b"0"

    with pytest.raises(ZeroDivisionError):
        run(make, scenario)


@LOOPS
def test_a_program_that_asks_is_heard_although_it_is_killed_before_its_answer(make: Loops) -> None:
    program = str(Path(door.__file__).with_name("pip_door.py"))
    begun = asyncio.Event()

    async def serve(request: door.Request) -> int:
        if request.command == ["first"]:
            begun.set()
            await killed.wait()
        return 9

    killed = asyncio.Event()

    async def scenario() -> None:
        async with door.opened(serve) as descriptor:
            arguments = (sys.executable, "-I", program, str(descriptor))
            first = await asyncio.create_subprocess_exec(*arguments, "first", pass_fds=[descriptor])
            await begun.wait()
            first.kill()
            await first.wait()
            killed.set()
            second = await asyncio.create_subprocess_exec(*arguments, "second", pass_fds=[descriptor])
            assert await second.wait() == 9

    run(make, scenario)
