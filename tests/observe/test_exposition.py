"""What Prometheus is told: every line is one that it takes, whatever names hold."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.observe.metrics import totals as totals_module
from pyfc.observe.metrics.buckets import counted
from pyfc.observe.metrics.exposition import Family, exposition, labels, wants_open
from pyfc.observe.metrics.point import OTHERS, Point, Series
from pyfc.observe.metrics.totals import Example, Totals

_LABEL = r'[a-z_]+="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
LINE = re.compile(
    rf"([a-z_]+)(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (-?[0-9.e+-]+)(?: # \{{{_LABEL}\}} [0-9.e+-]+ [0-9.]+)?"
)
SERIES = Series("s", "f", "LATEST")


def point(durations: list[float], **values: int) -> Point:
    made = Point()
    made.add("invocations", len(durations))
    made.add("duration_us", round(sum(durations) * 1_000_000))
    made.see("direct", counted(durations))
    for name, value in values.items():
        made.add(name, value)
    return made


def totals(*points: tuple[Series, Point], **examples: Example) -> Totals:
    made = Totals()
    for series, each in points:
        made.add({series: each}, {series: dict(examples)})
    return made


def lines(found: Totals, *others: Family, is_open: bool = False, has_examples: bool = False) -> list[str]:
    return "".join(exposition(found, others, is_open=is_open, has_examples=has_examples)).splitlines()


@given(st.text(), st.text())
def test_names_end_where_they_end_whatever_they_hold(service: str, name: str) -> None:
    found = totals((Series(service, name, 'a"} 1\n# x'), point([0.5])))

    told = "".join(exposition(found, (), is_open=True, has_examples=False))

    for line in told.split("\n")[:-1]:
        assert line.startswith("# ") or LINE.fullmatch(line), line


def test_what_is_escaped_can_be_read_back() -> None:
    assert labels({"service": 'a"b\\c\nd', "function": "f"}) == r'service="a\"b\\c\nd",function="f"'


def test_outcomes_are_told_apart_and_add_up() -> None:
    told = lines(totals((SERIES, point([0.1] * 10, function_errors=2, throttles=3))))

    values = dict(re.findall(r'pyfc_invocations_total\{.*outcome="(\w+)"\} (\d+)', "\n".join(told)))
    assert values == {"success": "5", "function_error": "2", "throttled": "3"}


@given(st.lists(st.floats(1e-6, 5000), min_size=1, max_size=50))
def test_a_histogram_never_falls_and_counts_what_is_no_longer_than_its_bound(durations: list[float]) -> None:
    told = "\n".join(lines(totals((SERIES, point(durations)))))

    found = re.findall(r'duration_seconds_bucket\{.*le="(.*)"\} (\d+)', told)
    counts = [int(count) for _, count in found]
    assert counts == [sum(each <= float(bound) for each in durations) for bound, _ in found]
    assert all(one <= other for one, other in pairwise(counts))
    assert found[-1] == ("+Inf", str(len(durations)))
    assert (
        f"duration_seconds_count{{{labels({'service': 's', 'function': 'f', 'qualifier': 'LATEST'})}}} {len(durations)}"
        in told
    )


def test_open_metrics_ends_with_its_mark_and_names_a_call_for_those_who_may_know() -> None:
    found = totals((SERIES, point([0.75])), **{"": Example("the-id", 0.75, 12.5)})

    told = lines(found, is_open=True, has_examples=True)

    assert told[-1] == "# EOF"
    assert "# TYPE pyfc_invocations counter" in told
    (bucket,) = [line for line in told if "duration_seconds_bucket" in line and "the-id" in line]
    assert 'le="1.0"} 1 # {request_id="the-id"} 0.75 12.500' in bucket
    for is_open, has_examples in ((True, False), (False, True), (False, False)):
        assert "the-id" not in "\n".join(lines(found, is_open=is_open, has_examples=has_examples))


def test_a_counter_bears_its_ending_as_each_format_wants_it() -> None:
    family = Family("pyfc_things", "counter", "Things.", [({}, 2)])

    assert lines(Totals(), family) == ["# HELP pyfc_things_total Things.", "# TYPE pyfc_things_total counter",
                                       "pyfc_things_total 2"]  # fmt: skip
    assert lines(Totals(), family, is_open=True)[1:] == ["# TYPE pyfc_things counter", "pyfc_things_total 2", "# EOF"]


def test_further_series_than_there_is_room_for_are_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals_module, "MOST_SERIES", 3)

    found = totals(*((Series("s", f"f{number % 5}", "LATEST"), point([0.1])) for number in range(50)))

    counts = {series.function: each["invocations"] for series, each in found.points.items()}
    assert counts == {"f0": 10, "f1": 10, "f2": 10, OTHERS.function: 20}


@pytest.mark.parametrize(
    ("accept", "is_open"),
    [
        ("application/openmetrics-text; version=1.0.0, text/plain;version=0.0.4;q=0.5, */*;q=0.1", True),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.7", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=x", False),
        ("text/plain;version=0.0.4", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str, is_open: bool) -> None:
    assert wants_open(accept) is is_open
