"""Messages for MNS queues and topics, EventBridge and the like, as HTTP requests to the endpoint that is configured for
them: `PYFC_DESTINATION_ENDPOINT=http://127.0.0.1:9000`. The path is that of the ARN, the ARN itself a header.
"""

from __future__ import annotations

import asyncio
import http.client
from urllib.parse import quote, urlsplit

from pyfc.errors import Unavailable

_TIMEOUT = 10.0


class Webhook:
    """Delivers to one endpoint; '' for none."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    async def __call__(self, address: str, message: bytes) -> None:
        """Deliver. Raises Unavailable if it was not taken."""
        if not self._endpoint:
            raise Unavailable(message=f"no endpoint is configured for {address}: set PYFC_DESTINATION_ENDPOINT")
        await asyncio.to_thread(self._post, address, message)

    def _post(self, address: str, message: bytes) -> None:
        parts = urlsplit(self._endpoint)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT)
        path = parts.path.rstrip("/") + quote("/" + address.rpartition(":")[2].lstrip("/"))
        headers = {"Content-Type": "application/json", "X-Fc-Destination": address}
        try:
            connection.request("POST", path, message, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(message=f"{self._endpoint} can not be reached for {address}: {error}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise Unavailable(message=f"{self._endpoint} answered {response.status} for {address}")
