"""How many instances are reserved, and how long a failure is waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from pyfc.model.asynchronous import refusal_delay
from pyfc.model.function import Provision, ScheduledAction, TrackingPolicy
from pyfc.model.policy import back_off, check_expression, reserved


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_failures_in_a_row_are_waited_for_twice_as_long_each_up_to_a_minute() -> None:
    assert [back_off(failures) for failures in (1, 2, 3, 7, 5000)] == [1, 2, 4, 60, 60]
    assert 45 <= refusal_delay(5000) <= 75


@pytest.mark.parametrize(
    ("now", "target"),
    [
        ("2026-11-01T07:59:59Z", 9),
        ("2026-11-01T08:00:00Z", 5),
        ("2026-11-01T20:00:01Z", 0),
        ("2026-11-03T12:00:00Z", 7),
        ("2026-11-30T12:00:00Z", 9),
    ],
)
def test_the_scheduled_action_that_fired_last_decides_while_it_is_in_force(now: str, target: int) -> None:
    times = {"start": at("2026-11-01T00:00:00Z"), "end": at("2026-11-10T00:00:00Z")}
    provision = Provision(
        target=9,
        scheduled_actions=(
            ScheduledAction(name="morning", expression="cron(0 0 8 * * *)", target=5, **times),
            ScheduledAction(name="evening", expression="cron(0 0 20 * * *)", target=0, **times),
            ScheduledAction(name="sale", expression="at(2026-11-03T11:00:00Z)", target=7, **times),
        ),
    )

    assert reserved(provision, at(now), 0, 1) == target


@pytest.mark.parametrize("expression", ["cron(0 0 0 30 2 *)", "cron(0 0 0 31 4 *)", "cron(what)", "at(soon)", "at()"])
def test_an_action_whose_time_never_comes_changes_nothing(expression: str) -> None:
    action = ScheduledAction(name="never", expression=expression, target=5)

    assert reserved(Provision(target=2, scheduled_actions=(action,)), at("2026-11-01T00:00:00Z"), 0, 1) == 2


@pytest.mark.parametrize("now", [-1e18, -1e9, 0.0, 1e9, 253402300799.0, 1e18])
def test_whatever_the_clock_says_there_is_a_number_of_reserved_instances(now: float) -> None:
    action = ScheduledAction(name="morning", expression="cron(0 0 8 * * *)", target=5)

    assert reserved(Provision(target=2, scheduled_actions=(action,)), now, 0, 1) in {2, 5}


def test_a_clock_that_is_set_back_and_forward_changes_no_more_than_what_counts_meanwhile() -> None:
    actions = (
        ScheduledAction(name="morning", expression="cron(0 0 8 * * *)", target=5),
        ScheduledAction(name="evening", expression="cron(0 0 20 * * *)", target=1),
    )
    provision = Provision(scheduled_actions=actions)
    times = ("2026-11-03T08:30:00Z", "2026-11-03T07:30:00Z", "2026-11-03T08:30:00Z", "2027-01-01T20:00:00Z")

    assert [reserved(provision, at(time), 0, 1) for time in times] == [5, 1, 5, 1]


@pytest.mark.parametrize(("busy", "concurrency", "target"), [(0, 1, 2), (3, 1, 6), (30, 1, 10), (30, 10, 6)])
def test_tracking_keeps_the_part_of_the_slots_in_use_between_its_capacities(
    busy: int, concurrency: int, target: int
) -> None:
    policy = TrackingPolicy(name="load", metric_target=0.5, minimum=2, maximum=10)

    assert reserved(Provision(target_tracking_policies=(policy,)), 1.0, busy, concurrency) == target


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("cron(0 0 20 * * *)", True),
        ("cron(0 20 * * *)", False),
        ("cron(0 0 25 * * *)", False),
        ("at(2026-10-10T10:10:10Z)", True),
        ("at(2026-10-10T10:10:10)", False),
        ("at(soon)", False),
        ("every day", False),
        ("cron(0 0 0 29 2 *)", True),
        ("cron(0 0 0 30 2 *)", False),
        ("cron(0 0 0 31 4,6 *)", False),
        ("cron(0 0 9 * MAR THU)", True),
        ("cron(R R R * * *)", False),
        ("cron(0 0 0 L * *)", False),
        ("cron(0 59-5 0 * * *)", False),
        ("cron(H H H * * *)", False),
        ("cron(0 0 r(1-5) * * *)", False),
        ("cron(0 0 20 L * *)", False),
        ("cron(59-5 0 20 * * *)", False),
        ("cron(0 0 20 ? * MON-FRI)", True),
        ("cron(0 0/15 8-20/2 1,15 JAN-MAR ?)", True),
        ("cron(0 */0 * * * *)", False),
        ("cron(0 0 20 * * 1#2)", False),
        ("cron(0 0 20 15W * *)", False),
        ("cron(0 0 20 * JAN-0 *)", False),
        ("cron(0 0 20 * * *-5)", False),
        (f"cron({'1,' * 10_000}1 * * * * *)", False),
    ],
)
def test_a_schedule_expression_is_checked(text: str, right: bool) -> None:
    try:
        check_expression(text)
    except ValueError:
        assert not right
    else:
        assert right


def test_an_action_counts_in_its_time_zone() -> None:
    action = ScheduledAction(name="evening", expression="cron(0 0 20 * * *)", target=5, zone="Asia/Shanghai")
    once = ScheduledAction(name="once", expression="at(2026-11-03T20:00:00)", target=7, zone="Asia/Shanghai")
    noon = at("2026-11-03T12:00:00Z")  # 20:00 there

    for each, target in ((action, 5), (once, 7)):
        provision = Provision(target=1, scheduled_actions=(replace(each, start=noon - 60),))
        assert [reserved(provision, noon + seconds, 0, 1) for seconds in (-1, 1)] == [1, target]
