"""HTTP to addresses that may be asked, by httpcore."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpcore
import psutil

from pyfc.errors import NotReached
from pyfc.model.networks import Address, Allowed, address_of, may_be_asked, why_not
from pyfc.outgoing.interface import Answered

_LARGEST = 64 * 1024
_CONNECTIONS, _LOOKUPS = 16, 4
"""At once."""
_FAILED = (
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.UnsupportedProtocol, OSError,
)  # fmt: skip


class HttpTransport:
    """See Transport."""

    def __init__(self, rules: Sequence[Allowed]) -> None:
        self._backend = _Backend(rules)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(), max_connections=_CONNECTIONS, max_keepalive_connections=0,
            network_backend=self._backend,
        )  # fmt: skip

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, reads: bool) -> Answered:
        """See Transport."""
        named = {"Accept-Encoding": "identity", "Connection": "close", **headers}
        sent = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        try:
            async with self._pool.stream("POST", url, headers=sent, content=body) as response:
                content = await _content(response, url) if reads else b""
        except _FAILED as error:
            raise NotReached(url=url, reason=str(error) or type(error).__name__) from error
        told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answered(response.status, told, content)

    async def close(self) -> None:
        """See Transport."""
        self._backend.close()
        await self._pool.aclose()


async def _content(response: httpcore.Response, url: str) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_stream():
        size += len(piece)
        if size > _LARGEST:
            raise NotReached(url=url, reason=f"its answer has more than {_LARGEST} bytes")
        pieces.append(piece)
    return b"".join(pieces)


class _Backend(httpcore.AnyIOBackend):
    """Connects to addresses that may be asked."""

    def __init__(self, rules: Sequence[Allowed]) -> None:
        self._rules = rules
        self._threads = ThreadPoolExecutor(_LOOKUPS, "pyfc-names")
        """Of its own: a name whose server hangs must not use up those that others need."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See AsyncNetworkBackend."""
        address = await self._resolved(host, port)
        return await super().connect_tcp(str(address), port, timeout, local_address, socket_options)

    async def _resolved(self, host: str, port: int) -> Address:
        """The first of a name's addresses that may be asked. Raises ConnectError."""
        look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} is not known: {error}") from error
        addresses, own = [address_of(str(each[4][0])) for each in found], _own()
        usable = (each for each in addresses if may_be_asked(host, port, each, own, self._rules))
        address = next(usable, None)
        if address is None:
            raise httpcore.ConnectError(why_not(host, port, addresses))
        return address

    def close(self) -> None:
        """Look no name up any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _own() -> set[str]:
    """The addresses of this machine."""
    return {each.address.partition("%")[0] for listed in psutil.net_if_addrs().values() for each in listed}
