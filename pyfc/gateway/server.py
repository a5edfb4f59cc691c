"""uvicorn's server around our protocol, from its port to the last answer: told to stop instead of catching signals, and
waking up once a second. What the calls become is connection.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from uvicorn import Config, Server

from pyfc.errors import Unavailable
from pyfc.gateway.acceptor import Acceptor
from pyfc.gateway.addresses import listening
from pyfc.gateway.connection import Connection
from pyfc.gateway.console import ConsoleDoor
from pyfc.gateway.context import ServerContext
from pyfc.gateway.failures import refusal
from pyfc.host.descriptors import Descriptors

_TICK = 1.0
_UNUSED = 2.0
"""Seconds after which a connection may be closed if descriptors run short."""
_MOST_CLOSED = 32
T = TypeVar("T")


class Stopped(Exception):
    """The server was told to stop before it served."""


def _websocket(*given: Any, **named: Any) -> asyncio.Protocol:
    """The protocol of a shell in an instance: few servers see one, and its import is a part of each start."""
    module = importlib.import_module("uvicorn.protocols.websockets.websockets_sansio_impl")
    return cast("asyncio.Protocol", module.WebSocketsSansIOProtocol(*given, **named))


class GatewayServer(Server):
    """uvicorn's server, told to stop instead of catching signals, and waking up once a second."""

    def __init__(
        self,
        app: Any,
        context: ServerContext,
        descriptors: Descriptors,
        console: ConsoleDoor,
        release: Sequence[Callable[[], None]] = (),
    ) -> None:
        """`release`: called when it is told to stop, so that requests which wait for something are answered."""
        config = Config(
            app,
            http=cast("type[asyncio.Protocol]", partial(Connection, context)),  # uvicorn only calls it
            ws=_websocket,  # type: ignore[arg-type]  # uvicorn only calls it
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=None,
            ssl_certfile=context.settings.tls_certificate or None,
            ssl_keyfile=context.settings.tls_key or None,
        )
        super().__init__(config)
        self._context = context
        self.console = console
        self._descriptors = descriptors
        self._release = release
        self._stop = asyncio.Event()
        self._sockets: list[socket.socket] = []
        self._serving: asyncio.Task[None] | None = None
        self.port = context.settings.port

    def bind(self) -> None:
        """Take the port; `port` is then the real one. Raises AddressInUse, InvalidArgument."""
        self._sockets = listening(self._context.settings.host, self.port)
        self.port = self._sockets[0].getsockname()[1]

    def unbind(self) -> None:
        """Give the port back, if it is taken."""
        for each in self._sockets:
            each.close()

    async def answer(self, stopping: Callable[[], Awaitable[None]]) -> None:
        """Answer requests until `stop`, when `stopping` is awaited; then answer what has begun, for at most
        `drain_timeout`.
        """
        assert self._sockets
        loop = asyncio.get_running_loop()
        serving = self._serving = loop.create_task(self.serve(sockets=self._sockets))
        told = loop.create_task(self.wait_stopping())
        await asyncio.wait([serving, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        for release in self._release:
            release()
        await stopping()
        await asyncio.wait([serving], timeout=self._context.settings.drain_timeout)
        serving.cancel()
        await asyncio.wait([serving])
        if not serving.cancelled():
            serving.result()

    def kill(self) -> None:
        """End `answer`, and what has begun with it."""
        self.stop()
        if self._serving is not None:
            self._serving.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections on `sockets`."""
        await self.lifespan.startup()
        config = self.config
        protocol = partial(Connection, self._context, config, self.server_state, self.lifespan.state)
        tls = (config.ssl, self._context.settings.header_timeout) if config.ssl is not None else None
        self._tick()
        self.servers = cast("list[asyncio.base_events.Server]", [
            Acceptor(
                each, protocol, self._descriptors, self.server_state.connections, self._make_room, self._refusal, tls
            )
            for each in sockets or ()
        ])  # fmt: skip
        self.started = True

    def _refusal(self) -> bytes:
        """For a client for whom there is no descriptor."""
        message = "this server has as many connections as its limit of descriptors allows (ulimit -n)"
        return refusal(Unavailable(message=message), self._context.date)

    def _make_room(self) -> bool:
        """Close the connections that have been unused for longest; False if none is."""
        now = self._context.now
        unused = [
            each
            for each in self.server_state.connections
            if isinstance(each, Connection) and each.is_unused(now, _UNUSED)
        ]
        unused.sort(key=lambda each: each.touched)
        for each in unused[:_MOST_CLOSED]:
            each.transport.close()
        return bool(unused)

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """What `work` gives. Raises Stopped when it is told to stop before: nothing that a start waits for may
        keep it from that.
        """
        starting = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.wait_stopping())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                raise Stopped
            return starting.result()
        finally:
            starting.cancel()
            stopping.cancel()

    def stop(self) -> None:
        """Accept nothing more, answer what has begun, then return from `answer`; or end the start."""
        self._stop.set()

    async def wait_stopping(self) -> None:
        """Return when `stop` was called."""
        await self._stop.wait()

    async def main_loop(self) -> None:
        """Renew the Date header and look after slow clients, until told to stop."""
        while not self._stop.is_set():
            self._tick()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._stop.wait()

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        self.server_state.default_headers[:] = [(b"date", self._context.tick(now).encode())]
        for connection in list(self.server_state.connections):
            if not isinstance(connection, Connection) or not connection.is_late(now):
                continue
            if connection.transport.get_write_buffer_size():
                connection.transport.abort()
            else:
                connection.transport.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the application's affair (app.py)."""
        yield
