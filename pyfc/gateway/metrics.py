"""`/pyfc/metrics`: what calls have cost since a time, by FC's names, for `pyfc stats`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from pyfc.calls.table import Table
from pyfc.errors import FunctionNotFound, InvalidArgument, NotFound
from pyfc.model.names import Target
from pyfc.observe.metrics.metrics import Metrics, step_of
from pyfc.observe.metrics.names import FUNCTION, REGION, told
from pyfc.observe.metrics.point import Point
from pyfc.observe.metrics.store import STEPS, Found, Wanted

DEFAULT_SPAN = 3600.0
_LONGEST = 366 * 86400.0
_PARTS = 24
"""Of the time that is asked for: so many numbers show how calls were spread over it."""
_FINE = 100
"""Points of a span, of which there are at least so many where they are kept: its beginning is that exact."""
Names = tuple[str, str]
"""Service and function."""


class _Span(NamedTuple):
    step: int
    start: int
    """Seconds since the epoch; a multiple of the step."""
    end: float

    @classmethod
    def of(cls, seconds: float, now: float) -> _Span:
        """The last so many seconds."""
        coarse = max((step for step in STEPS if seconds / step >= _FINE), default=min(STEPS))
        step = max(coarse, step_of(now - seconds, now))
        return cls(step, math.floor((now - seconds) / step) * step, now)

    def part_of(self, moment: int) -> int:
        """Which of the parts something is in."""
        return min(int((moment - self.start) * _PARTS / max(self.end - self.start, 1)), _PARTS - 1)


async def document(metrics: Metrics, table: Table, seconds: str, wanted: Names, qualifier: str) -> dict[str, Any]:
    """What is told of the last so many seconds: of a function (('', '') for all), called by a qualifier ('' for any).
    Raises InvalidArgument, FunctionNotFound, NotFound where no metrics are kept.
    """
    if not metrics.is_kept:
        raise NotFound(message="no metrics are kept: the server was started with `observe` off")
    span = _Span.of(_seconds(seconds), time.time())
    found = await metrics.read(Wanted(span.step, span.start, math.inf, *wanted, qualifier))
    if wanted[1] and not found and Target(*wanted) not in table.entries:
        raise FunctionNotFound(service=wanted[0], function=wanted[1])
    functions = {name: _told(points, span, FUNCTION) for name, points in _by_function(found).items()}
    if wanted[1]:
        functions.setdefault("/".join(wanted), _told([], span, FUNCTION))
    return {
        "start": span.start,
        "end": span.end,
        "step": span.step,
        "functions": functions,
        **({} if wanted[1] else {"region": _told(found, span, REGION)}),
    }


def _seconds(text: str) -> float:
    try:
        seconds = float(text) if text else DEFAULT_SPAN
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST:
        raise InvalidArgument(message=f"seconds is {text[:100]!r}: it must be a number above 0, at most {_LONGEST:.0f}")
    return seconds


def _by_function(found: Iterable[Found]) -> dict[str, list[Found]]:
    functions: dict[str, list[Found]] = {}
    for each in found:
        functions.setdefault(f"{each.series.service}/{each.series.function}", []).append(each)
    return functions


def _told(found: list[Found], span: _Span, level: str) -> dict[str, Any]:
    """Points in one: their metrics, how many calls each part of the span has, and how many of them failed."""
    whole = Point()
    calls, failed = [0] * _PARTS, [0] * _PARTS
    for each in found:
        whole.merge(each.point)
        part = span.part_of(each.time)
        calls[part] += each.point["invocations"]
        failed[part] += each.point.failures
    return {"metrics": told(whole, level), "coldStarts": whole["cold_starts"], "calls": calls, "failed": failed}
