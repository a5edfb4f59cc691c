"""Cron expressions are FC's, no other's, and mean what robfig/cron means by them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.model.schedule import Cron, Every, parse

# made by make_schedules.go beside it: an expression, a moment, and the times that come after it
TABLE = json.loads((Path(__file__).parent / "schedules.json").read_text(encoding="utf-8"))


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _times(text: str, moment: float, number: int) -> list[float]:
    schedule, found = parse(text), []
    assert isinstance(schedule, Cron)
    for _ in range(number):
        after = schedule.after(moment)
        assert after is not None
        found.append(after)
        moment = after
    return found


def test_fifteen_hundred_random_expressions_fire_when_robfigs_cron_does() -> None:
    assert len(TABLE) == 1500
    wrong = [text for text, moment, *times in TABLE if _times(text, moment, len(times)) != times]

    assert wrong == []


@pytest.mark.parametrize(("text", "moment", "time"), [
    ("0 0 8 * * *", "2026-11-27T07:59:59Z", "2026-11-27T08:00:00Z"),
    ("0 0 8 * * *", "2026-11-27T08:00:00Z", "2026-11-28T08:00:00Z"),
    ("0 0/1 * * * ?", "2026-11-27T08:00:30Z", "2026-11-27T08:01:00Z"),
    ("CRON_TZ=Asia/Shanghai 0 0 4 1 * *", "2026-11-27T00:00:00Z", "2026-11-30T20:00:00Z"),
    ("0 0 0 ? * 7", "2026-11-27T00:00:00Z", "2026-11-29T00:00:00Z"),
    ("0 0 0 ? * 0", "2026-11-27T00:00:00Z", "2026-11-29T00:00:00Z"),
    ("0 0 0 ? * MON-fri", "2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z"),
    ("0 0 0 ? * 5-7", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"),
    ("0 0 0 29 feb ?", "2026-11-28T00:00:00Z", "2028-02-29T00:00:00Z"),
    ("0 0 0 13 * FRI", "2026-11-28T00:00:00Z", "2026-12-04T00:00:00Z"),
    # 02:30 is left out when the clocks go forward, and comes twice when they go back
    ("CRON_TZ=Europe/Berlin 0 30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"),
    ("CRON_TZ=Europe/Berlin 0 30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
    ("CRON_TZ=Europe/Berlin 0 30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
])  # fmt: skip
def test_a_time_comes_when_it_is_said_to(text: str, moment: str, time: str) -> None:
    assert datetime.fromtimestamp(_times(text, _at(moment), 1)[0], UTC) == datetime.fromisoformat(time)


@pytest.mark.parametrize(("text", "reason"), [
    ("0 8 * * *", "five fields"), ("", "0 fields"), ("0 0 8 * * * *", "7 fields"),
    ("0 0 0 L * *", "the last day"), ("0 0 0 15W * *", "nearest weekday"), ("0 0 0 ? * 6#3", "n-th weekday"),
    ("H H 0 * * *", "a chosen value"), ("R 0 0 * * *", "random"), ("@daily", "only @every"),
    ("@every 5", "units h, m or s, like @every 5m"),
    ("@every 30s", "one minute"), ("@every 0m", "one minute"), ("0 59-5 0 * * *", "smaller first"),
    ("0 60 0 * * *", "0-59"), ("0 0 24 * * *", "0-23"), ("0 0 0 0 * *", "1-31"), ("0 0 0 * 13 *", "1-12"),
    ("0 0 0 * * 8", "0-7"), ("0 */0 * * * *", "step of 0"), ("0 ? * * * *", "no value"), ("0 0 0 * FOO *", "no value"),
    ("0 -1 0 * * *", "no value"), ("0 1,, 0 * * *", "no value"), ("0 0 0 *-3 * *", "no value"),
    ("0 0 0 30 2 *", "never comes"), ("0 0 0 31 4,6 ?", "never comes"),
    ("CRON_TZ=Nowhere/Else 0 0 8 * * *", "no time zone"), ("CRON_TZ=../../etc/passwd 0 0 8 * * *", "no time zone"),
    ("CRON_TZ=UTC", "1 fields"), (f"{'1,' * 5000}1 0 0 * * *", "256 characters"), ("0 0 0 \u0661 * *", "no value"),
])  # fmt: skip
def test_what_fc_has_not_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("five", "5")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("@every 1m", 60), ("@every 90s", 90), ("@every 1h30m", 5400), (" @every  100m ", 6000)]
)
def test_every_counts_from_its_beginning(text: str, seconds: int) -> None:
    found = parse(text)

    assert found == Every(seconds)
    assert found.after(1000, 1000) == 1000 + seconds
    assert found.after(1000 + seconds - 0.001, 1000) == 1000 + seconds
    assert found.after(1000 + seconds, 1000) == 1000 + 2 * seconds
    assert found.after(0, 1000) == 1000 + seconds


@given(st.text(max_size=40) | st.from_regex(r"[0-9*?,/LW#-]{1,6}( [0-9*?,/LW#-]{1,6}){5}", fullmatch=True))
def test_whatever_is_written_is_a_schedule_or_told_to_be_none(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        pass
    else:
        assert isinstance(found, Every) or found.after(1_800_000_000) is not None
