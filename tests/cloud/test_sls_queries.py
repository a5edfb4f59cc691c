"""What SLS's language of searches means: forty queries and the logs that they find."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.cloud.sls import words
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.language import divided, parse
from pyfc.cloud.sls.matching import Index, wanted
from pyfc.cloud.sls.matching import test_of as made_test

LOGS = [
    {"__topic__": "FCLogs:demo/hello", "message": "GET /index.html timed out", "status": "500", "ms": "30000"},
    {"__topic__": "FCLogs:demo/hello", "message": "GET /Index.html fine", "status": "200", "ms": "12.5"},
    {"__topic__": "FCLogs:demo/other", "message": "支付错误 order-7 out of stock", "status": "404", "ms": ""},
    {"__topic__": "jobs", "__tag__:host": "web-1", "message": "level=error code=7 a_b", "status": "-"},
    {"__topic__": "", "message": "not and or (x) \"quoted\" 100%", "key with space": "v"},
]  # fmt: skip
ALL = [0, 1, 2, 3, 4]
TABLE = [
    ("", ALL),
    ("*", ALL),
    ("timed", [0]),
    ("TIMED", [0]),
    ("time", []),
    ("time*", [0]),
    ("t*ed", [0]),
    ("t?med", [0]),
    ("t?ed", []),
    ("timed out", [0]),
    ("out timed", [0]),
    ('"out timed"', [0]),
    ('#"timed out"', [0]),
    ('#"out timed"', []),
    ("out", [0, 2]),
    ("out and status:500", [0]),
    ("out or fine", [0, 1, 2]),
    ("fine or out and stock", [1, 2]),
    ("(fine or out) and stock", [2]),
    ("out not stock", [0]),
    ("not out", [1, 3, 4]),
    ("not (out or fine)", [3, 4]),
    ("not not out", [0, 2]),
    ("index.html", [0, 1]),
    ("index", []),
    ("/index.html", [0, 1]),
    ("order-7", [2]),
    ("order", []),
    ('level and "7"', [3]),
    ("a_b", [3]),
    ("错误", [2]),
    ("付错", [2]),
    ("误", [2]),
    ("错支", []),
    ("message:错误 and status>400", [2]),
    ("status:200", [1]),
    ("status:2*", [1]),
    ("status:(200 or 500)", [0, 1]),
    ("status:*", [0, 1, 2, 3]),
    ("not status:*", [4]),
    ('ms:""', [2]),
    ("status>=404", [0, 2]),
    ("status > 404", [0]),
    ("status<404", [1]),
    ("status<=404 and status>0", [1, 2]),
    ("status=404", [2]),
    ("status = -", [3]),
    ("ms=12.5", [1]),
    ("status in [200 404]", [1, 2]),
    ("status in (200 404]", [2]),
    ("status in [200 404)", [1]),
    ('__topic__:"FCLogs:demo/hello"', [0, 1]),
    ('__topic__:"FCLogs:demo/hello" and 500', [0]),
    ("__topic__:jobs", [3]),
    ("__tag__:host:web-1", [3]),
    ("web-1", [3]),
    ('"and" "or"', [4]),
    ('"\\"quoted\\""', [4]),
    ('"key with space":v', [4]),
    ("100%", [4]),
    ("NOT Out AND Fine", [1]),
    ("in", []),
]


def _found(query: str, indexed: dict[str, Any] | None = None) -> list[int]:
    test = made_test(parse(query), Index(indexed))
    return [number for number, log in enumerate(LOGS) if test(log)]


@pytest.mark.parametrize(("query", "numbers"), TABLE)
def test_a_query_finds_what_it_means(query: str, numbers: list[int]) -> None:
    assert _found(query) == numbers


@pytest.mark.parametrize(("query", "numbers"), TABLE)
def test_the_index_proposes_all_that_a_query_finds(query: str, numbers: list[int]) -> None:
    asked = wanted(parse(query))
    kept = [set(words.pieces(" ".join(log.values()))) for log in LOGS]

    for number in numbers:
        assert not asked or _proposes(asked, kept[number])


def _proposes(asked: str, kept: set[str]) -> bool:
    """FTS5's words, evaluated."""
    text = asked.replace("AND", " and ").replace("OR", " or ")
    while '"' in text:
        begin = text.index('"')
        end = text.index('"', begin + 1)
        word, is_prefix = text[begin + 1 : end], text[end + 1 : end + 3] == " *"
        truth = any(each.startswith(word) for each in kept) if is_prefix else word in kept
        text = f"{text[:begin]}{truth}{text[end + (3 if is_prefix else 1) :]}"
    return bool(eval(text))


@pytest.mark.parametrize(
    "query",
    ["(", ")", "a)", "and", "a and", "or a", "not", '"a', '#"a', "a:", "a: and b", "a>b", "a >", "a in [1",
     "a in [1 b]", "__tag__:", "a in [1 2 3]", ":", "[", "(" * 100 + "a" + ")" * 100, "a " * 3000],
)  # fmt: skip
def test_what_is_not_understood_is_told(query: str) -> None:
    with pytest.raises(Fault, match="not understood") as caught:
        parse(query)
    assert (caught.value.code, caught.value.status) == ("ParameterInvalid", 400)


def test_a_query_is_not_read_without_end() -> None:
    with pytest.raises(Fault, match="at most 65536 characters"):
        divided("a" * 65537)


@given(st.text(alphabet="ab ()\"'#:=<>[]*?|\\not and or in1 错", max_size=40))
def test_no_query_is_worse_than_refused(query: str) -> None:
    try:
        found = parse(divided(query)[0])
    except Fault:
        return
    for log in LOGS:
        made_test(found, Index(None))(log)


INDEX = {
    "line": {"token": [" ", "/"], "caseSensitive": True},
    "keys": {"status": {"type": "long"}, "message": {"type": "text", "token": ["."]}},
}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("GET", [0, 1]),
        ("get", []),
        ("Index.html", [1]),
        ('"code=7"', [3]),
        ("message:html", []),
        ('message:"html fine"', [1]),
        ("status>=404", [0, 2]),
        ("__topic__:jobs", [3]),
    ],
)
def test_with_an_index_is_searched_what_it_says(query: str, numbers: list[int]) -> None:
    assert _found(query, INDEX) == numbers


def test_without_an_index_of_whole_lines_words_are_looked_for_in_its_fields() -> None:
    assert _found("500", {"keys": {"message": {"type": "text", "token": [" "]}}}) == []
    assert _found("timed", {"keys": {"message": {"type": "text", "token": [" "]}}}) == [0]


@pytest.mark.parametrize("query", ["ms:1", "ms:*", "message>1", "ms>1"])
def test_a_field_that_is_not_indexed_is_told(query: str) -> None:
    with pytest.raises(Fault, match="key") as caught:
        _found(query, INDEX)
    assert caught.value.code == "ParameterInvalid"


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("a | select 1", ("a ", "select 1")),
        ("\"a|b\" | select 'x|y'", ('"a|b" ', "select 'x|y'")),
        ("a", ("a", "")),
        ('"a\\"|"', ('"a\\"|"', "")),
    ],
)
def test_sql_is_what_stands_behind_a_bar(query: str, parts: tuple[str, str]) -> None:
    assert divided(query) == parts
