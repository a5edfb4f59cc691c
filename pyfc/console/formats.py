"""How values are written on pages. All of it is text: templates escape what comes out of here as everything else."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any
from urllib.parse import quote

_LARGEST = 256 * 1024
"""Characters of a text that are shown at most."""
_WIDTH, _HEIGHT = 96, 20
"""Of a sparkline."""


def part(text: str) -> str:
    """A name as a part of an address."""
    return quote(text, safe="")


def milliseconds(value: object) -> str:
    """A duration: three digits that matter, and the unit."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    if value >= 60_000:
        return f"{value / 60_000:.1f} min"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def count(value: object) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}" if isinstance(value, int | float) and math.isfinite(value) else "–"


def megabytes(value: object) -> str:
    """Memory."""
    return f"{value:.0f} MB" if isinstance(value, int | float) and math.isfinite(value) else "–"


def moment(value: object) -> str:
    """A time (seconds since the epoch, or as a log has it) as ISO 8601 in UTC, '' if it is none."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        return datetime.fromisoformat(str(value)).astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    except (ValueError, OverflowError, OSError):
        return ""


def readable(text: str) -> str:
    """JSON with its lines and in its own order; other texts as they are; neither without end."""
    if len(text) > _LARGEST:
        return f"{text[:_LARGEST]}\n… ({len(text):,})"
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def decoded(data: bytes) -> str:
    """Bytes as text."""
    return data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def bars(calls: Sequence[Any], failed: Sequence[Any]) -> list[dict[str, float]]:
    """The bars of a sparkline of so many calls: `x`, `width`, `height`, and `bad`, the height of those that failed."""
    numbers = [_number(each) for each in calls]
    most = max(numbers, default=0.0)
    step = _WIDTH / max(1, len(numbers))
    bars = [
        _bar(place * step, step, number / most, _number(bad) / most)
        for place, (number, bad) in enumerate(zip_longest(numbers, failed[: len(numbers)], fillvalue=0))
        if number > 0
    ]
    return [{name: round(value, 2) for name, value in each.items()} for each in bars]


def _bar(x: float, step: float, height: float, bad: float) -> dict[str, float]:
    """`height` and `bad`: as parts of the highest. What is not nothing can be seen."""
    high = max(2.0, height * _HEIGHT)
    return {"x": x, "width": step * 0.75, "height": high, "bad": min(high, max(2.0, bad * _HEIGHT)) if bad > 0 else 0.0}


def phases(call: dict[str, Any]) -> list[dict[str, Any]]:
    """The timeline of a call: `name`, `ms`, and where of 1,000 parts it lies (`start`, `width`)."""
    starting = {str(name): _number(value) for name, value in dict(call.get("phasesMs") or {}).items()}
    waited, queued = _number(call.get("waitedMs")), _number(call.get("queuedMs"))
    rows = [("Queue", max(0.0, queued - waited)), ("Wait", max(0.0, waited - sum(starting.values())))]
    rows = [row for row in rows if row[1] > 0] + [*starting.items(), ("Invoke", _number(call.get("durationMs")))]
    whole = sum(value for _, value in rows) or 1.0
    found, begun = [], 0.0
    for name, value in rows:
        width = max(2.0, value / whole * 1000)
        found.append({"name": name, "ms": value, "start": begun / whole * 1000, "width": width})
        begun += value
    return found


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
