"""Messages for what this server does not have of MNS, EventBridge and the like, as HTTP requests to the endpoint that
is configured: `PYFC_DESTINATION_ENDPOINT=http://127.0.0.1:9000`. The path is that of the ARN, the ARN itself a header.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from pyfc.errors import InvalidArgument, NotReached, Unavailable
from pyfc.model.invocation import Trace
from pyfc.outgoing.client import Outgoing, check_url

_TRACING = "X-Fc-Tracing-Opentracing-Span-"


class Webhook:
    """Delivers to one endpoint; '' for none."""

    def __init__(self, endpoint: str) -> None:
        """Raises InvalidArgument for what can be no endpoint."""
        try:
            if endpoint:
                check_url(endpoint)
        except NotReached as error:
            raise InvalidArgument(message=f"PYFC_DESTINATION_ENDPOINT can be no endpoint: {error}") from None
        self._endpoint = endpoint.rstrip("/")
        named = urlsplit(endpoint).netloc
        self._outgoing = Outgoing([named] if named else [])  # who configures it may name any machine

    @property
    def is_configured(self) -> bool:
        """Whether there is an endpoint."""
        return bool(self._endpoint)

    async def __call__(self, address: str, message: bytes, _: int, trace: Trace | None = None) -> None:
        """Deliver. Raises Unavailable if it was not taken."""
        if not self._endpoint:
            advice = "make the queue or topic, or set PYFC_DESTINATION_ENDPOINT"
            raise Unavailable(message=f"nothing here takes messages for {address}: {advice}")
        url = self._endpoint + quote("/" + address.rpartition(":")[2].lstrip("/"))
        headers = {"Content-Type": "application/json", "X-Fc-Destination": address, **_headers(trace)}
        answered = await self._outgoing.post(url, message, headers, reads=False)
        if answered.status >= 300:
            raise Unavailable(message=f"{self._endpoint} answered {answered.status} for {address}")

    async def close(self) -> None:
        """Give up what is under way."""
        await self._outgoing.close()


def _headers(trace: Trace | None) -> dict[str, str]:
    """Those of a trace, as callers of functions send it; what no header can hold is quoted."""
    span, baggage = trace or ("", {})
    told = {
        f"{_TRACING}Baggage-{name}": value if value.isprintable() and max(value, default="") <= "\xff" else quote(value)
        for name, value in baggage.items()
    }
    return {f"{_TRACING}Context": span, **told} if span else told
