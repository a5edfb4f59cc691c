"""Takes connections from a listening socket, as far as there are descriptors for them.

1. Where they run short, connections that nobody uses are closed first; then new ones get 503 and are closed.
2. Where there are none at all, nothing is accepted for a moment: a listening socket stays readable meanwhile, so asking
   again and again would be a loop without end.
3. A client that is turned away gets a moment to read its answer: with what it sent still unread, closing at once
   could take the answer away from it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from pyfc.host.descriptors import Descriptors
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_BATCH = 64
"""Connections that are accepted before others have their turn."""
_PAUSE = 0.1
"""Seconds without accepting, when the machine has no descriptor left."""
_MOMENT = 0.02
"""Seconds in which closed connections give back their descriptors."""
_MOST_AWAY = 16
_LINGER = 0.5


class Acceptor:
    """What uvicorn calls a server: one listening socket."""

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        descriptors: Descriptors,
        connections: Collection[Any],
        make_room: Callable[[], bool],
        refusal: Callable[[], bytes],
        tls: tuple[ssl.SSLContext, float] | None,
    ) -> None:
        """`connections`: those there are. `make_room`: closes some that nobody uses, tells whether there were any.
        `tls`: with the seconds that a handshake may take.
        """
        self._socket = listening
        self._protocol = protocol
        self._descriptors = descriptors
        self._connections = connections
        self._make_room = make_room
        self._refusal = refusal
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._away: deque[socket.socket] = deque()
        self._is_open = True
        listening.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept nothing more."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)
            while self._away:
                self._away.popleft().close()

    async def wait_closed(self) -> None:
        """Nothing to wait for: the connections are the server's."""

    def _resume(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._socket, self._accept)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            has_room = self._descriptors.has_room_for_connection(len(self._connections) + len(self._tasks))
            if not has_room and self._make_room():
                self._pause(_MOMENT)
                return
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("no connection can be accepted for a moment: %s", error.strerror)
                self._pause(_PAUSE)
                return
            if has_room:
                self._tasks.begin("a connection that was accepted", self._connect(connection))
            else:
                self._turn_away(connection)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            if self._tls is None:
                await self._loop.connect_accepted_socket(self._protocol, connection)
            else:
                context, seconds = self._tls
                await self._loop.connect_accepted_socket(
                    self._protocol, connection, ssl=context, ssl_handshake_timeout=seconds
                )
        except OSError:  # it has left, or does not speak TLS
            connection.close()

    def _turn_away(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if self._tls is None:
            try:
                connection.send(self._refusal())
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                connection.close()
                return
        self._away.append(connection)
        if len(self._away) > _MOST_AWAY:
            self._away.popleft().close()
        self._loop.call_later(_LINGER, self._forget, connection)

    def _forget(self, connection: socket.socket) -> None:
        connection.close()
        if connection in self._away:
            self._away.remove(connection)
