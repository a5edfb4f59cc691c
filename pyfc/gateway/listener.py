"""uvicorn's server around our protocol: told to stop instead of catching signals, and waking up once a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from email.utils import formatdate
from functools import partial
from typing import Any, cast

from uvicorn import Config, Server

from pyfc.gateway.server import Protocol
from pyfc.gateway.shared import Shared

_TICK = 1.0


class GatewayServer(Server):
    """uvicorn's server, told to stop instead of catching signals, and waking up once a second."""

    def __init__(self, app: Any, shared: Shared) -> None:
        config = Config(
            app,
            http=cast("type[asyncio.Protocol]", partial(Protocol, shared)),  # uvicorn only calls it
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=None,
            ssl_certfile=shared.settings.tls_certificate or None,
            ssl_keyfile=shared.settings.tls_key or None,
        )
        super().__init__(config)
        self._shared = shared
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Accept nothing more, answer what has begun, then return from `serve`."""
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
        date = formatdate(usegmt=True)
        self._shared.date = f"Date: {date}\r\n"
        self.server_state.default_headers = [(b"date", date.encode())]
        self._shared.now = now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if not isinstance(connection, Protocol) or not connection.is_late(now):
                continue
            if connection.transport.get_write_buffer_size():
                connection.transport.abort()
            else:
                connection.transport.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the application's affair (app.py)."""
        yield
