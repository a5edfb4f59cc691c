"""Decisions that need nothing but numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from croniter import croniter

from pyfc.model.function import Provision, ScheduledAction

_BACK_OFF, _LONGEST = 1.0, 60.0
_DOUBLINGS = 32
"""More are no number any more, after some hours of failures."""
_LONGEST_EXPRESSION = 256
"""Characters; a longer one costs more each second than it can be worth."""
_FIELDS = (
    (0, 59, ""),
    (0, 59, ""),
    (0, 23, ""),
    (1, 31, ""),
    (1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"),
    (0, 7, "SUN MON TUE WED THU FRI SAT"),
)
"""Of a cron expression: the least and the most of each field, and names of its numbers from the least on."""
_RANGE = re.compile(r"(\*|\?|\w+)(?:-(\w+))?(?:/(\d+))?", re.ASCII)
_MOMENT = 0.001
"""Seconds, so that what happens now has happened."""


def doubled(first: float, times: int) -> float:
    """The pause after so many failures in a row: `first`, twice that, and so on, at most a minute."""
    return float(min(_LONGEST, first * 2.0 ** min(times - 1, _DOUBLINGS)))


def back_off(failures: int) -> float:
    """Seconds to wait after so many failures in a row before something is tried again by itself."""
    return doubled(_BACK_OFF, failures)


def reserved(provision: Provision, now: float, busy: int, concurrency: int) -> int:
    """How many instances are to be kept at `now`, seconds since the epoch, with so many calls running.

    The scheduled action that has fired last replaces the target; a target tracking policy in force then keeps the part
    of their slots that is in use at its metricTarget, between its two capacities (FC's provision-config).
    """
    target = provision.target
    fired = [(time, action) for action in provision.scheduled_actions if (time := _last_time(action, now)) is not None]
    if fired:
        target = max(fired, key=lambda each: each[0])[1].target
    for policy in provision.target_tracking_policies:
        if policy.is_in_force(now):
            needed = math.ceil(busy / (policy.metric_target * concurrency))
            target = min(policy.maximum, max(policy.minimum, needed))
    return target


def _last_time(action: ScheduledAction, now: float) -> float | None:
    """When the action has fired last; None if it has not, or is not in force.

    It is told by the clock alone and not by what was done before: however the clock is set, at every moment the action
    counts that the clock says has fired last.
    """
    if not action.is_in_force(now):
        return None
    kind, _, text = action.expression.partition("(")
    try:
        if kind == "at":
            time = datetime.fromisoformat(text.rstrip(")")).timestamp()
        else:
            start = datetime.fromtimestamp(now + _MOMENT, UTC)
            time = croniter(text.rstrip(")"), start, second_at_beginning=True).get_prev(float)
    except (ValueError, OverflowError, OSError):  # 30 February, or a clock in the year 300,000: it has never fired
        return None
    return time if action.start <= time <= now else None


def _is_field(text: str, field: tuple[int, int, str]) -> bool:
    """Whether FC's grammar has it: `*`, `?`, and numbers or names, alone, from one to another that is not smaller, with
    a step or without, joined by commas. Croniter knows more, some of which is something else each time.
    """
    return all(_is_range(part, field) for part in text.split(","))


def _is_range(text: str, field: tuple[int, int, str]) -> bool:
    least, most, names = field
    numbers = {name: least + number for number, name in enumerate(names.split())}
    found = _RANGE.fullmatch(text)
    if found is None:
        return False
    first, last, step = found.groups()
    if step is not None and not 1 <= int(step) <= most:
        return False
    if first in {"*", "?"}:
        return last is None
    ends = [_number_of(each, numbers) for each in (first, last or first)]
    return least <= ends[0] <= ends[1] <= most


def _number_of(text: str, names: Mapping[str, int]) -> int:
    """-1 if it is none."""
    return int(text) if text.isdigit() and len(text) < _LONGEST_EXPRESSION else names.get(text.upper(), -1)


def check_expression(text: str) -> bool:
    """Whether a schedule expression is `at(TIME)` or `cron(SECOND MINUTE HOUR DAY MONTH WEEKDAY)`, in UTC, and its time
    ever comes.
    """
    kind, _, rest = text.partition("(")
    inside = rest.removesuffix(")")
    if not rest.endswith(")") or len(rest) > _LONGEST_EXPRESSION:
        return False
    try:
        if kind == "at":
            return datetime.fromisoformat(inside).tzinfo is not None
        fields = inside.split()
        if kind != "cron" or len(fields) != len(_FIELDS) or not all(map(_is_field, fields, _FIELDS)):
            return False
        return croniter(inside, second_at_beginning=True).get_next(float) > 0
    except (ValueError, OverflowError):
        return False
