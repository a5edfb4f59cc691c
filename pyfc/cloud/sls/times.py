"""Times in SLS's SQL: seconds since the epoch, or text as `from_unixtime` gives it; SLS shows them at +08:00."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

_ZONE = timezone(timedelta(hours=8))
_SHOWN = "%Y-%m-%d %H:%M:%S"
_SPANS = MappingProxyType({"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800})
_MONTHS = MappingProxyType({"month": 1, "quarter": 3, "year": 12})
_UNITS = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
_MYSQL = MappingProxyType(
    {"i": "M", "s": "S", "M": "B", "W": "A", "c": "m", "e": "d", "k": "H", "l": "I", "r": "I:%M:%S %p"}
)
"""How MySQL's names of parts of times are spelt in Python where they differ."""
_JAVA = MappingProxyType(
    {"yyyy": "%Y", "yy": "%y", "y": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "hh": "%h", "mm": "%i", "ss": "%s"}
)
"""How MySQL spells what Java's patterns have."""


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, _ZONE)
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), _ZONE)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=_ZONE)


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(_ZONE):{_SHOWN}}.{moment.microsecond // 1000:03}"


def _from_unixtime(value: Any, *_: Any) -> str | None:
    return _shown(_moment(value))


def _to_unixtime(value: Any) -> float | None:
    moment = _moment(value)
    return None if moment is None else moment.timestamp()


def _date_format(value: Any, form: Any) -> str | None:
    moment = _moment(value)
    if moment is None or form is None:
        return None
    return moment.strftime(re.sub(r"%(.)", lambda found: f"%{_MYSQL.get(found[1], found[1])}", str(form)))


def _date_trunc(unit: Any, value: Any) -> str | None:
    moment = _moment(value)
    if moment is None:
        return None
    unit = str(unit).lower()
    if unit in ("month", "year", "quarter"):
        month = 1 if unit == "year" else moment.month if unit == "month" else (moment.month - 1) // 3 * 3 + 1
        return _shown(moment.replace(month=month, day=1, hour=0, minute=0, second=0, microsecond=0))
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "week":
        return _shown(day - timedelta(days=day.weekday()))
    span = _SPANS[unit]
    return _shown(day + timedelta(seconds=(moment - day).seconds // span * span if span < _SPANS["day"] else 0))


def _time_series(value: Any, window: Any, form: Any, *_: Any) -> str | None:
    moment = _moment(value)
    found = re.fullmatch(r"(\d+)([smhd])", str(window))
    if moment is None or found is None:
        return None
    span = max(int(found[1]), 1) * _UNITS[found[2]]
    shifted = int(moment.timestamp()) + 8 * 3600
    return _date_format(shifted // span * span - 8 * 3600, form)


def _date_parse(value: Any, form: Any) -> str | None:
    if value is None or form is None:
        return None
    python = re.sub(r"%(.)", lambda found: f"%{_MYSQL.get(found[1], found[1])}", str(form))
    return _shown(datetime.strptime(str(value), python).replace(tzinfo=_ZONE))


def _date_diff(unit: Any, first: Any, second: Any) -> int | None:
    begin, end = _moment(first), _moment(second)
    if begin is None or end is None:
        return None
    unit = str(unit).lower()
    if unit not in _MONTHS:
        return int((end - begin).total_seconds() / _SPANS[unit])
    months = (end.year - begin.year) * 12 + end.month - begin.month
    if months and (_months_later(begin, months) > end) == (months > 0):
        months -= 1 if months > 0 else -1
    return int(months / _MONTHS[unit])


def _now() -> str | None:
    return _shown(datetime.now(_ZONE))


def _months_later(moment: datetime, months: int) -> datetime:
    """The same day of another month, or its last one."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = (datetime(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def _date_add(unit: Any, count: Any, value: Any) -> str | None:
    moment = _moment(value)
    if moment is None or count is None:
        return None
    unit = str(unit).lower()
    if unit in _MONTHS:
        return _shown(_months_later(moment, int(count) * _MONTHS[unit]))
    return _shown(moment + timedelta(seconds=int(count) * _SPANS[unit]))


def _part(work: Callable[[datetime], int]) -> Callable[[Any], int | None]:
    """A function of the parts of a time."""

    def part(value: Any) -> int | None:
        moment = _moment(value)
        return None if moment is None else work(moment.astimezone(_ZONE))

    return part


def _format_datetime(value: Any, form: Any) -> str | None:
    """As Java writes patterns: yyyy-MM-dd."""
    return _date_format(value, re.sub("y+|M+|d+|H+|h+|m+|s+", lambda found: _JAVA[found[0]], str(form)))


def _date(value: Any) -> str | None:
    moment = _moment(value)
    return None if moment is None else f"{moment.astimezone(_ZONE):%Y-%m-%d}"


def _to_iso8601(value: Any) -> str | None:
    moment = _moment(value)
    return None if moment is None else moment.astimezone(_ZONE).isoformat(timespec="milliseconds")


_YEAR, _MONTH, _DAY = (_part(work) for work in (lambda m: m.year, lambda m: m.month, lambda m: m.day))
_DAY_OF_WEEK, _DAY_OF_YEAR = _part(lambda moment: moment.isoweekday()), _part(lambda m: m.timetuple().tm_yday)
_WEEK = _part(lambda moment: moment.isocalendar().week)

FUNCTIONS: Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "from_unixtime": (_from_unixtime, (1, 2)), "to_unixtime": (_to_unixtime, (1,)),
    "date_format": (_date_format, (2,)), "date_parse": (_date_parse, (2,)), "date_trunc": (_date_trunc, (2,)),
    "date_diff": (_date_diff, (3,)), "date_add": (_date_add, (3,)), "time_series": (_time_series, (3, 4)),
    "now": (_now, (0,)), "date": (_date, (1,)),
    "format_datetime": (_format_datetime, (2,)), "to_iso8601": (_to_iso8601, (1,)),
    "from_iso8601_timestamp": (_from_unixtime, (1,)),
    "year": (_YEAR, (1,)), "month": (_MONTH, (1,)), "day": (_DAY, (1,)), "day_of_month": (_DAY, (1,)),
    "quarter": (_part(lambda moment: (moment.month + 2) // 3), (1,)), "week": (_WEEK, (1,)),
    "week_of_year": (_WEEK, (1,)), "day_of_week": (_DAY_OF_WEEK, (1,)), "dow": (_DAY_OF_WEEK, (1,)),
    "day_of_year": (_DAY_OF_YEAR, (1,)), "doy": (_DAY_OF_YEAR, (1,)),
    "hour": (_part(lambda moment: moment.hour), (1,)), "minute": (_part(lambda moment: moment.minute), (1,)),
    "second": (_part(lambda moment: moment.second), (1,)),
}  # fmt: skip
"""By name: what it does, and how many arguments it may have."""
