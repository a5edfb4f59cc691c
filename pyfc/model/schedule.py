"""When something is due: FC's cron expressions, as timers and scheduled actions write them (contract §8.1).

Six fields: second, minute, hour, day of month, month, day of week; values, lists, ranges, steps, and `?` for any day. A
prefix `CRON_TZ=ZONE ` says in which time zone they count, else it is UTC; `@every 90m` counts from a moment. What other
crons have besides (L, W, #, H, R, @daily, five fields, ranges that wrap) FC has not, and it is refused by name.

The times are those of robfig/cron 3, whose syntax FC's is (tests/model/schedules.json): day of month and day of week
are alternatives where both are given, and what a change of the clock leaves out or repeats is left out or repeated.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_LONGEST = 256
"""Characters; a longer one costs more each second than it can be worth."""
SHORTEST = 60.0
"""Seconds between two times of `@every`."""
_FIELDS = (
    ("second", 0, 59), ("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12),
    ("day of week", 0, 7),
)  # fmt: skip
_DAY, _MONTH, _WEEKDAY = 3, 4, 5
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NAMES = {
    _MONTH: {name: str(number) for number, name in enumerate(_MONTHS, 1)},
    _WEEKDAY: {name: str(number) for number, name in enumerate(_WEEKDAYS)},
}
_ZONE = re.compile(r"(?:CRON_TZ|TZ)=(\S+)\s+(.*)", re.DOTALL)
_EVERY = re.compile(r"@every\s+((?:[0-9]{1,9}[hms])+)")
_TERM = re.compile(r"(\*|[0-9]{1,4})(?:-([0-9]{1,4}))?(?:/([0-9]{1,4}))?")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_ELSEWHERE = {
    "L": "the last day", "W": "the nearest weekday", "#": "the n-th weekday", "H": "a chosen value",
    "R": "a random value",
}  # fmt: skip
"""What other crons have."""


class NeverComes(ValueError):
    """An expression is right, and has no time."""


class Cron(NamedTuple):
    """Six fields in a time zone."""

    fields: str
    """As cronsim reads them."""
    zone: tzinfo

    def after(self, moment: float) -> float | None:
        """The first time that is later than a moment (seconds since the epoch); None if there is none."""
        return _first(CronSim(self.fields, datetime.fromtimestamp(moment, self.zone)))

    def before(self, moment: float) -> float | None:
        """The last time that is earlier than a moment."""
        return _first(CronSim(self.fields, datetime.fromtimestamp(moment, self.zone), reverse=True))


class Every(NamedTuple):
    """So many seconds after each other."""

    seconds: int

    def after(self, moment: float, start: float) -> float:
        """The first time that is later than a moment, counted from `start`."""
        return start + self.seconds * (max(0.0, moment - start) // self.seconds + 1)


def _first(times: CronSim) -> float | None:
    try:
        return next(times).timestamp()
    except (StopIteration, OverflowError, OSError, ValueError):
        return None


@lru_cache(maxsize=256)
def parse(text: str) -> Cron | Every:
    """Raises ValueError that says what is wrong with an expression."""
    text = text.strip()
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} characters")
    every = _EVERY.fullmatch(text)
    if every is not None:
        return _every(every[1])
    if text.split(maxsplit=1)[:1] == ["@every"]:
        raise ValueError("after @every there are numbers with the units h, m or s, like @every 5m or @every 1h30m")
    if text.startswith("@"):
        raise ValueError("of the words with @ FC has only @every, like @every 5m")
    zoned = _ZONE.fullmatch(text)
    return parse_cron(zoned[2], zone_of(zoned[1])) if zoned is not None else parse_cron(text)


def _every(text: str) -> Every:
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in re.findall("([0-9]+)([hms])", text))
    if seconds < SHORTEST:
        raise ValueError("the shortest time of @every is one minute")
    return Every(seconds)


def moment_of(text: str, zone: str) -> float:
    """A time in seconds since the epoch; `zone` is that of one that tells none. Raises ValueError."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None and not zone:
        raise ValueError("its time has no zone")
    return (time if time.tzinfo is not None else time.replace(tzinfo=zone_of(zone))).timestamp()


def zone_of(name: str) -> tzinfo:
    """A time zone by its name, UTC by ''. Raises ValueError."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError, LookupError):
        raise ValueError(f"there is no time zone {name[:100]!r}") from None


@lru_cache(maxsize=256)
def parse_cron(text: str, zone: tzinfo = UTC) -> Cron:
    """Six fields. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} characters")
    words = text.split()
    if len(words) != len(_FIELDS):
        raise ValueError(f"it has {len(words)} fields; FC's has six, the first for seconds, like 0 30 8 * * *")
    fields = " ".join(_field(place, word.upper()) for place, word in enumerate(words))
    try:
        found = Cron(fields, zone)
        comes = found.after(datetime(2024, 1, 1, tzinfo=UTC).timestamp())  # from a leap year on: 29 February comes
    except CronSimError as error:
        if "day-of-month" in str(error):
            comes = None
        else:
            raise ValueError(str(error)) from None
    if comes is None:
        raise NeverComes("that day never comes")
    return found


def _field(place: int, word: str) -> str:
    """A field as cronsim reads it. Raises ValueError."""
    name, least, most = _FIELDS[place]
    if word == "?" and place in {_DAY, _WEEKDAY}:
        return "*"
    for said, number in _NAMES.get(place, {}).items():
        word = re.sub(rf"\b{said}\b", number, word)
    for letter, meaning in _ELSEWHERE.items():
        if letter in word:
            raise ValueError(f"the {name} {word[:50]!r} has {letter}, {meaning}, which FC has not")
    terms = [_term(place, term, name, least, most) for term in word.split(",")]
    return "*" if "*" in terms else ",".join(terms)  # a list with a star restricts nothing


def _term(place: int, term: str, name: str, least: int, most: int) -> str:
    found = _TERM.fullmatch(term)
    if found is None or (found[1] == "*" and found[2]):
        raise ValueError(f"the {name} {term[:50]!r} is no value, range or step")
    step = int(found[3] or 1)
    if not step:
        raise ValueError(f"the {name} {term[:50]!r} has a step of 0")
    if found[1] == "*":
        return _every_value(place, step)
    first = int(found[1])
    last = int(found[2]) if found[2] else _last(place, first, is_open=bool(found[3]))
    if not least <= first <= last <= most:
        raise ValueError(f"the {name} {term[:50]!r} is not within {least}-{most}, the smaller first")
    return (_weekdays if place == _WEEKDAY else _range)(first, last, step)


def _last(place: int, first: int, *, is_open: bool) -> int:
    """Where a term without a second value ends: a step goes on to the end."""
    if not is_open:
        return first
    return max(first, 6) if place == _WEEKDAY else max(first, _FIELDS[place][2])


def _every_value(place: int, step: int) -> str:
    """cronsim takes a day's `*/n` for `*`; with robfig/cron, and here, it is a restriction."""
    if step == 1:
        return "*"
    return {_DAY: f"1-31/{step}", _WEEKDAY: f"0-6/{step}"}.get(place, f"*/{step}")


def _range(first: int, last: int, step: int) -> str:
    return str(first) if first == last else f"{first}-{last}/{step}"


def _weekdays(first: int, last: int, step: int) -> str:
    """The days as a list: cronsim takes some ranges of one day for every day. 7 is Sunday as 0 is."""
    return ",".join(str(day % 7) for day in range(first, last + 1, step))
