"""Control sockets, both ends: frames in whatever pieces they come, each with its own descriptors; what is no frame ends
the conversation.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import msgpack
import pytest

from pyfc.errors import HostRefused, InstanceLost
from pyfc.host.runtimes import ROOT
from pyfc.wire import frames
from pyfc.workers.zygote import Control, NotMade

INSIDE = ROOT.parent / "pyfc" / "sandbox" / "inside"


def frame(kind: int, token: int, header: Sequence[Any]) -> bytes:
    packed = msgpack.packb(header)
    return frames.PREFIX.pack(7 + len(packed), kind, token, len(packed)) + packed


async def answered(pieces: list[bytes]) -> None:
    """Ask for a fork, and have the other side answer so. Raises what the fork raises."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    with theirs:
        control = Control(ours)
        order = asyncio.ensure_future(control.fork({}, []))
        assert (await loop.sock_recv(theirs, 65536))[4] == frames.FORK
        try:
            for piece in pieces:
                theirs.send(piece)
                await asyncio.sleep(0)
            async with asyncio.timeout(10):
                await order
        finally:
            theirs.close()
            await control.close()


REFUSED = frame(frames.FORKED, 1, (-11, False, "the fork failed"))


@pytest.mark.parametrize("size", [1, 3, 11, len(REFUSED)])
def test_an_answer_may_come_in_any_pieces(size: int) -> None:
    with pytest.raises(NotMade, match="Resource temporarily unavailable"):
        asyncio.run(answered([REFUSED[at : at + size] for at in range(0, len(REFUSED), size)]))


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 11, frames.PREFIX.pack(8, frames.FORKED, 1, 9) + b"x", frame(frames.FORKED, 1, (-11,))[:-1] + b"\xc1"],
    ids=["length", "header size", "header"],
)
def test_who_waits_for_a_zygote_that_talks_nonsense_is_told_that_it_has_ended(garbage: bytes) -> None:
    with pytest.raises(HostRefused) as told:
        asyncio.run(answered([garbage]))

    assert isinstance(told.value, InstanceLost)


LISTENER = """
import json, os, sys
sys.path[:0] = sys.argv[2:]
import control
listener = control.Control(int(sys.argv[1]))
for _ in range(3):
    kind, token, header, descriptors = listener.next()
    print(json.dumps([kind, token, header, [os.read(each, 10).decode() for each in descriptors]]), flush=True)
"""


def test_each_order_to_a_zygote_has_its_own_descriptors_however_it_is_cut() -> None:
    ours, theirs = socket.socketpair()
    argv = [sys.executable, "-I", "-S", "-c", LISTENER, str(theirs.fileno()), str(ROOT / "python"), str(INSIDE)]
    heard = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, text=True)
    theirs.close()
    sent = []
    for token, names in enumerate([["a", "b"], [], ["c"]]):
        data = frame(frames.FORK, token, ({"CORE": token},))
        descriptors = [_that_holds(name) for name in names]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        cut = token * 5 + 1
        ours.sendmsg([data[:cut]], rights)
        ours.sendall(data[cut:])
        for each in descriptors:
            os.close(each)
        sent.append([frames.FORK, token, [{"CORE": token}], names])
    told, _ = heard.communicate(timeout=30)
    ours.close()

    assert [json.loads(line) for line in told.splitlines()] == sent


def _that_holds(text: str) -> int:
    """The reading end of a pipe with this text in it."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading
