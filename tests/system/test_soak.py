"""A server that has worked for long holds what it held when it was warm: memory, descriptors, processes, files."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import psutil
import pytest

from support import DEADLINE, Server, template, wait_until

CALLS = 24_000
CONNECTIONS = 8
CODE = """
import os

def handler(event, context):
    if event == b"raise":
        raise ValueError("wanted")
    if event == b"print":
        print("x" * 100)
    if event == b"exit":
        os._exit(1)
    return event

def initializer(context):
    pass
"""
KINDS = (b"echo", b"raise", b"print", b"later", b"large", b"exit")
WEIGHTS = (940, 20, 20, 10, 8, 2)
BODIES = {b"large": b"l" * 100_000}
GROWTH = 4_000_000
"""Bytes that a server may have gained since it was warm: what an allocator keeps of a busy moment."""


class Held(NamedTuple):
    """What might be lost little by little."""

    descriptors: int
    processes: int
    zombies: int
    files: int
    memory: int

    def is_within(self, other: Held) -> bool:
        """Whether it is no more than that; the one or other connection may just have been closed."""
        return all(mine <= its for mine, its in zip(self, other._replace(memory=other.memory + GROWTH), strict=True))

    @classmethod
    def by(cls, server: Server) -> Held:
        own = psutil.Process(server.process.pid)
        every = [own, *own.children(recursive=True)]
        zombies = [each for each in every if each.status() == psutil.STATUS_ZOMBIE]
        names = ("code", "cache", "packages", "blobs")
        files = [path for name in names for path in (server.data_dir / name).rglob("*")]
        return cls(own.num_fds(), len(every), len(zombies), len(files), own.memory_info().rss)


class Caller:
    """Calls over one connection, one after the other, of a random kind each."""

    def __init__(self, server: Server, seed: int) -> None:
        self.answers: Counter[tuple[bytes, int]] = Counter()
        self._server = server
        self._random = random.Random(seed)

    async def call(self, count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        for kind in self._random.choices(KINDS, WEIGHTS, k=count):
            body = BODIES.get(kind, kind)
            later = b"X-Fc-Invocation-Type: Async\r\n" if kind == b"later" else b""
            writer.write(
                b"POST /2016-08-15/services/demo/functions/f/invocations HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: %d\r\n%s\r\n%s" % (len(body), later, body)
            )
            async with asyncio.timeout(DEADLINE):
                self.answers[kind, await self._answer(reader)] += 1
        writer.close()
        await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> int:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(size)
        return int(head.split(b" ", 2)[1])


def work(server: Server, count: int, seed: int) -> Counter[tuple[bytes, int]]:
    """So many calls; which kinds were answered how. Returns when the server is quiet again."""

    async def whole() -> Counter[tuple[bytes, int]]:
        callers = [Caller(server, seed + number) for number in range(CONNECTIONS)]
        await asyncio.gather(*(caller.call(count // CONNECTIONS) for caller in callers))
        return sum((caller.answers for caller in callers), Counter[tuple[bytes, int]]())

    answers = asyncio.run(whole())
    wait_until(lambda: not server.manage("GET", "/pyfc/events").json["depth"]["waiting"], "the asynchronous calls")
    wait_until(
        lambda: not server.manage("GET", "/pyfc/functions").json["functions"][0]["instances"], "idle release", 60
    )
    return answers


@pytest.mark.long
def test_after_many_calls_of_every_kind_the_server_holds_what_it_held_when_it_was_warm(
    serve: Callable[..., Server], *, is_torture: bool
) -> None:
    half = (1_000_000 if is_torture else CALLS) // 2
    functions = {"f": {"Initializer": "index.initializer"}}
    server = serve({"index.py": CODE, "template.yml": template(functions)}, "--quiet", PYFC_IDLE_TIMEOUT="0.5")
    work(server, half, 0)
    for path in ("/pyfc/metrics", "/pyfc/calls"):  # what opens files when it is first asked for, or after 10 s
        assert server.manage("GET", path).status == 200
    before = Held.by(server)
    assert before.zombies == 0

    answers = work(server, half, 100)

    assert sum(answers.values()) == half // CONNECTIONS * CONNECTIONS
    assert {(kind, status) for kind, status in answers if status != 200} == {(b"later", 202)}, answers
    wait_until(lambda: Held.by(server).is_within(before), f"no more than {before}, but for some memory")
