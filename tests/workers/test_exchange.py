"""Both real ends of the pipes of one worker, the link and the Python runtime's channel, in every order of their system
calls: whatever is sent ahead, taken back, given up or read slowly, each call is answered whole.

The pipes are real, packet mode included. The worker's thread stands still before each of its system calls until the
test lets it do one that would not block; the link's loop never runs, the test makes its callbacks. So an order is a
list of numbers, which hypothesis looks through and shortens. The long form is
`pytest --fuzz 20000 tests/workers/test_exchange.py`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyfc.host.runtimes import ROOT
from pyfc.model.bodies import Incoming, Stream
from pyfc.model.invocation import Invocation, Kind, Result
from pyfc.model.names import LATEST, Target
from pyfc.sandbox.inside import window as ours
from pyfc.wire import frames
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls, WithoutCalls
from pyfc.workers.link import Link
from worker_pipes import Pipes

with mock.patch.object(
    sys, "path", [str(ROOT / "python"), str(ROOT.parent / "pyfc" / "sandbox" / "inside"), *sys.path]
):
    import window as theirs
    import wire

    import calls

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="packet mode is of Linux")

UNARY, DATA = 6000, 1000
"""Instead of a MiB and 256 KiB: still more than a packet, and less to move."""
PIPE = 16384
AHEAD = 3
READY_AT_ONCE = 2000


class Given(NamedTuple):
    """A call: the bytes of its request, the pieces of its answer, and whether the function reads the request first."""

    size: int
    pieces: tuple[int, ...]
    reads: bool


class System:
    """The worker's system calls: each waits to be let go."""

    def __init__(self) -> None:
        self._go, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._event = (-1, 0)
        self.has_ended = False

    def stand(self, descriptor: int, event: int) -> None:
        self._event = descriptor, event
        self._stands.release()
        self._go.acquire()

    def start(self, run: Callable[[], None]) -> None:
        def whole() -> None:
            try:
                run()
            finally:
                self.has_ended = True
                self._stands.release()

        self._thread = threading.Thread(target=whole, daemon=True)
        self._thread.start()
        self._stands.acquire()

    @property
    def can_go(self) -> bool:
        """Whether what the worker stands before would not block."""
        descriptor, event = self._event
        return not self.has_ended and (descriptor < 0 or _is_ready(descriptor, event))

    def go(self) -> None:
        """Let it do that, and come to the next."""
        self._go.release()
        self._stands.acquire()

    def join(self) -> None:
        self._thread.join()

    # what the worker sees

    def read(self, descriptor: int, size: int) -> bytes:
        if not os.get_blocking(descriptor):  # it does not mean to wait
            self.stand(-1, 0)
            return os.read(descriptor, size)
        while True:
            self.stand(descriptor, select.POLLIN)
            if _is_ready(descriptor, select.POLLIN):
                return os.read(descriptor, size)

    def write(self, descriptor: int, data: Any) -> int:
        while True:
            self.stand(descriptor, select.POLLOUT)
            try:
                return os.write(descriptor, data)
            except BlockingIOError:
                continue

    def set_blocking(self, descriptor: int, blocking: bool) -> None:
        os.set_blocking(descriptor, blocking)


class Select:
    """Stands for the worker's `select`, of which it has one poll object with one descriptor."""

    POLLIN = select.POLLIN

    def __init__(self, system: System) -> None:
        self._system = system
        self._descriptor = -1

    def poll(self, *milliseconds: int) -> Any:
        if not milliseconds:
            return self  # select.poll()
        self._system.stand(-1, 0)
        return [1] if _is_ready(self._descriptor, select.POLLIN) else []

    def register(self, descriptor: int, _event: int) -> None:
        self._descriptor = descriptor


def _is_ready(descriptor: int, event: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(0))


class Client:
    """Who made a call."""

    streams = True

    def __init__(self, number: int, given: Given) -> None:
        self.number = number
        self.given = given
        self.body = b""
        self.results: list[Result] = []
        self.stream: Stream | None = None
        self.reads = True
        self.is_paused = False
        self.has_left = False
        self.incoming = Incoming(given.size) if given.size > UNARY else None
        self.unsent = max(0, given.size - UNARY)

    @property
    def call(self) -> Invocation:
        first = b"r" * min(self.given.size, UNARY)
        target = Target("s", "f")
        return Invocation(str(self.number), target, Kind.EVENT, first, None, None, 0, self.incoming)

    def head(self, head: Result, stream: Stream) -> None:
        if self.has_left:
            stream.cancel()
        else:
            self.stream = stream

    def piece(self, data: bytes | memoryview) -> bool:
        self.body += data
        self.is_paused = not self.reads and not self.has_left
        return not self.is_paused

    def result(self, result: Result) -> None:
        self.results.append(result)
        self.stream = None
        self.is_paused = False

    def send(self) -> None:
        """The next piece of the request."""
        assert self.incoming is not None
        size = min(700, self.unsent)
        self.unsent -= size
        self.incoming.write(b"r" * size)

    def resume(self) -> None:
        self.reads = True
        if self.is_paused and self.stream is not None:
            self.is_paused = False
            self.stream.resume()

    def leave(self) -> None:
        self.has_left = True
        if self.stream is not None:
            self.stream.cancel()
        if self.incoming is not None and self.unsent:
            self.incoming.break_off()
            self.unsent = 0

    @property
    def is_served(self) -> bool:
        if len(self.results) != 1:
            return False
        whole = sum(self.given.pieces)
        return self.has_left or len(self.body) + len(self.results[0].body) == whole


class Exchange(WithoutCalls):
    """One worker and the clients of its calls."""

    def __init__(self, given: list[Given], system: System) -> None:
        self.system = system
        self.pipes = Pipes(claims=True)
        outgoing, incoming, _ = self.pipes.theirs
        os.set_blocking(incoming, True)
        for descriptor in (self.pipes.worker.outgoing, outgoing):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE)
        told = {"service": {"qualifier": LATEST}}
        init = frames.Init("h", "", "/", {}, told, [], "", "", 1, "mark", {}, {}, {})
        self.link = Link(self.pipes.worker, self, "i", init, 1 << 20)
        self.clients = [Client(number, each) for number, each in enumerate(given)]
        self.waiting = deque(self.clients)
        self._given = given
        self._incoming, self._outgoing = incoming, outgoing

    def serve(self) -> None:
        """The worker, in its thread."""
        channel = wire.Channel(self._incoming, self._outgoing)
        while True:
            frame = channel.read()
            if frame is None:
                return
            if frame[0] == wire.INVOKE:
                self._run(channel, *frame[1:])

    def _run(self, channel: Any, number: int, header: list[Any], payload: bytes) -> None:
        call = calls.Call(channel, number, header[1], payload)
        given = self._given[int(header[2])]
        try:
            if given.reads:
                assert len(call.body()) == given.size
        except calls.Gone as gone:
            call.answer(("UNHANDLED", str(gone), "Gone"), 200, None, b"", lambda: False)
            return
        call.stream(None, 200, None, None, [b"x" * size for size in given.pieces], lambda: False)

    def answered(self, _link: Calls, flight: Flight, result: Result, /) -> None:
        flight.reply.result(result)

    def returned(self, _link: Calls, flights: list[Flight], /) -> None:
        for flight in reversed(flights):
            client: Any = flight.reply
            self.waiting.appendleft(client)

    # what can happen next

    def events(self) -> list[Callable[[], object]]:
        """In the order in which they happen if nobody has a choice."""
        return [*self._of_pipes(), *self._of_calls(), *self._of_clients()]

    def _of_pipes(self) -> list[Callable[[], object]]:
        found: list[Callable[[], object]] = []
        link = self.link
        if self.system.can_go:
            found.append(self.system.go)
        if _is_ready(self.pipes.worker.incoming, select.POLLIN):
            found.append(link.read)
        if link.outgoing.pieces and _is_ready(self.pipes.worker.outgoing, select.POLLOUT):
            found.append(link.outgoing._writable)
        return found

    def _of_calls(self) -> list[Callable[[], object]]:
        found: list[Callable[[], object]] = []
        if self.waiting and len(self.link.in_flight) < AHEAD:
            found.append(self._invoke)
        if len(self.link.in_flight) > 1 and self.link.discipline.packets:
            found.append(lambda: self.returned(self.link, self.link.discipline.take_back()))
        return found

    def _of_clients(self) -> list[Callable[[], object]]:
        found: list[Callable[[], object]] = []
        for client in self.clients:
            if client.unsent:
                found.append(client.send)
            if client.is_paused:
                found.append(client.resume)
        return found

    def _of_moods(self) -> list[Callable[[], object]]:
        """What nobody has to do."""
        found: list[Callable[[], object]] = []
        for flight in self.link.in_flight.values():
            client: Any = flight.reply
            if not client.has_left:
                found.append(client.leave)
                found.append(lambda client=client: setattr(client, "reads", False))
        return found

    def _invoke(self) -> None:
        client = self.waiting[0]
        if self.link.invoke(Flight(client.call, client, 60.0, 0.0, 60.0)):
            self.waiting.popleft()

    def play(self, order: list[int]) -> None:
        """Let things happen in this order, and then whatever still can."""
        for number in order:
            events = [*self.events(), *self._of_moods()]
            if events:
                events[number % len(events)]()
        still = 0
        while still < READY_AT_ONCE and not all(client.is_served for client in self.clients):
            still += 1
            events = [*self._of_pipes(), *self._of_clients()]
            if not self.link.in_flight and self.waiting:
                events.append(self._invoke)
            if not events:
                return
            for event in events:
                event()

    def close(self) -> None:
        self.link.outgoing.close()
        with open(os.devnull, "rb") as null:
            os.dup2(null.fileno(), self.pipes.worker.outgoing)  # the end of the pipe, and a number that can be closed
        while not self.system.has_ended:
            if _is_ready(self.pipes.worker.incoming, select.POLLIN):
                os.read(self.pipes.worker.incoming, 65536)
            if self.system.can_go:
                self.system.go()
        self.system.join()
        self.pipes.worker.close()


def exchange(given: list[Given], order: list[int]) -> Exchange:
    """What has become of these calls in this order."""

    async def scenario() -> Exchange:
        system = System()
        found = Exchange(given, system)
        with mock.patch.object(wire, "os", system), mock.patch.object(wire, "select", Select(system)):
            system.start(found.serve)
            try:
                found.play(order)
            finally:
                found.close()
        return found

    constants: Any = {"MAXIMUM_UNARY": UNARY, "MAXIMUM_DATA": DATA}
    with (
        mock.patch.multiple(frames, **constants),
        mock.patch.multiple(wire, **constants),
        mock.patch.object(ours, "SIZE", DATA),
        mock.patch.object(theirs, "SIZE", DATA),
    ):
        return asyncio.run(scenario())


sizes = st.sampled_from([1, 100, DATA - 1, DATA, DATA + 1, 2 * DATA])
givens = st.lists(
    st.builds(
        Given,
        st.sampled_from([0, 10, UNARY + 1, UNARY + 3 * DATA]) | st.just(0),
        st.lists(sizes, min_size=1, max_size=5).map(tuple),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


SMALL = [Given(0, (1,), False), Given(0, (1,), False)]


@given(givens, st.lists(st.integers(0, 30), max_size=150))
@example(SMALL, [0, 1])  # the next call is there before the first piece
@example(SMALL, [0, 0, 1, 28, 0, 0, 12])  # and is taken back before the worker has read it
@example([Given(0, (1,), False)] * 4, [0, 0, 0, 0, 0, 3, 0, 0, 1, 1, 1, 1])  # one of them is in the backlog then
def test_every_call_is_answered_whole_in_every_order(given: list[Given], order: list[int]) -> None:
    done = exchange(given, order)

    assert [client.number for client in done.clients if not client.is_served] == []
    assert not done.link.life.is_broken
    assert not done.link.in_flight
