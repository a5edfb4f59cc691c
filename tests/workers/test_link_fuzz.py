"""Whatever a worker sends: the link answers each call at most once, holds little, and ends a worker that lies.

`pytest --fuzz 100000 tests/workers/test_link_fuzz.py` is the long form.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tracemalloc
from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from pyfc.model.invocation import Invocation, Kind, Result
from pyfc.model.names import LATEST, Target
from pyfc.sandbox.sandbox import Cell
from pyfc.wire import frames
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls, WithoutCalls
from pyfc.workers.launch import Worker
from pyfc.workers.link import Link
from worker_pipes import Silent

MAXIMUM_RESULT = 1 << 20
CALLS = 3


class Answers:
    """What the callers of the link's calls got."""

    streams = False

    def __init__(self) -> None:
        self.results: list[Result] = []

    def result(self, result: Result) -> None:
        self.results.append(result)


class Owner(WithoutCalls):
    def answered(self, _link: Calls, flight: Flight, result: Result, /) -> None:
        flight.reply.result(result)


def frame(kind: int, call: int, header: Any, payload: bytes, lie: int = 0) -> bytes:
    packed = header if isinstance(header, bytes) else msgpack.packb(header)
    length = max(0, 7 + len(packed) + len(payload) + lie)
    return frames.PREFIX.pack(length, kind, call, len(packed) % 65536) + packed + payload


texts = st.text(max_size=8)
numbers = st.integers(-1, 2**33)
faults = st.none() | st.tuples(st.sampled_from(["HANDLED", "UNHANDLED", "x"]), texts, texts) | texts
replies = st.tuples(
    st.booleans(), st.none() | st.integers(-1, 70000), faults, st.integers(-1, 700),
    st.none() | st.lists(st.lists(texts, max_size=3), max_size=3), st.booleans(),
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
headers = replies | st.lists(anything, max_size=8) | anything | st.binary(max_size=12)
kinds = st.sampled_from([3, 4, 5, *range(16, 22)]) | st.integers(0, 255)
well_formed = st.builds(frame, kinds, st.integers(0, CALLS + 1), headers, st.binary(max_size=40))
honest = st.builds(
    lambda call, body: frame(frames.REPLY, call, (False, len(body), None, 200, None, False), body),
    st.integers(1, CALLS), st.binary(max_size=40),
)  # fmt: skip
lying = st.builds(
    frame, kinds, st.integers(0, CALLS + 1), headers, st.binary(max_size=40), st.integers(-20, 20) | st.just(2**30)
)
streams = st.lists(well_formed | honest | st.builds(lambda data: data, st.binary(max_size=64)) | lying, max_size=8)


def pipes() -> tuple[list[int], list[int]]:
    """The link's ends (frames in, frames out, output) and the worker's."""
    incoming, outgoing, output = os.pipe(), os.pipe(), os.pipe()
    ours, theirs = [incoming[0], outgoing[1], output[0]], [incoming[1], outgoing[0], output[1]]
    for descriptor in [*ours, *theirs]:
        os.set_blocking(descriptor, False)
    return ours, theirs


async def converse(data: list[bytes], sizes: list[int], concurrency: int) -> tuple[Link, list[Answers]]:
    """A link with calls in flight whose worker sends `data` in pieces of `sizes`, and then dies."""
    ours, theirs = pipes()
    process = Silent()
    cell = Cell(0, None, None, lambda _: None)
    incoming, outgoing, output = ours
    worker = Worker(
        process=process,
        incoming=incoming,
        outgoing=outgoing,
        output=output,
        claims=-1,
        cell=cell,
        give_back=lambda _: None,
    )
    told = {"service": {"qualifier": LATEST}}
    init = frames.Init("h", "", "/", {}, told, [], "", "", concurrency, "", {}, {}, {})
    link = Link(worker, Owner(), "i", init, MAXIMUM_RESULT)
    answers = [Answers() for _ in range(CALLS if concurrency > 1 else 1)]
    for answer in answers:
        call = Invocation("r", Target("s", "f"), Kind.EVENT, b"x")
        link.invoke(Flight(call, answer, 60.0, 0.0, 60.0))  # type: ignore[arg-type]
    stream = b"".join(data)
    at = 0
    while at < len(stream) and not process.killed:
        size = sizes[at % len(sizes)]
        at += os.write(theirs[0], stream[at : at + size])
        link.read()
    process.send_signal(signal.SIGKILL)
    while not link.life.closed:
        await asyncio.sleep(0)
    for descriptor in theirs:
        os.close(descriptor)
    return link, answers


@given(streams, st.lists(st.integers(1, 60), min_size=1, max_size=4), st.sampled_from([1, CALLS]))
def test_a_worker_may_send_anything(data: list[bytes], sizes: list[int], concurrency: int) -> None:
    link, answers = asyncio.run(converse(data, sizes, concurrency))

    assert not link.in_flight
    for answer in answers:
        assert len(answer.results) == 1
        assert len(answer.results[0].body) <= MAXIMUM_RESULT


def test_a_length_that_is_announced_and_never_comes_takes_little_memory() -> None:
    told = frames.PREFIX.pack(frames.MAXIMUM_FRAME, frames.REPLY, 1, 8) + b"x" * 40
    tracemalloc.start()
    try:
        asyncio.run(converse([told], [64], 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20
