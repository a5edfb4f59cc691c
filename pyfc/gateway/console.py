"""The door of the console: its sockets are bound before any function runs, and its process starts when somebody
connects. That process takes what waits at the sockets, serves the console (pyfc/console), and ends when nobody has
looked for a while; then the sockets are watched here again. So the console costs nothing while nobody looks, and calls
have their own process always.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from socket import socket

from pyfc.auth.sessions import LINK_SECONDS, Logins
from pyfc.errors import AddressInUse, ConsolePortInUse, InvalidArgument, Unavailable
from pyfc.gateway.addresses import listening
from pyfc.model.hosts import is_loopback
from pyfc.settings import Settings
from pyfc.tasks import Tasks

PATH = "/console/"
_LOOPBACK = "127.0.0.1"
_PAUSE = 5.0
"""Seconds between the failure of a process and the start of another."""
_log = logging.getLogger(__name__)


class ConsoleDoor:
    """The sockets of one server's console, and its process."""

    def __init__(self, settings: Settings, data_folder: Path, endpoint: Callable[[], str]) -> None:
        """`endpoint`: the address of the server itself."""
        self._settings = settings
        self._data_folder = data_folder
        self._endpoint = endpoint
        self._sockets: list[socket] = []
        self._process: asyncio.subprocess.Process | None = None
        self._closing = asyncio.Event()
        self._tasks = Tasks()
        self._host = settings.host if settings.tls_certificate or is_loopback(settings.host) else _LOOPBACK
        self.takes_links = is_loopback(self._host)
        """Whether a link logs in; where other machines come, only a key does."""

    @property
    def is_kept_local(self) -> bool:
        """Whether other machines reach the server, but not the console, since that takes TLS."""
        return self._host != self._settings.host

    def bind(self) -> None:
        """Take the port. Raises ConsolePortInUse, InvalidArgument."""
        try:
            self._sockets = listening(self._host, self._settings.console_port)
        except AddressInUse as error:
            raise ConsolePortInUse(host=self._host, port=self._settings.console_port) from error
        self._watch()

    @property
    def url(self) -> str:
        """Where it is; '' if no port was taken."""
        if not self._sockets:
            return ""
        host = f"[{self._host}]" if ":" in self._host else self._host
        scheme = "https" if self._settings.tls_certificate else "http"
        return f"{scheme}://{host}:{self._sockets[0].getsockname()[1]}{PATH}"

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            loop.add_reader(each.fileno(), self._knocked)

    def _ignore(self) -> None:
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            loop.remove_reader(each.fileno())

    def _knocked(self) -> None:
        self._ignore()
        self._tasks.begin("serving the console", self._serve())

    async def _serve(self) -> None:
        """From the first who looks to the last."""
        try:
            status = await self._run()
        except OSError as error:
            _log.warning("the console cannot be started: %s", error)
            status = 1
        if status:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _PAUSE)
        if not self._closing.is_set():
            self._watch()

    async def _run(self) -> int:
        numbers = [each.fileno() for each in self._sockets]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "pyfc.console",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, pass_fds=numbers, start_new_session=True,
        )  # fmt: skip
        self._process = process
        if self._closing.is_set():
            process.kill()
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(json.dumps(self._order(numbers)).encode() + b"\n")
            await process.stdin.drain()  # and it stays open: its end is that of this server
        return await process.wait()

    def _order(self, numbers: list[int]) -> dict[str, object]:
        settings = self._settings
        return {
            "endpoint": self._endpoint(),
            "data_folder": str(self._data_folder.absolute()),
            "sockets": numbers,
            "names": [self._host, *settings.allow_host],
            "takes_links": self.takes_links,
            "certificate": settings.tls_certificate,
            "key": settings.tls_key,
            "account_id": settings.account_id,
            "region": settings.region,
        }

    async def close(self) -> None:
        """Let go of the port, and end the process."""
        self._closing.set()
        self._ignore()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await asyncio.gather(*self._tasks)
        for each in self._sockets:
            each.close()
        self._sockets = []


class ConsoleLinks:
    """Links that log in, for `pyfc console`."""

    def __init__(self, settings: Settings, data_folder: Path, endpoint: Callable[[], str]) -> None:
        """See ConsoleDoor."""
        self.door = ConsoleDoor(settings, data_folder, endpoint)
        self._logins = Logins(data_folder)

    def link(self, role: str) -> dict[str, object]:
        """A new one, which is good once and for so many `seconds`; 0 if it does not log in: where other machines come,
        only a key does. `role`: reader, or '' for who may do everything. Raises InvalidArgument, Unavailable.
        """
        if role not in {"", "reader"}:
            raise InvalidArgument(message=f"role is {role[:100]!r}: it must be reader, or not given")
        url = self.door.url
        if not url:
            raise Unavailable(message="this server has no console: `pyfc serve` and `pyfc dev` have one")
        if not self.door.takes_links:
            return {"url": url, "seconds": 0}
        token = self._logins.link(reads_only=bool(role))
        return {"url": f"{url}login?token={token}", "seconds": LINK_SECONDS}

    def revoke(self) -> dict[str, object]:
        """Links and sessions end; how many sessions these were."""
        return {"revoked": self._logins.revoke()}
