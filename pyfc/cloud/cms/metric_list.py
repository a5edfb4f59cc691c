"""DescribeMetricList, and QueryMetricList as it was called before: the points of one metric.

1. A range has what is after its beginning and not after its end. A point has the time at which its period begins.
2. The period that has not ended yet is told as far as it is known.
3. A name that one machine cannot know has no points; `Message` says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pyfc.errors import InvalidArgument, NotFound
from pyfc.observe.metrics.metrics import Metrics
from pyfc.observe.metrics.names import ABSENT, FUNCTION, REGION, SERVICE, Metric, metric_of
from pyfc.observe.metrics.point import Point, Series
from pyfc.observe.metrics.store import OF_INSTANCES, STEPS, Found, Wanted

NAMESPACE = "acs_fc"
_MINUTE, _DAY = 60, 86400
_LONGEST = 31 * _DAY
_SPAN = 3600.0
"""Seconds before the end, if no beginning is asked for."""
_MOST_ON_PAGE, _USUAL_PAGE = 1440, 1000
_MOST_DIMENSIONS = 50
_MILLISECONDS = re.compile(r"[0-9]{11,16}")
_SECONDS = re.compile(r"[0-9]{1,10}")
_LEVEL = re.compile(rf"({REGION}|{SERVICE}|{FUNCTION}Qualifier|{FUNCTION})(\w+)")
_DIMENSIONS = {
    REGION: (),
    SERVICE: ("serviceName",),
    FUNCTION: ("serviceName", "functionName"),
    f"{FUNCTION}Qualifier": ("serviceName", "functionName", "qualifier"),
}
_INSTANCE = "instanceId"
_NAMES = ("serviceName", "functionName", "qualifier", _INSTANCE)


class Place(NamedTuple):
    """Whose points these are."""

    account: str
    region: str


class _Asked(NamedTuple):
    """What is asked for."""

    level: str
    metric: Metric | None
    """None for what one machine cannot know."""
    why: str
    period: int
    start: float
    """Seconds since the epoch."""
    end: float
    dimensions: list[dict[str, str]]
    length: int
    skipped: int
    """Points of the pages before."""


async def metric_list(
    metrics: Metrics, place: Place, parameters: Mapping[str, str], now: float, *, is_older: bool
) -> dict[str, Any]:
    """The answer. `is_older`: to QueryMetricList. Raises InvalidArgument, NotFound."""
    asked = _asked(parameters, now, is_older=is_older)
    found: list[Found] = []
    if asked.metric is not None:
        for names in _selections(asked, place):
            found += await metrics.read(
                Wanted(_step(asked.period, names[-1]), asked.start - asked.period, asked.end + asked.period, *names)
            )
    points = _points(asked, place, found)
    page = points[asked.skipped : asked.skipped + asked.length]
    answer: dict[str, Any] = {"Code": "200", "Success": True, "Period": str(asked.period)}
    answer["Datapoints"] = json.dumps(page, separators=(",", ":"))
    if asked.why or not metrics.is_kept:
        answer["Message"] = asked.why or "no metrics are kept: the server was started with `observe` off"
    if asked.skipped + len(page) < len(points):
        answer["Cursor" if is_older else "NextToken"] = str(asked.skipped + len(page))
    return answer


def _step(period: int, instance: str) -> int:
    """The longest of which periods are made."""
    return max(step for step in (OF_INSTANCES if instance else STEPS) if period % step == 0)


def _points(asked: _Asked, place: Place, found: Iterable[Found]) -> list[dict[str, Any]]:
    """In order of time, for each period in which something was measured."""
    sums: dict[tuple[int, tuple[str, ...]], Point] = {}
    shown = (*_DIMENSIONS[asked.level], _INSTANCE)
    for series, time, point in {(each.series, each.time): each for each in found}.values():
        begins = time - time % asked.period
        if asked.start < begins <= asked.end:
            sums.setdefault((begins, tuple(_names(series)[name] for name in shown)), Point()).merge(point)
    told = []
    for (begins, names), point in sorted(sums.items()):
        value = asked.metric.value(point) if asked.metric is not None else None
        if value is not None and asked.metric is not None:
            own = {"timestamp": begins * 1000, "userId": place.account, "region": place.region}
            told.append({**own, **_whose(shown, names), "Value": value, asked.metric.statistic: value})
    return told


def _whose(shown: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Dimensions of a point; of an instance where it is one's."""
    return {name: value for name, value in zip(shown, names, strict=True) if value or name != _INSTANCE}


def _names(series: Series) -> dict[str, str]:
    return dict(zip(_NAMES, series, strict=True))


def _selections(asked: _Asked, place: Place) -> list[tuple[str, str, str, str]]:
    """Service, function, qualifier and instance of what is asked for; '' for any, but of instances for none. Nothing of
    another region or account.
    """
    ours = {"region": place.region, "userId": place.account}
    chosen = (each for each in asked.dimensions or [{}] if {**ours, **each}.items() >= ours.items())
    return list(dict.fromkeys(_named(each) for each in chosen))


def _named(chosen: Mapping[str, str]) -> tuple[str, str, str, str]:
    service, function, qualifier, instance = (chosen.get(name, "") for name in _NAMES)
    return service, function, qualifier, instance


def _asked(parameters: Mapping[str, str], now: float, *, is_older: bool) -> _Asked:
    """What these parameters say. Raises InvalidArgument, NotFound."""
    namespace, name = ("Project", "Metric") if is_older else ("Namespace", "MetricName")
    if parameters.get(namespace) != NAMESPACE:
        raise NotFound(
            message=f"{namespace} is {parameters.get(namespace, '')[:100]!r}: there is {NAMESPACE} here only"
        )
    level, metric, why = _metric(parameters.get(name, ""))
    end = _time(parameters, "EndTime", now)
    start = _time(parameters, "StartTime", end - _SPAN)
    if not start < end:
        raise InvalidArgument(message="StartTime must be before EndTime")
    if end - start > _LONGEST:
        raise InvalidArgument(message="StartTime must be at most 31 days before EndTime")
    return _Asked(
        level, metric, why, _period(parameters.get("Period", "")), start, end,
        _dimensions(parameters.get("Dimensions", "")),
        min(_number(parameters, "Length", _USUAL_PAGE), _MOST_ON_PAGE) or 1,
        _number(parameters, "Cursor" if is_older else "NextToken", 0),
    )  # fmt: skip


def _metric(name: str) -> tuple[str, Metric | None, str]:
    """The level of a name, what it measures, and why that is not known if it is not. Raises NotFound."""
    found = _LEVEL.fullmatch(name)
    metric = metric_of(found[1], found[2]) if found is not None else None
    if found is not None and metric is not None:
        return found[1], metric, ""
    if found is not None and found[2] in ABSENT:
        return found[1], None, ABSENT[found[2]]
    raise NotFound(message=f"there is no metric {name[:100]!r}")


def _period(text: str) -> int:
    period = int(text or _MINUTE) if _SECONDS.fullmatch(text or "60") else 0
    if not period or period % _MINUTE or _DAY % period:
        raise InvalidArgument(
            message=f"Period is {text[:100]!r}: it is a number of minutes, in seconds, like 60 or 3600"
        )
    return period


def _time(parameters: Mapping[str, str], name: str, usual: float) -> float:
    """A time, in seconds since the epoch: in milliseconds since then, or as text (UTC)."""
    text = parameters.get(name, "").strip()
    if not text:
        return usual
    if _MILLISECONDS.fullmatch(text):
        return int(text) / 1000
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidArgument(
            message=f"{name} is {text[:100]!r}: write milliseconds since 1970, or 2026-11-28 09:30:00 (UTC)"
        ) from None


def _number(parameters: Mapping[str, str], name: str, usual: int) -> int:
    text = parameters.get(name, "")
    if text and not _SECONDS.fullmatch(text):
        raise InvalidArgument(message=f"{name} is {text[:100]!r}: it must be a number")
    return int(text) if text else usual


def _dimensions(text: str) -> list[dict[str, str]]:
    """One object of names and values, or a list of such. Raises InvalidArgument."""
    try:
        found = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        found = None
    several = [found] if isinstance(found, dict) else found
    if not isinstance(several, list) or len(several) > _MOST_DIMENSIONS or not all(map(_is_named, several)):
        form = '[{"serviceName": "demo", "functionName": "hello"}]'
        raise InvalidArgument(message=f"Dimensions must be like {form}, and at most {_MOST_DIMENSIONS} of them")
    return several


def _is_named(each: object) -> bool:
    return isinstance(each, dict) and all(isinstance(value, str) for value in each.values())
