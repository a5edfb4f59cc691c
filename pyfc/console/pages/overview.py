"""The first page: how it goes, and what has failed lately."""

from __future__ import annotations

from typing import Any

from pyfc.client.transport import ApiError
from pyfc.console.page import Asked, Page, Shown
from pyfc.errors import NotFound

_DAY = 86400.0
_FAILURES = 10
_BUSIEST = 5
NOT_FOUND = NotFound.status


def overview(asked: Asked) -> Shown:
    """See module."""
    functions = served(asked)
    metrics = measured(asked, _DAY)
    calls = recorded(asked, seconds=_DAY, error="*", limit=_FAILURES)
    region = (metrics or {}).get("region")
    busiest = sorted(
        (metrics or {}).get("functions", {}).items(), key=lambda pair: -pair[1]["metrics"]["FunctionTotalInvocations"]
    )
    values = {
        "functions": functions,
        "region": region,
        "failures": None if calls is None else calls["calls"],
        "busiest": [(name, found) for name, found in busiest[:_BUSIEST] if any(found["calls"])],
        "instances": sum(sum(each["instances"].values()) for each in functions),
        "endpoint": asked.client.endpoint,
    }
    return Shown("overview.html", values)


def served(asked: Asked) -> list[dict[str, Any]]:
    """The functions of the server; those that nobody has called yet may have no pool, and so no `instances`."""
    return [{"instances": {}, **each} for each in asked.client.functions()]


def measured(asked: Asked, seconds: float, function: str = "") -> dict[str, Any] | None:
    """Metrics; None if the server keeps none. Raises ApiError."""
    try:
        return asked.client.metrics(function, seconds=seconds)
    except ApiError as error:
        if error.status == NOT_FOUND:
            return None
        raise


def recorded(asked: Asked, function: str = "", **wanted: Any) -> dict[str, Any] | None:
    """Records of calls; None if the server keeps none. Raises ApiError."""
    try:
        return asked.client.calls(function, **wanted)
    except ApiError as error:
        if error.status == NOT_FOUND:
            return None
        raise


PAGES = (Page("", overview, "overview"),)
