"""Whether and where spans are exported, as settings and OpenTelemetry's own variables say."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from pyfc.errors import InvalidArgument, NotReached
from pyfc.observe.traces.exporter import Destination
from pyfc.outgoing.client import check_url
from pyfc.settings import Settings

_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_OURS = "http/protobuf"


def destination(settings: Settings, environment: Mapping[str, str]) -> Destination | None:
    """None: they are not. Raises InvalidArgument for what cannot be exported to."""
    url = settings.otlp_endpoint
    if not url or settings.observe == "off" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        check_url(url)
    except NotReached as error:
        raise InvalidArgument(message=f"otlp_endpoint can be no endpoint: {error}") from None
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(_PROTOCOL) or _OURS
    if protocol != _OURS and "PYFC_OTLP_ENDPOINT" not in environment:
        advice = f"set PYFC_OTLP_ENDPOINT to an endpoint of {_OURS}, or to nothing"
        raise InvalidArgument(message=f"{_PROTOCOL} is {protocol[:50]!r}, which pyfc does not speak: {advice}")
    if not 0 <= settings.trace_ratio <= 1:
        raise InvalidArgument(message=f"trace_ratio is {settings.trace_ratio}: it must be from 0 to 1")
    resource = {
        "cloud.provider": "alibaba_cloud",
        "cloud.platform": "alibaba_cloud_fc",
        "cloud.region": settings.region,
    }
    return Destination(url, _headers(settings.otlp_headers), {**resource, "cloud.account.id": settings.account_id})


def _headers(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name, value = name.strip(), unquote(value.strip())
        if not equals or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidArgument(message="otlp_headers must be NAME=VALUE, with commas between several")
        if not value.isascii() or not value.isprintable():
            raise InvalidArgument(message=f"otlp_headers: the value of {name} must be printable ASCII")
        found[name] = value
    return found
