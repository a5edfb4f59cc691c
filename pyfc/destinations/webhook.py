"""Messages for MNS queues and topics, EventBridge and the like, as HTTP requests to the endpoint that is configured for
them: `PYFC_DESTINATION_ENDPOINT=http://127.0.0.1:9000`. The path is that of the ARN, the ARN itself a header.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import SplitResult, quote, urlsplit

from pyfc.errors import Unavailable

_TIMEOUT, _LONGEST = 10.0, 30.0
"""Seconds without a byte, and for the whole."""
_THREADS = 8


class Webhook:
    """Delivers to one endpoint; '' for none."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._threads = ThreadPoolExecutor(_THREADS, "pyfc-destination")
        """Of its own: an endpoint that hangs must not use up those that others need."""

    async def __call__(self, address: str, message: bytes) -> None:
        """Deliver. Raises Unavailable if it was not taken."""
        if not self._endpoint:
            raise Unavailable(message=f"no endpoint is configured for {address}: set PYFC_DESTINATION_ENDPOINT")
        parts = urlsplit(self._endpoint)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT)
        loop = asyncio.get_running_loop()
        posted = loop.run_in_executor(self._threads, self._post, connection, parts, address, message)
        try:
            async with asyncio.timeout(_LONGEST):
                await posted
        except TimeoutError:
            raise Unavailable(message=f"{self._endpoint} has not answered for {address} in {_LONGEST:g} s") from None
        finally:
            if not posted.done() or posted.cancelled():
                _abort(connection)

    def _post(self, connection: http.client.HTTPConnection, parts: SplitResult, address: str, message: bytes) -> None:
        path = parts.path.rstrip("/") + quote("/" + address.rpartition(":")[2].lstrip("/"))
        headers = {"Content-Type": "application/json", "X-Fc-Destination": address}
        try:
            connection.request("POST", path, message, headers)
            with connection.getresponse() as response:  # nobody wants its body
                status = response.status
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(message=f"{self._endpoint} can not be reached for {address}: {error}") from error
        finally:
            connection.close()
        if status >= 300:
            raise Unavailable(message=f"{self._endpoint} answered {status} for {address}")


def _abort(connection: http.client.HTTPConnection) -> None:
    """Let the thread that waits for it go."""
    sock: socket.socket | None = connection.sock
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
