"""Event patterns: the table of answers, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyfc.model.patterns import Pattern

ROWS = json.loads((Path(__file__).parent / "patterns.json").read_text())


@pytest.mark.parametrize(("pattern", "event", "answer"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_a_pattern_fits_the_events_that_it_is_for(pattern: Any, event: Any, answer: bool) -> None:
    assert Pattern.read(pattern).fits(event) is answer
    assert Pattern.read(json.dumps(pattern)).fits(event) is answer


def test_the_table_has_enough_rows_of_both_answers() -> None:
    assert len(ROWS) >= 30
    assert {row[3] for row in ROWS} == {True, False}


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ({"source": [{"wildcard": "a*"}]}, "source: the operator 'wildcard' is not supported"),
        ({"source": [{"prefix": "a", "suffix": "b"}]}, "source has an object of 2 names"),
        ({"source": [{"prefix": 1}]}, "source: prefix takes text"),
        ({"source": "acs.oss"}, "source must be a list"),
        ({"source": []}, "source is an empty list"),
        ({"source": [["a"]]}, "source has a list in its list"),
        ({"data": {"n": [{"numeric": [">"]}]}}, "data.n: numeric takes comparisons and numbers"),
        ({"data": {"n": [{"numeric": ["~", 1]}]}}, "data.n: numeric takes comparisons and numbers"),
        ({"data": {"n": [{"exists": "yes"}]}}, "data.n: exists takes true or false"),
        ({"data": {"n": [{"anything-but": {"numeric": [">", 1]}}]}}, "anything-but takes values, prefix"),
        ({"data": {"n": [{"anything-but": {"wildcard": "*"}}]}}, "the operator 'wildcard' is not supported"),
        ({"data": {"n": [{"cidr": "fe80::/10"}]}}, "data.n: cidr takes a network of IPv4"),
        ("[]", "it must be an object"),
        ("{", "no JSON"),
        ("{" * 2 + '"a":' * 50000, "no JSON"),
    ],
)
def test_what_is_no_pattern_is_refused_by_its_place(pattern: Any, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Pattern.read(pattern)

    assert told in str(caught.value)


def test_a_pattern_of_many_objects_is_refused() -> None:
    pattern: Any = ["a"]
    for _ in range(40):
        pattern = {"a": pattern}

    with pytest.raises(ValueError, match="more than 32 objects deep"):
        Pattern.read(pattern)


def test_which_sources_a_pattern_may_be_for_is_told_without_an_event() -> None:
    pattern = Pattern.read({"source": [{"prefix": "acs."}], "data": {"a": [1]}})

    assert pattern.may_fit(source="acs.oss")
    assert not pattern.may_fit(source="my.app")
    assert Pattern.read(None).may_fit(source="my.app")
