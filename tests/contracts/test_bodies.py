"""Bodies in both directions: the server's end and each Python runtime's end against each other, in every order in which
the frames of one, the frames of the other, the client and the function may come.

`pytest --fuzz 20000 tests/contracts/test_bodies.py` is the long form.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.model.bodies import Incoming
from pyfc.model.invocation import Invocation, Kind, Result, Usage
from pyfc.model.names import Target
from pyfc.sandbox.inside import window
from pyfc.wire import frames
from pyfc.workers.flight import Download, Upload
from runtime_modules import load

Frame = tuple[int, int, list[Any], bytes]
NUMBER, STALE, AHEAD = 7, 6, 8
SIZE = window.SIZE
UNARY = frames.MAXIMUM_UNARY


[PYTHON] = load("python", "calls")
CUSTOM, PULL, WIRE = load("custom", "calls", "pull", "wire")


_CONTENT = b"".join(b"%07x " % at for at in range(1 << 20))


def content(size: int) -> bytes:
    """Bytes in which a lost, doubled or moved piece shows."""
    return _CONTENT[:size]


class World:
    """The server's end of one call, its client, and the two pipes; `choose` says what happens next."""

    streams = True

    def __init__(self, choose: Callable[[int], int], request: bytes, pieces: list[int], strangers: int) -> None:
        self.choose = choose
        self.to_worker: deque[Frame] = deque()
        self.to_server: deque[Frame] = deque()
        self.received = bytearray()
        self.refused = 0
        """Calls that were sent ahead and given back."""
        self.ended: list[Any] = []
        self.leaves = self.has_left = False
        self.is_full = False
        self._strangers = strangers
        self._rest = [request[at : at + size] for at, size in _cut(len(request), pieces)]
        first = b""
        while self._rest and len(first) < min(len(request), UNARY):
            first += self._rest.pop(0)
        self._incoming = Incoming(len(request)) if len(request) > UNARY else None
        call = Invocation("r", Target("s", "f"), Kind.HTTP, first, incoming=self._incoming)
        self.first = first[:UNARY]
        self._upload = Upload(NUMBER, call) if self._incoming is not None else None
        self._download: Download | None = None
        self.pump()

    # the reply that the client gets

    def head(self, result: Result, stream: Any) -> None:
        pass

    def piece(self, data: bytes | memoryview) -> bool:
        self.received += data
        self.is_full = self.choose(3) == 0
        return not self.is_full

    # the worker's end

    def write(self, kind: int, call: int, header: tuple[Any, ...], payload: bytes = b"") -> None:
        self.to_server.append((kind, call, list(header), bytes(payload)))
        self.check()

    def step(self) -> bool:
        """Something happens outside of the worker; False if nothing can."""
        actions = [self._take] if self.to_server else []
        if self._rest and not self.has_left:
            actions.append(self._send_more)
        if self.is_full:
            actions.append(self._drain)
        if self._strangers:
            actions.append(self._stranger)
        if self.leaves and not self.has_left:
            actions.append(self._leave)
        if actions:
            actions[self.choose(len(actions))]()
        self.check()
        return bool(actions)

    def settle(self) -> None:
        while self.step():
            pass

    def check(self) -> None:
        """Never more on its way than the window."""
        for pipe in (self.to_worker, self.to_server):
            assert sum(len(each[3]) for each in pipe if each[0] == frames.DATA and each[1] == NUMBER) <= SIZE

    # what may happen

    def _take(self) -> None:
        kind, number, header, payload = self.to_server.popleft()
        if kind == frames.CANCEL:
            assert (number, header) == (AHEAD, ["busy"])
            self.refused += 1
        elif kind == frames.REPLY:
            more, size, fault, status = header[:4]
            if not more:
                self.received += payload
                self.ended.append(fault)
                return
            head = Result(None, b"", Usage(0, 0, False, "i", None), status, None, size=size)
            self._download = Download(head, 0, self, self._tell)  # type: ignore[arg-type]
            if payload:
                self._download.take(payload, credit=False)
        elif kind == frames.END:
            self.ended.append(header[0])
        elif kind == frames.DATA:
            assert self._download is not None
            self._download.take(payload)
        elif not self.ended and self._upload is not None:
            assert kind == frames.CREDIT
            self._upload.grant(header[0])
            self.pump()

    def _tell(self, kind: int, header: tuple[Any, ...]) -> None:
        if not self.ended:
            self.to_worker.append((kind, NUMBER, list(header), b""))

    def _send_more(self) -> None:
        assert self._incoming is not None
        self._incoming.write(self._rest.pop(0))
        self.pump()

    def _drain(self) -> None:
        self.is_full = False
        assert self._download is not None
        self._download.resume()

    def _stranger(self) -> None:
        self._strangers -= 1
        kind = (frames.CREDIT, frames.DATA, frames.INVOKE, frames.CANCEL)[self.choose(4)]
        number, payload = (AHEAD, b"x") if kind == frames.INVOKE else (STALE, b"stale")
        self.to_worker.append((kind, number, [100, 1], payload if kind != frames.CREDIT else b""))

    def _leave(self) -> None:
        self.has_left = True
        self._rest.clear()
        self._tell(frames.CANCEL, ("disconnected",))

    def pump(self) -> None:
        if self._upload is None or self.ended:
            return
        sent = self._upload.ready()
        for piece in sent[1::2]:
            self.to_worker.append((frames.DATA, NUMBER, [True], bytes(piece)))


def _cut(size: int, pieces: list[int]) -> Iterator[tuple[int, int]]:
    at = number = 0
    while at < size:
        length = min(pieces[number % len(pieces)], size - at)
        yield at, length
        at, number = at + length, number + 1


class Channel:
    """The pipes as a worker that blocks sees them: while it waits, the world goes on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.write = world.write

    def read(self) -> Frame:
        while not self._world.to_worker:
            assert self._world.step(), "the worker waits, and nothing will ever come"
        return self._world.to_worker.popleft()

    def arrived(self) -> Frame | None:
        for _ in range(self._world.choose(3)):
            self._world.step()
        return self._world.to_worker.popleft() if self._world.to_worker else None


sizes = st.sampled_from([0, 1, 10, UNARY, UNARY + 1, UNARY + SIZE, UNARY + SIZE + 1, UNARY + 3 * SIZE + 5])
answers = st.lists(st.sampled_from([1, 100, 10_000, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE]), max_size=6)
cuts = st.lists(st.sampled_from([1000, 65536, SIZE, SIZE + 1, UNARY]), min_size=1, max_size=3)
orders = st.integers(0, 2**32 - 1).map(random.Random)
READS = ("first", "all", "none", "between")


@given(orders, sizes, answers, cuts, st.sampled_from(READS), st.integers(0, 5), st.booleans())
def test_the_python_runtimes_bodies_arrive_and_nobody_waits_for_ever(
    order: Any, size: int, answer: list[int], pieces: list[int], reads: str, strangers: int, leaves: bool
) -> None:
    request, result = content(size), content(sum(answer))
    world = World(order.randrange, request, pieces, strangers)
    world.leaves = leaves
    call = PYTHON.Call(Channel(world), NUMBER, size, world.first)
    seen = bytearray()

    def function() -> Iterator[bytes]:
        if reads == "first":
            seen.extend(call.body())
        for at, length in _cut(len(result), answer or [1]):
            if reads == "between":
                seen.extend(call.read_some())
            yield result[at : at + length]
        if reads == "all":
            seen.extend(call.body())

    call.stream(None, 200, None, None, function(), lambda: False, lambda error: [str(error)])
    world.settle()

    assert world.ended == [None]
    assert request.startswith(seen)
    assert result.startswith(world.received)
    if not world.has_left:
        assert world.received == result
        assert reads in ("none", "between") or seen == request
    assert all(frame[1] != AHEAD or frame[0] == frames.INVOKE for frame in world.to_worker)


class Exchange:
    """A user's server that takes what it is sent, and answers, in pieces, when the world chooses."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self.taken = bytearray()
        self.waiting: Callable[[], None] | None = None
        self.is_paused = False

    def ask(self, head: bytes, _taker: Any, *, is_head: bool, unsent: int) -> None:
        assert not is_head
        self.taken += head.partition(b"\r\n\r\n")[2]

    def write(self, piece: bytes, on_drained: Callable[[], None]) -> bool:
        assert self.waiting is None, "more than it has room for"
        self.taken += piece
        self.waiting = on_drained if self._choose(2) else None
        return self.waiting is None

    def drain(self) -> None:
        waiting, self.waiting = self.waiting, None
        assert waiting is not None
        waiting()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        self.waiting = None


class Bridge:
    """What a call needs of its bridge."""

    def __init__(self, world: World, exchange: Exchange) -> None:
        self.send = world.write
        self.fixed = [("x-fc-qualifier", "LATEST"), ("x-fc-initialization-timeout", "3")]
        self.upstream = self
        self._exchange = exchange
        self.answered: list[int] = []
        self.done = self.answered.append

    def idle(self) -> Exchange:
        return self._exchange


def invoke(size: int) -> list[Any]:
    return [size > UNARY, size, "r", 1, 0, 0, ["POST", "/", "/", "127.0.0.1", []], None]


class Served:
    """A call of the bridge with both its sides."""

    def __init__(self, order: Any, size: int, answer: list[int], pieces: list[int], *, leaves: bool) -> None:
        self.choose = order.randrange
        self.request, self.result = content(size), content(sum(answer))
        self.world = World(self.choose, self.request, pieces, 0)
        self.world.leaves = leaves
        self.exchange = Exchange(self.choose)
        self.bridge = Bridge(self.world, self.exchange)
        self._call = CUSTOM.Call(self.bridge, NUMBER, invoke(size), self.world.first)
        self._parts = [self.result[at : at + length] for at, length in _cut(len(self.result), answer or [1])]
        self._to_come = [lambda: self._call.head(200, [], None), *[self._go_on] * len(self._parts), self._call.end]

    def _go_on(self) -> None:
        self._call.data(self._parts.pop(0))

    def _deliver(self) -> None:
        kind, _, header, payload = self.world.to_worker.popleft()
        if not self.bridge.answered:
            self._call.take(kind, header, payload)

    def _answer(self) -> None:
        self._to_come.pop(0)()

    def _actions(self) -> list[Callable[[], Any]]:
        actions: list[Callable[[], Any]] = [self._deliver] if self.world.to_worker else []
        if self.exchange.waiting:
            actions.append(self.exchange.drain)
        if self._to_come and not self.exchange.is_paused and not self.bridge.answered:
            actions.append(self._answer)
        return actions

    async def run(self) -> None:
        self._call.start()
        while True:
            await asyncio.sleep(0)  # the call begins its answer in the loop's next turn
            actions = self._actions()
            number = self.choose(len(actions) + 1)
            if number < len(actions):
                actions[number]()
            elif not self.world.step() and not actions:
                return


@given(orders, sizes, answers, cuts, st.booleans())
def test_the_bridges_bodies_arrive_and_nobody_waits_for_ever(
    order: Any, size: int, answer: list[int], pieces: list[int], leaves: bool
) -> None:
    served = Served(order, size, answer, pieces, leaves=leaves)

    asyncio.run(served.run())

    assert (served.bridge.answered, len(served.world.ended)) == ([NUMBER], 1)
    assert served.request.startswith(served.exchange.taken)
    assert served.world.received == served.result or served.world.has_left


class Api:
    """The runtime API, whose program answers when it is told to."""

    def __init__(self) -> None:
        self.open: dict[str, Any] = {}
        self.offered: list[bytes] = []

    def offer(self, _headers: Any, body: bytes) -> None:
        self.offered.append(body)


@given(orders, sizes, sizes, cuts, st.booleans())
def test_a_pulled_calls_bodies_arrive_and_nobody_waits_for_ever(
    order: Any, size: int, told: int, pieces: list[int], leaves: bool
) -> None:
    request, result = content(size), content(told)
    world = World(order.randrange, request, pieces, 0)
    world.leaves = leaves
    bridge, api = Bridge(world, Exchange(order.randrange)), Api()
    call = PULL.PulledCall(bridge, api, NUMBER, invoke(size), world.first)
    call.start()

    while True:
        if world.to_worker and order.randrange(2):
            kind, _, header, payload = world.to_worker.popleft()
            if not bridge.answered:
                call.take(kind, header, payload)
        elif api.open and order.randrange(2):
            api.open.popitem()[1]("response", {}, result)
        elif not world.step() and not world.to_worker and not api.open:
            break

    assert (bridge.answered, len(world.ended)) == ([NUMBER], 1)
    assert api.offered == [request] or world.has_left
    assert world.received == result or world.has_left


@pytest.mark.parametrize("size", [0, SIZE + 1])
def test_what_has_no_credit_is_refused(size: int) -> None:
    ours = window.Window()

    with pytest.raises(ValueError, match="had credit"):
        ours.use(size)
    with pytest.raises(ValueError, match="on their way"):
        ours.give(1)
