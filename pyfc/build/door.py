"""The door between a pip that downloads and the builds that it asks for: pip itself never runs code of a package.

A request (pip_door.py) is a command, where it starts, a few variables, and two descriptors: for what it prints, and for
its exit status. pip wrote it, who read what strangers wrote: nothing in it widens what the build may do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import msgspec

_LARGEST = 1024 * 1024


class Request(NamedTuple):
    """A command that pip wants to be run."""

    command: list[str]
    folder: str
    environment: dict[str, str]
    output: int
    """Descriptor for what it prints; open until the request is answered."""


class _Asked(msgspec.Struct):
    """A request as it was sent."""

    command: list[str]
    folder: str
    environment: dict[str, str]


Serve = Callable[[Request], Awaitable[int]]


@contextlib.asynccontextmanager
async def opened(serve: Serve) -> AsyncIterator[int]:
    """A descriptor for pip to inherit; `serve` answers its requests, one after the other, with an exit status. What it
    raises is raised at the end, the first of it: until then pip gets its answers, or it would wait for ever.
    """
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine.setblocking(False)
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LARGEST)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
    failures: list[Exception] = []
    serving = asyncio.ensure_future(_serve(mine, serve, failures))
    with mine, theirs:  # ours too: so the other side is never gone, and a read never fails
        try:
            yield theirs.fileno()
        finally:
            serving.cancel()
            await asyncio.wait([serving])
    if failures:
        raise failures[0]


async def _serve(door: socket.socket, serve: Serve, failures: list[Exception]) -> None:
    while True:
        await _readable(door)
        with contextlib.suppress(BlockingIOError):
            data, descriptors, _, _ = socket.recv_fds(door, _LARGEST, 2)
            try:
                await _answer(data, descriptors, serve, failures)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)


async def _answer(data: bytes, descriptors: list[int], serve: Serve, failures: list[Exception]) -> None:
    if len(descriptors) != 2:
        return  # there is nobody who could be answered
    output, answer = descriptors
    status = 1
    try:
        asked = msgspec.json.decode(data, type=_Asked)
        status = await serve(Request(asked.command, asked.folder, asked.environment, output))
    except msgspec.MsgspecError:
        pass  # no request: 1
    except Exception as error:
        failures.append(error)
    finally:
        with contextlib.suppress(OSError):  # whoever asked has gone
            os.write(answer, b"%d" % status)


async def _readable(door: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(door, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(door)
