"""What calls have cost: since a time, by FC's names, for `pyfc stats`; since the server's start, for Prometheus."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pyfc.auth.keys import METRICS
from pyfc.calls.table import Table
from pyfc.errors import AccessDenied, FunctionNotFound, InvalidArgument, NotFound
from pyfc.gateway.management import Api
from pyfc.model.names import Target
from pyfc.observe.metrics.exposition import OPEN_METRICS, TEXT, Family, exposition, named, wants_open
from pyfc.observe.metrics.metrics import Metrics, step_of
from pyfc.observe.metrics.names import FUNCTION, REGION, told
from pyfc.observe.metrics.point import Point, Series
from pyfc.observe.metrics.store import STEPS, Found, Wanted
from pyfc.supervisor.pool import Pool
from pyfc.version import VERSION

DEFAULT_SPAN = 3600.0
_LONGEST = 366 * 86400.0
_PARTS = 24
"""Of the time that is asked for: so many numbers show how calls were spread over it."""
_FINE = 100
"""Points of a span, of which there are at least so many where they are kept: its beginning is that exact."""
_TURN = 64
"""Lines, or histograms, that are told at once."""
Names = tuple[str, str]
"""Service and function."""


class Span(NamedTuple):
    """The points of a time that is asked for."""

    step: int
    start: int
    """Seconds since the epoch; a multiple of the step."""
    end: float

    @classmethod
    def of(cls, seconds: float, now: float) -> Span:
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
    check_kept(metrics)
    span = Span.of(seconds_of(seconds), time.time())
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


def check_kept(metrics: Metrics) -> None:
    """Raises NotFound where no metrics are kept."""
    if not metrics.is_kept:
        raise NotFound(message="no metrics are kept: the server was started with `observe` off")


def seconds_of(text: str) -> float:
    """How far back it is asked. Raises InvalidArgument."""
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


def _told(found: list[Found], span: Span, level: str) -> dict[str, Any]:
    """Points in one: their metrics, how many calls each part of the span has, and how many of them failed."""
    whole = Point()
    calls, failed = [0] * _PARTS, [0] * _PARTS
    for each in found:
        whole.merge(each.point)
        part = span.part_of(each.time)
        calls[part] += each.point["invocations"]
        failed[part] += each.point.failures
    return {"metrics": told(whole, level), "coldStarts": whole["cold_starts"], "calls": calls, "failed": failed}


class Scraped:
    """`GET /metrics`: for Prometheus. On loopback it takes no key; elsewhere, and for the ids of requests, it takes one
    that is made for this.
    """

    def __init__(self, api: Api, *, is_local: bool) -> None:
        self._api = api
        self._is_open = is_local or api.settings.auth == "off"

    async def answer(self, request: Request) -> Response:
        """The text, in parts, so that calls go on meanwhile. Raises AccessDenied, NotFound where nothing is kept."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        has_key = scheme.lower() == "bearer" and self._api.keys.opens(token.strip(), METRICS)
        if not has_key and (token or not self._is_open):
            raise AccessDenied(message="metrics take a bearer token: `pyfc keys create --scope metrics` makes one")
        metrics = self._api.metrics
        check_kept(metrics)
        await metrics.settle()
        is_open = wants_open(request.headers.get("accept", ""))
        text = exposition(metrics.totals, [*self._now()], is_open=is_open, has_examples=has_key)
        return StreamingResponse(_in_turns(text), media_type=OPEN_METRICS if is_open else TEXT)

    def _now(self) -> Iterator[Family]:
        """What there is at this moment."""
        yield Family("pyfc_build_info", "gauge", "The version of the server.", [({"version": VERSION}, 1)])
        instances: list[tuple[Mapping[str, str], float]] = []
        for target, entry in self._api.table().entries.items():
            if isinstance(entry.route, Pool):
                states: dict[str, int] = entry.route.describe()["instances"]
                instances += [({**named(Series(*target)), "state": state}, count) for state, count in states.items()]
        yield Family("pyfc_instances", "gauge", "Instances, by what they do.", instances)
        unfinished: list[tuple[Mapping[str, str], float]] = [
            ({"service": service, "function": function}, count)
            for (service, function), count in self._api.records.unfinished().items()
            if service
        ]
        yield Family("pyfc_async_unfinished", "gauge", "Asynchronous calls that wait or run.", unfinished)


async def _in_turns(text: Iterator[str]) -> AsyncIterator[str]:
    """Some at a time; between them others have their turn."""
    while part := "".join(islice(text, _TURN)):
        yield part
        await asyncio.sleep(0)
