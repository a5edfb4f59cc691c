"""The door between a pip that downloads and the builds that it asks for: pip itself never runs code of a package.

A request (pip_door.py) is a command, where it starts, a few variables, and two descriptors: for what it prints, and for
its exit status. pip wrote it, who read what strangers wrote: nothing in it widens what the build may do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

_LARGEST = 1024 * 1024


class Request(NamedTuple):
    """A command that pip wants to be run."""

    command: list[str]
    folder: str
    environment: dict[str, str]
    output: int
    """Descriptor for what it prints; open until the request is answered."""


@contextlib.asynccontextmanager
async def opened(serve: Callable[[Request], Awaitable[int]]) -> AsyncIterator[int]:
    """A descriptor for pip to inherit; `serve` answers its requests, one after the other, with an exit status."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine.setblocking(False)
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LARGEST)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
    serving = asyncio.ensure_future(_serve(mine, serve))
    with mine, theirs:
        try:
            yield theirs.fileno()
        finally:
            serving.cancel()
            await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()  # raises what `serve` has


async def _serve(door: socket.socket, serve: Callable[[Request], Awaitable[int]]) -> None:
    while True:
        await _readable(door)
        with contextlib.suppress(BlockingIOError):
            data, descriptors, _, _ = socket.recv_fds(door, _LARGEST, 2)
            status = 1
            try:
                status = await _served(data, descriptors[0], serve)
            finally:
                with contextlib.suppress(OSError):  # whoever asked has gone
                    os.write(descriptors[1], b"%d" % status)
                for descriptor in descriptors:
                    os.close(descriptor)


async def _served(data: bytes, output: int, serve: Callable[[Request], Awaitable[int]]) -> int:
    try:
        request = Request(output=output, **json.loads(data))
    except (ValueError, TypeError):
        return 1
    return await serve(request)


async def _readable(door: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(door, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(door)
