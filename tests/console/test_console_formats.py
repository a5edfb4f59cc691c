"""Values as pages write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.console import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.50 ms"), (12.34, "12.3 ms"), (999.4, "999 ms"), (1500, "1.50 s"), (90_000, "1.5 min"), (None, "–"),
     (math.nan, "–"), ("12", "–")],
)  # fmt: skip
def test_durations_have_three_digits_and_a_unit(value: object, text: str) -> None:
    assert formats.milliseconds(value) == text


def test_times_are_utc_whatever_form_they_come_in() -> None:
    assert formats.moment(0) == "1970-01-01T00:00:00.000Z"
    assert formats.moment("2026-11-28T12:57:44.804+08:00") == "2026-11-28T04:57:44.804Z"
    assert [formats.moment(each) for each in ("yesterday", None, math.inf, 1e300)] == [""] * 4


def test_json_keeps_its_order_and_a_long_text_its_beginning() -> None:
    assert formats.readable('{"b":1,"a":"中"}') == '{\n  "b": 1,\n  "a": "中"\n}'
    assert formats.readable("no json") == "no json"
    assert len(formats.readable("x" * 10_000_000)) < 300_000
    assert formats.readable("[" * 100_000).startswith("[[")


def test_the_phases_of_a_cold_call_follow_each_other_to_its_end() -> None:
    call = {"queuedMs": 30, "waitedMs": 20, "durationMs": 50, "phasesMs": {"PrepareCode": 15, "Initializer": 3}}

    found = formats.phases(call)

    assert [each["name"] for each in found] == ["Queue", "Wait", "PrepareCode", "Initializer", "Invoke"]
    assert [each["ms"] for each in found] == [10, 2, 15, 3, 50]
    assert found[-1]["start"] == pytest.approx(375)


@given(st.lists(st.integers(0, 10**9), max_size=24), st.lists(st.integers(0, 10**9), max_size=24))
def test_bars_stay_in_their_picture(calls: list[int], failed: list[int]) -> None:
    for bar in formats.bars(calls, failed):
        assert 0 <= bar["x"] <= 96
        assert 0 < bar["height"] <= 20
        assert 0 <= bar["bad"] <= bar["height"]
