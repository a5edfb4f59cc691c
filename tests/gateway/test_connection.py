"""The connection itself, with a transport that is written to memory and a function that answers when it is told to."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from pyfc.auth.keys import Keys
from pyfc.auth.permissions import Permissions
from pyfc.auth.signature import Verifier
from pyfc.calls.table import Entry, Table
from pyfc.errors import Internal
from pyfc.gateway.checks import Callers
from pyfc.gateway.connection import Connection
from pyfc.gateway.context import ServerContext
from pyfc.gateway.guard import Guard
from pyfc.gateway.invocations import Invocations
from pyfc.gateway.reading import TRANSITIONS, Happening, Reading
from pyfc.gateway.sites import Sites
from pyfc.model.bodies import Stream
from pyfc.model.function import Function, Service
from pyfc.model.invocation import Invocation, Reply, Result, Ticket, Usage
from pyfc.model.resources import Domain, Route
from pyfc.model.trigger import Trigger
from pyfc.observe.journal import Journal
from pyfc.settings import Settings

USAGE = Usage(0.001, 1.0, cold=False, instance_id="i")
CALL = b"POST /2016-08-15/services/s/functions/f/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"
WEB = b"/2016-08-15/proxy/s/web/"
SWITCH = (
    b"GET " + WEB + b" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
LARGE = 3 * 1024 * 1024


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = self.is_cut = self.is_paused = self.has_ended = False
        self.buffered = 0
        self.has_tls = False

    def write(self, data: bytes) -> None:
        self.written += bytes(data)

    def writelines(self, pieces: Any) -> None:
        for piece in pieces:
            self.write(piece)

    def write_eof(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_cut = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.has_tls if name == "sslcontext" else default


class Held:
    """A route whose calls wait until they are answered."""

    def __init__(self) -> None:
        self.calls: list[tuple[Invocation, Reply]] = []
        self.cancelled = 0

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        self.calls.append((call, reply))
        return self

    def cancel(self) -> bool:
        self.cancelled += 1
        return False

    def answer(self, body: bytes = b"done", number: int = 0) -> None:
        _, reply = self.calls.pop(number)
        reply.result(Result(None, body, USAGE, status=200, headers=[]))

    def resume(self) -> None:
        """See Stream."""


class World:
    """One connection to a server of two functions."""

    def __init__(self, **settings: Any) -> None:
        values = Settings(**settings)
        self.route = Held()
        guard, journal = Guard(()), Journal()
        journal.wake = lambda: None  # type: ignore[method-assign]  # no batches are read
        keys = Keys(Path(os.devnull))
        callers = Callers(keys, Verifier(keys.find, None), Permissions(lambda _: None))
        invocations = Invocations(values, guard, journal, callers, lambda *_: None, is_local=True)
        self.context = ServerContext(values, invocations, Sites("", guard.is_known))
        self.context.use(self.table())
        self.context.tick(1000.0)
        self.state = ServerState()
        self.config = Config(
            self.application, ws="websockets-sansio", lifespan="off", log_config=None, interface="asgi3"
        )
        self.asked: list[dict[str, Any]] = []
        self.wire, self.connection = Wire(), None
        self.connection = self.connect(self.wire)

    def table(self) -> Table:
        config = {"authType": "anonymous", "methods": ["GET", "POST"], "convention": "handler"}
        trigger = Trigger(service="s", function="web", name="t", type="http", config=config)
        functions = [Function(service="s", name=name, runtime="python3", handler="h.h") for name in ("f", "web")]
        entries = {
            each.target: Entry(each, self.route, (trigger,) if each.name == "web" else (), is_server=each.name == "web")
            for each in functions
        }
        routes = (Route(path="/*", service="s", function="web"),)
        domain = Domain(name="safe.example.com", protocol="HTTPS", routes=routes)
        return Table({"s": Service(name="s")}, entries, {}, {domain.name: domain})

    def connect(self, wire: Wire) -> Connection:
        made = Connection(self.context, self.config, self.state, {}, asyncio.get_running_loop())
        made.connection_made(wire)  # type: ignore[arg-type]
        return made

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"asgi"})

    def send(self, data: bytes) -> Reading:
        self.connection.data_received(data)
        return self.connection.reading

    def pass_time(self, seconds: float) -> bool:
        """Whether the connection is too late then."""
        self.context.tick(self.context.now + seconds)
        return self.connection.is_late(self.context.now)

    @property
    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.wire.written.split(b"HTTP/1.1 ")[1:]]


def in_loop(scenario: Callable[[], Any]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(run())


def brought_to(reading: Reading) -> World:
    world = World()
    for step in {
        Reading.IDLE: (),
        Reading.HEAD: (CALL[:40],),
        Reading.BODY: (CALL[:-1],),
        Reading.DEAF: (b"nonsense\r\n\r\n",),
        Reading.TUNNEL: (SWITCH,),
    }[reading]:
        world.send(step)
    if reading is Reading.TUNNEL:
        world.route.calls[0][1].head(
            Result(None, b"", USAGE, status=101, headers=[("Upgrade", "websocket")]), world.route
        )
    assert world.connection.reading is reading
    return world


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize("happening", Happening)
def test_the_connection_does_what_the_table_says(reading: Reading, happening: Happening) -> None:
    async def scenario() -> None:
        world = brought_to(reading)
        wanted = TRANSITIONS[reading][happening]

        if wanted is None:
            with pytest.raises(Internal, match=f"{reading.name} was told {happening.name}"):
                world.connection._advance(happening)
        else:
            world.connection._advance(happening)

        assert world.connection.reading is (reading if wanted is None else wanted)

    in_loop(scenario)


def test_a_request_goes_through_its_states_however_it_is_cut() -> None:
    async def scenario() -> None:
        for cut in range(1, len(CALL)):
            world = World()
            first = world.send(CALL[:cut])
            assert first is (Reading.HEAD if cut < CALL.index(b"\r\n\r\n") + 4 else Reading.BODY)
            assert world.send(CALL[cut:]) is Reading.IDLE
            assert [call.body for call, _ in world.route.calls] == [b"hi"]

    in_loop(scenario)


def test_answers_are_in_the_order_of_the_requests_of_both_kinds() -> None:
    async def scenario() -> None:
        world = World()
        world.send(CALL + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + CALL)
        assert len(world.route.calls) == 1
        assert world.wire.is_paused

        world.route.answer(b"first")
        while not world.route.calls:
            await asyncio.sleep(0)
        world.route.answer(b"third")

        assert world.statuses == [200, 200, 200]
        parts = [world.wire.written.index(word) for word in (b"first", b"asgi", b"third")]
        assert parts == sorted(parts)
        assert not world.wire.is_paused
        assert not world.wire.is_closed

    in_loop(scenario)


def test_what_follows_nonsense_is_not_read_and_the_answer_that_is_owed_is_the_last() -> None:
    async def scenario() -> None:
        world = World()
        assert world.send(CALL + b"nonsense\r\n\r\n") is Reading.DEAF
        world.send(CALL)
        assert len(world.route.calls) == 1
        assert not world.wire.written

        world.route.answer()

        assert world.statuses == [200]
        assert b"Connection: close" in world.wire.written
        assert world.wire.is_closed

    in_loop(scenario)


def test_nonsense_alone_is_answered_and_the_client_gets_to_read_it() -> None:
    async def scenario() -> None:
        world = brought_to(Reading.DEAF)

        assert world.statuses == [400]
        assert world.wire.has_ended
        assert not world.wire.is_closed

    in_loop(scenario)


def test_a_client_that_leaves_in_a_call_has_it_cancelled_and_is_not_answered() -> None:
    async def scenario() -> None:
        world = World()
        world.send(CALL)
        world.connection.connection_lost(None)
        world.route.answer()

        assert world.route.cancelled == 1
        assert not world.wire.written

    in_loop(scenario)


def test_a_head_that_is_known_is_answered_as_it_was_at_first() -> None:
    async def scenario() -> None:
        world = World()
        for _ in range(3):
            world.send(CALL)
            world.route.answer()
        answers = world.wire.written.split(b"HTTP/1.1 ")[1:]

        assert world.context.known
        assert len(answers) == 3
        assert {answer.partition(b"\r\n\r\n")[2] for answer in answers} == {b"done"}
        assert {answer.count(b"\r\n") for answer in answers} == {answers[0].count(b"\r\n")}

    in_loop(scenario)


def test_a_call_leaves_nothing_that_has_to_be_collected() -> None:
    async def scenario() -> None:
        world = World()
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                world.send(CALL)
                reply = weakref.ref(world.route.calls[0][1])
                world.route.answer()
                assert reply() is None
        finally:
            gc.enable()

    in_loop(scenario)


def test_a_shell_that_is_asked_for_before_all_is_answered_runs_no_call_twice() -> None:
    async def scenario() -> None:
        world = World()
        shell = SWITCH.replace(WEB, b"/2016-08-15/services/s/functions/f/instances/i/exec")
        world.send(CALL + shell)

        assert len(world.route.calls) == 1
        world.route.answer()
        assert world.statuses == [200]
        assert world.wire.is_closed

    in_loop(scenario)


def test_in_a_tunnel_nothing_is_parsed_and_its_end_is_that_of_the_connection() -> None:
    async def scenario() -> None:
        world = brought_to(Reading.TUNNEL)
        call, reply = world.route.calls[0]
        world.send(CALL)

        assert call.incoming is not None
        assert bytes(call.incoming.take(1000) or b"") == CALL
        assert len(world.route.calls) == 1
        reply.piece(b"raw")
        assert world.wire.written.endswith(b"\r\n\r\nraw")
        world.route.answer()
        assert world.wire.is_closed
        assert world.connection.reading is Reading.DEAF

    in_loop(scenario)


def test_a_large_body_is_passed_on_and_its_client_waits_when_the_function_does_not_take_it() -> None:
    async def scenario() -> None:
        world = World()
        head = b"POST " + WEB + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % LARGE
        world.send(head)
        for _ in range(LARGE // 65536 - 1):
            world.send(b"x" * 65536)
        world.send(b"x" * 65535)
        [(call, _)] = world.route.calls
        incoming = call.incoming
        assert incoming is not None
        assert world.wire.is_paused

        taken = len(call.body)
        while piece := incoming.take(65536):
            taken += len(piece)
        assert taken == LARGE - 1
        assert not world.wire.is_paused
        world.connection.connection_lost(None)
        assert incoming.broken
        assert world.route.cancelled == 1

    in_loop(scenario)


@pytest.mark.parametrize("has_tls", [True, False])
def test_a_domain_for_https_alone_is_answered_by_tls_alone(has_tls: bool) -> None:
    async def scenario() -> None:
        world = World()
        world.wire.has_tls = has_tls
        world.connection = world.connect(world.wire)
        world.send(b"GET /x HTTP/1.1\r\nHost: safe.example.com\r\n\r\n")

        assert len(world.route.calls) == has_tls
        assert world.statuses == ([] if has_tls else [403])

    in_loop(scenario)


@pytest.mark.parametrize(
    ("reading", "setting"),
    [
        (Reading.IDLE, "keep_alive_timeout"),
        (Reading.HEAD, "header_timeout"),
        (Reading.BODY, "body_timeout"),
        (Reading.TUNNEL, None),
        (Reading.DEAF, None),
    ],
)
def test_each_state_has_its_own_time_that_a_client_may_take(reading: Reading, setting: str | None) -> None:
    async def scenario() -> None:
        world = brought_to(reading)
        seconds = getattr(world.context.settings, setting) if setting else 1e6

        assert not world.pass_time(seconds)
        assert world.pass_time(1) == (setting is not None)

    in_loop(scenario)


def test_a_client_that_waits_for_its_answer_is_never_late() -> None:
    async def scenario() -> None:
        world = World()
        world.send(CALL)

        assert not world.pass_time(1e6)
        assert not world.connection.is_unused(world.context.now, 1.0)

    in_loop(scenario)


def test_an_answer_in_pieces_waits_for_the_client_and_then_goes_on() -> None:
    async def scenario() -> None:
        world = World()
        world.send(b"GET " + WEB + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        _, reply = world.route.calls[0]
        resumed = []

        class Once(Held):
            def resume(self) -> None:
                resumed.append(True)

        stream: Stream = Once()  # type: ignore[assignment]
        reply.head(Result(None, b"", USAGE, status=200, headers=[]), stream)
        assert reply.piece(b"one")
        world.connection.pause_writing()
        assert not reply.piece(b"two")
        assert not resumed
        world.connection.resume_writing()
        world.route.answer()

        assert resumed == [True]
        assert world.wire.written.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        assert world.connection.is_unused(world.context.now + 10, 1.0)

    in_loop(scenario)
