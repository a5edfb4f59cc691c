"""What SLS's SQL has that SQLite has not: functions of times, texts, JSON and addresses, and aggregates.

Times are seconds since the epoch, or text as `from_unixtime` gives it; SLS shows them at +08:00.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_ZONE = timezone(timedelta(hours=8))
_SHOWN = "%Y-%m-%d %H:%M:%S"
_SPANS = MappingProxyType({"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800})
_UNITS = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
_MYSQL = MappingProxyType(
    {"i": "M", "s": "S", "M": "B", "W": "A", "c": "m", "e": "d", "k": "H", "l": "I", "r": "I:%M:%S %p"}
)
"""How MySQL's names of parts of times are spelt in Python where they differ."""
_LONGEST = 100_000
"""Characters that a pattern is tried on."""


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
    return None if begin is None or end is None else int((end - begin).total_seconds() // _SPANS[str(unit).lower()])


def _now() -> str | None:
    return _shown(datetime.now(_ZONE))


def _text(work: Callable[..., Any]) -> Callable[..., Any]:
    """A function of texts that is NULL for NULL."""
    return lambda *values: None if None in values else work(*map(str, values))


def _split_part(text: str, mark: str, place: str) -> str | None:
    parts = text.split(mark) if mark else [text]
    return parts[int(place) - 1] if 0 < int(place) <= len(parts) else None


def _regexp_extract(text: str, pattern: str, group: str = "0") -> str | None:
    found = re.search(pattern, text[:_LONGEST])
    return None if found is None else found[int(group)]


def _json(text: Any, path: Any) -> Any:
    if text is None or path is None:
        return None
    found: Any = json.loads(str(text))
    for name, number in re.findall(r"""\.?([^.\[\]"'$]+)|\[["']?([^\]"']+)["']?\]""", str(path).removeprefix("$")):
        key = name or number
        if isinstance(found, list) and key.lstrip("-").isdigit():
            found = found[int(key)] if -len(found) <= int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found


def _json_extract(text: Any, path: Any) -> str | None:
    found = _json(text, path)
    return None if found is None else json.dumps(found, ensure_ascii=False)


def _json_extract_scalar(text: Any, path: Any) -> str | None:
    found = _json(text, path)
    if found is None or isinstance(found, dict | list):
        return None
    return json.dumps(found) if isinstance(found, bool) else str(found)


def _json_array_length(text: Any) -> int | None:
    found = json.loads(text) if text is not None else None
    return len(found) if isinstance(found, list) else None


def _parameter(address: str, name: str) -> str | None:
    return next(iter(parse_qs(urlsplit(address).query).get(name, [])), None)


def _concat(*values: Any) -> str | None:
    return None if None in values else "".join(map(str, values))


def _if(condition: Any, yes: Any, no: Any = None) -> Any:
    return yes if condition else no


SCALARS: Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "from_unixtime": (_from_unixtime, (1, 2)), "to_unixtime": (_to_unixtime, (1,)),
    "date_format": (_date_format, (2,)), "date_parse": (_date_parse, (2,)), "date_trunc": (_date_trunc, (2,)),
    "date_diff": (_date_diff, (3,)), "time_series": (_time_series, (3, 4)), "now": (_now, (0,)),
    "split_part": (_text(_split_part), (3,)), "strpos": (_text(lambda text, part: text.find(part) + 1), (2,)),
    "regexp_like": (_text(lambda text, pattern: bool(re.search(pattern, text[:_LONGEST]))), (2,)),
    "regexp_extract": (_text(_regexp_extract), (2, 3)),
    "regexp_replace": (_text(lambda text, pattern, by="": re.sub(pattern, by, text[:_LONGEST])), (2, 3)),
    "reverse": (_text(lambda text: text[::-1]), (1,)),
    "json_extract": (_json_extract, (2,)), "json_extract_scalar": (_json_extract_scalar, (2,)),
    "json_array_length": (_json_array_length, (1,)), "concat": (_concat, (-1,)), "if": (_if, (2, 3)),
    "url_extract_host": (_text(lambda address: urlsplit(address).hostname), (1,)),
    "url_extract_path": (_text(lambda address: urlsplit(address).path), (1,)),
    "url_extract_query": (_text(lambda address: urlsplit(address).query or None), (1,)),
    "url_extract_protocol": (_text(lambda address: urlsplit(address).scheme or None), (1,)),
    "url_extract_parameter": (_text(_parameter), (2,)), "url_decode": (_text(unquote), (1,)),
}  # fmt: skip
"""By name: what it does, and how many arguments it may have."""


class _Collected:
    """An aggregate of numbers."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._parts = [50.0]

    def step(self, value: Any, *more: Any) -> None:
        """One more row; what is no number does not count."""
        with contextlib.suppress(ValueError, TypeError):
            self._values.append(float(value))
        if more:
            self._parts = [float(more[-1]) * 100]

    def finalize(self) -> float | None:
        """The smallest number that so many of all are not above."""
        if not self._values:
            return None
        place = math.ceil(len(self._values) * self._parts[0] / 100) - 1
        return sorted(self._values)[max(place, 0)]


class _Deviation(_Collected):
    def finalize(self) -> float | None:
        """The deviation of a sample."""
        if len(self._values) < 2:
            return None
        mean = math.fsum(self._values) / len(self._values)
        return math.sqrt(math.fsum((each - mean) ** 2 for each in self._values) / (len(self._values) - 1))


class _CountIf:
    def __init__(self) -> None:
        self._count = 0

    def step(self, condition: Any) -> None:
        """One more row."""
        self._count += bool(condition)

    def finalize(self) -> int:
        """How many were so."""
        return self._count


class _Distinct:
    def __init__(self) -> None:
        self._values: set[Any] = set()

    def step(self, value: Any) -> None:
        """One more row."""
        if value is not None:
            self._values.add(value)

    def finalize(self) -> int:
        """How many there are."""
        return len(self._values)


class _First:
    def __init__(self) -> None:
        self._value: Any = None

    def step(self, value: Any) -> None:
        """One more row."""
        if self._value is None:
            self._value = value

    def finalize(self) -> Any:
        """Any of them."""
        return self._value


AGGREGATES: Mapping[str, tuple[type, tuple[int, ...]]] = {
    "approx_percentile": (_Collected, (2, 3)), "count_if": (_CountIf, (1,)), "approx_distinct": (_Distinct, (1,)),
    "arbitrary": (_First, (1,)), "stddev": (_Deviation, (1,)), "stddev_samp": (_Deviation, (1,)),
}  # fmt: skip
_NATIVE = """
    abs avg ceil ceiling char coalesce count cume_dist dense_rank exp first_value floor glob hex ifnull iif instr
    lag last_value lead length like ln log log10 log2 lower ltrim max min mod nth_value ntile nullif percent_rank pi pow
    power rank replace round row_number rtrim sign sqrt substr substring sum total trim trunc typeof unicode upper
"""
NATIVE = frozenset(_NATIVE.split())
"""SQLite's own that may be used."""


def _calm(work: Callable[..., Any]) -> Callable[..., Any]:
    """What a function cannot make sense of is NULL, as most of SLS's are for such values."""

    def calm(*values: Any) -> Any:
        try:
            return work(*values)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, OSError, RecursionError):
            return None

    return calm


def register(connection: sqlite3.Connection) -> None:
    """Give all of them to a connection."""
    for name, (work, counts) in SCALARS.items():
        for count in counts:
            connection.create_function(name, count, _calm(work), deterministic=name != "now")
    for name, (kind, counts) in AGGREGATES.items():
        for count in counts:
            connection.create_aggregate(name, count, kind)
