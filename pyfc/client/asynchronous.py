"""The client for code that runs in an event loop.

It is the same client in threads: what it waits for is the network, and one description of the API is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from pyfc.client.client import Answer, Client

T = TypeVar("T")


class AsyncClient:
    """`async with AsyncClient(...) as client`; the arguments are those of Client. At most `connections` at once."""

    def __init__(self, *arguments: Any, connections: int = 32, **named: Any) -> None:
        self.client = Client(*arguments, **named)
        self._threads = ThreadPoolExecutor(connections, "pyfc-client")

    async def run(self, operation: Callable[[Client], T]) -> T:
        """Do something with the client: `await client.run(lambda c: c.services().get("shop"))`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, operation, self.client)

    async def invoke(self, service: str, function: str, event: bytes = b"", **named: Any) -> Answer:
        """See Client.invoke."""
        return await self.run(lambda client: client.invoke(service, function, event, **named))

    async def api(self, method: str, path: str, document: Any = None) -> Any:
        """See Client.api."""
        return await self.run(lambda client: client.api(method, path, document))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._threads.shutdown)
