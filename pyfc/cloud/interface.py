"""What every stand-in of a cloud service is to the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from starlette.types import Receive, Scope, Send


class Door(Protocol):
    """A service's ASGI application, and which requests are for it."""

    is_open: bool
    """Whether nobody has to sign."""

    def takes(self, scope: Scope, host: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request is for the service. `host`: without the port, in lower case."""

    def names(self, host: str) -> bool:
        """Whether a host name can only mean the service."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
