"""Decisions that need nothing but numbers."""

from __future__ import annotations

import math

from pyfc.model.function import Provision, ScheduledAction
from pyfc.model.schedule import moment_of, parse_cron, zone_of

_BACK_OFF, _LONGEST = 1.0, 60.0
_DOUBLINGS = 32
"""More are no number any more, after some hours of failures."""
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
            time = moment_of(text.rstrip(")"), action.zone)
        else:
            last = parse_cron(text.rstrip(")"), zone_of(action.zone)).before(now + _MOMENT)
            time = -math.inf if last is None else last
    except (ValueError, OverflowError, OSError):  # 30 February, or a clock in the year 300,000: it has never fired
        return None
    return time if action.start <= time <= now else None


def check_expression(text: str, zone: str = "") -> None:
    """Raises ValueError that says why a schedule expression is not `at(TIME)` or `cron(SECOND MINUTE HOUR DAY MONTH
    WEEKDAY)` in a time zone ('' for UTC), or its time never comes.
    """
    kind, _, rest = text.partition("(")
    inside = rest.removesuffix(")")
    if kind not in {"at", "cron"} or not rest.endswith(")"):
        raise ValueError("it is neither at(...) nor cron(...)")
    if kind == "cron":
        parse_cron(inside, zone_of(zone))
    else:
        moment_of(inside, zone)
