"""`compare(x, n, ...)` of SLS's SQL: what a query finds beside what the same query finds so many seconds before.

SQLite has no such thing, so that a call becomes a query of its own: of the SELECT that it stands in, over the logs of
the earlier time, whose times are moved on to now. A row is compared with the one that has the same values in all other
columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pyfc.cloud.sls.faults import Fault

NAME = "compare"
COMPARED = "_compared"
"""The function that makes the array."""
_MOST, _LONGEST = 8, 10 * 366 * 86400
"""Times of one call, and seconds."""
_SECONDS = re.compile(r"[1-9][0-9]{0,9}")
_ENDS = frozenset(("having", "order", "limit", "union", "except", "intersect", "window", ";"))

_NAME, _VALUE = re.compile(r'\w+|".*"|`.*`'), re.compile(r"""\w+|".*"|`.*`|'.*'|\)""")
_NO_NAMES = frozenset(("end", "null", "true", "false"))
"""Words with which a value may end."""


class Words(NamedTuple):
    """SQL in pieces."""

    words: Sequence[str]
    """In lower case, as they are compared; '' for space."""
    texts: Sequence[str]

    def part(self, begin: int, end: int) -> Words:
        """Those between two places."""
        return Words(self.words[begin:end], self.texts[begin:end])

    @property
    def text(self) -> str:
        """As SQL."""
        return "".join(self.texts).strip()


def rewritten(sql: Words, table: str) -> tuple[str, set[int]]:
    """SQL without `compare`, and how many seconds before now it asks for: of the logs of then it takes the table
    `table_SECONDS`. Raises Fault.
    """
    found, text, done = set(), [*sql.texts], len(sql.words)
    for place in range(len(sql.words) - 1, -1, -1):
        if sql.words[place] == NAME and _next(sql.words, place) == "(":
            end, seconds, replaced = _rewritten(sql, place, table)
            if end > done:
                raise _wrong("compare stands in no other compare")
            text[place:end] = [replaced]
            found |= seconds
            done = place
    return "".join(text), found


def _rewritten(sql: Words, place: int, table: str) -> tuple[int, set[int], str]:
    """Where a call ends, the seconds that it names, and what stands for it."""
    begin = sql.words.index("(", place) + 1
    end = _closing(sql.words, begin)
    value, *told = [sql.part(*each) for each in _divided(sql.words, begin, end)]
    seconds = [int(each.text) if _SECONDS.fullmatch(each.text) else 0 for each in told]
    if not seconds or len(seconds) > _MOST or not all(0 < each <= _LONGEST for each in seconds):
        raise _wrong(f"compare takes a value and up to {_MOST} numbers of seconds, like compare(pv, 86400)")
    before = [_query(sql, place, value, f"{table}_{each}", table) for each in seconds]
    return end + 1, set(seconds), f"{COMPARED}({', '.join([value.text, *before])})"


def _query(sql: Words, place: int, value: Words, table: str, own: str) -> str:
    """The value of the same row of then."""
    first = _select(sql.words, place)
    of = _at_depth(sql.words, first, ("from",))
    last = _at_depth(sql.words, of, _ENDS)
    names, items, own_values, same = [], [], [], []
    for number, (begin, end) in enumerate(_divided(sql.words, first, of)):
        item = sql.part(begin, end)
        names.append(f"_{number}")
        if begin <= place < end:
            items.append(f"{value.text} AS _value")
            names[-1] = "_value"
        elif NAME in item.words:
            items.append("NULL")
        elif item.text.endswith("*"):
            raise _wrong("compare stands beside columns that are named, not beside *")
        else:
            items.append(item.text)
            own_values.append(f"{_unnamed(item).text} AS _own_{number}")
            same.append(f"_{number} IS _own_{number}")
    rest = _of(sql.part(of, last), table, own)
    then = f"_then({', '.join(names)}) AS MATERIALIZED (SELECT {', '.join(items)} {rest})"
    if not same:
        return f"(WITH {then} SELECT _value FROM _then LIMIT 1)"  # noqa: S608  SQL that may only read
    now = f"_now AS MATERIALIZED (SELECT {', '.join(own_values)})"  # once, not for each row of then
    where = " AND ".join(same)
    return f"(WITH {then}, {now} SELECT _value FROM _now CROSS JOIN _then WHERE {where} LIMIT 1)"  # noqa: S608


def _of(rest: Words, table: str, own: str) -> str:
    """FROM and what follows it, with another table than the logs of now."""
    before = ""
    texts = []
    for word, text in zip(*rest, strict=True):
        texts.append(table if word.strip('"`') == own and before in ("from", "join", ",") else text)
        before = word or before
    return "".join(texts)


def _unnamed(item: Words) -> Words:
    """An item of a SELECT without its name."""
    at = _at_depth(item.words, 0, ("as",))
    places = [place for place, word in enumerate(item.words) if word]
    if at < len(item.words) or len(places) < 2:
        return item.part(0, at)
    before, last = (item.words[place] for place in places[-2:])
    is_name = _NAME.fullmatch(last) is not None and last not in _NO_NAMES
    return item.part(0, places[-1]) if is_name and _VALUE.fullmatch(before) else item


def _select(words: Sequence[str], place: int) -> int:
    """Behind the SELECT that a place belongs to. Raises Fault."""
    depth = 0
    for at in range(place, -1, -1):
        depth += (words[at] == ")") - (words[at] == "(")
        if words[at] == "select" and depth <= 0:
            return at + 1
    raise _wrong("compare stands behind SELECT")


def _at_depth(words: Sequence[str], begin: int, ends: Sequence[str] | frozenset[str]) -> int:
    """Where one of these comes, or the brackets close that the beginning stands in, or it ends."""
    depth = 0
    for at in range(begin, len(words)):
        depth += (words[at] == "(") - (words[at] == ")")
        if depth < 0 or (not depth and words[at] in ends):
            return at
    return len(words)


def _closing(words: Sequence[str], begin: int) -> int:
    end = _at_depth(words, begin, ())
    if end == len(words):
        raise _wrong("a bracket is not closed")
    return end


def _divided(words: Sequence[str], begin: int, end: int) -> list[tuple[int, int]]:
    """Parts between commas."""
    found = []
    while begin < end:
        at = min(_at_depth(words, begin, (",",)), end)
        found.append((begin, at))
        begin = at + 1
    return found


def _next(words: Sequence[str], place: int) -> str:
    return next((word for word in words[place + 1 :] if word), "")


def compared(now: Any, *before: Any) -> str:
    """Now, each of before, and now in proportion to each, as JSON."""
    values = [None if each is None else float(each) for each in (now, *before)]
    first = values[0]
    shares = [None if first is None or not each else first / each for each in values[1:]]
    return json.dumps([*values, *shares])


def _wrong(why: str) -> Fault:
    return Fault("ParameterInvalid", f"The SQL is not understood: {why}.")
