"""A socket whose other side was killed is heard of to its end, in every kind of loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from pyfc.workers.hearing import Hearing


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("unread", [b"", b"an order"])
@pytest.mark.parametrize("told", [b"", b"an answer"])
def test_the_end_of_the_other_side_is_heard_although_it_had_not_read_everything(
    make: Callable[[], asyncio.AbstractEventLoop], unread: bytes, told: bytes
) -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        heard: list[bytes] = []
        hearing = Hearing(ours, lambda: heard.append(receive(ours)))
        ours.sendall(unread)
        theirs.sendall(told)

        theirs.close()
        async with asyncio.timeout(5):
            while b"" not in heard:
                await asyncio.sleep(0.001)
        hearing.close()
        ours.close()

        assert heard[0] == told

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(scenario())


def receive(ours: socket.socket) -> bytes:
    try:
        return ours.recv(100)
    except ConnectionResetError:
        return b""
