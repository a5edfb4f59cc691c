"""A domain's rules rewrite paths; no rule and no path can take long."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.errors import InvalidArgument
from pyfc.model.rewriting import check, rewrite, spread

PIECES = st.lists(st.text("ab", max_size=2), min_size=1, max_size=5).map("*".join)


@given(pattern=PIECES, text=st.text("ab*", max_size=9))
def test_a_star_stands_for_what_a_greedy_regular_expression_finds(pattern: str, text: str) -> None:
    found = re.fullmatch("(.*)".join(map(re.escape, pattern.split("*"))), text)

    assert spread(pattern, text) == (list(found.groups()) if found else None)


@given(text=st.text("/ab*$1", max_size=9), pattern=PIECES, replacement=st.text("/ab*$1{}", max_size=9))
def test_any_rule_that_is_taken_can_be_followed(text: str, pattern: str, replacement: str) -> None:
    for kind in ("equalRules", "wildcardRules", "regexRules"):
        rules: dict[str, Any] = {kind: [{"match": pattern, "replacement": replacement}]}
        try:
            check(rules)
        except InvalidArgument:
            continue

        assert rewrite(rules, f"/{text}").startswith("/")


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("regexRules", "^/(a+)+$"),
        ("regexRules", "^/(a|aa)+$"),
        ("regexRules", "(.*)*,(.*)*,"),
        ("regexRules", "^(([a-z])+.)+[A-Z]([a-z])+$"),
        ("wildcardRules", "*a" * 30 + "b"),
    ],
)
def test_no_rule_takes_long_whatever_the_path(kind: str, match: str) -> None:
    rules = {kind: [{"match": match, "replacement": "/x"}] * 100}
    check(rules)
    began = time.monotonic()

    assert rewrite(rules, "/" + "a" * 4000 + "!").startswith("/")

    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("replacement", "seen"),
    [("/*/*", "/$2/x"), ("/$1/$2", "/$2/x"), ("/${2}-$1", "/x-$2"), ("/*/*/*", "/$2/x/*"), ("/$3", "/")],
)
def test_what_one_group_has_found_is_not_filled_with_another(replacement: str, seen: str) -> None:
    rules = {"wildcardRules": [{"match": "/*/*", "replacement": replacement}]}

    assert rewrite(rules, "/$2/x") == seen
    assert rewrite({"wildcardRules": [{"match": "/*/*", "replacement": "/*/*"}]}, "/*/x") == "/*/x"


def test_a_path_above_the_limit_stays_for_who_refuses_it() -> None:
    path = "/" + "a" * 5000

    assert rewrite({"wildcardRules": [{"match": "*", "replacement": "/x"}]}, path) == path


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"regexRules": [{"match": "(?=a)b"}]}, "RE2"),
        ({"regexRules": [{"match": r"(a)\1"}]}, "RE2"),
        ({"regexRules": [{"match": "("}]}, "RE2"),
        ({"regexRules": [{"match": "a{1000}{1000}"}]}, "RE2"),
        ({"regexRules": [{"match": "a" * 1025}]}, "at most 1024"),
        ({"wildcardRules": [{"match": 5}]}, "must be text"),
        ({"equalRules": "x"}, "must be a list"),
        ({"equalRules": ["x"]}, "must be a list"),
        ({"equalRules": [{"match": "/"}] * 101}, "at most 100"),
    ],
)
def test_a_rule_that_can_not_be_followed_is_refused_with_the_reason(rules: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        check(rules)


def test_what_an_older_pyfc_has_kept_unseen_harms_no_request() -> None:
    rules = {"equalRules": "x", "wildcardRules": [5, {"match": 5}], "regexRules": [{"match": "("}, {"match": "(?=a)"}]}

    assert rewrite(rules, "/a") == "/a"
