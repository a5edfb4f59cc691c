"""SLS's language of searches, parsed: what stands before the | of a query.

    a b, a and b, a or b, a not b, not a, ( )     words; what stands side by side is joined by `and`
    "a b"                                         a word like any other, in which operators are none
    #"a b"                                        a phrase
    key: word, key: (a or b), key: *, key: ""     in one field; that it is there; that it is empty
    wor*, w?rd                                    wildcards, also in quoted words
    key > 1, >=, <, <=, =, key in [1 5), (1 5]    numbers

`not` and what it denies belong together closer than `and`, and that closer than `or`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from pyfc.cloud.sls.faults import Fault

_LONGEST = 64 * 1024
"""Characters of a query: it is read in the loop."""
_TOKEN = re.compile(
    r"""\s*(?:(?P<phrase>\#")|(?P<quote>["'])|(?P<mark>>=|<=|[()\[\]:=<>])|(?P<word>[^\s()\[\]:=<>"]+))""", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MOST = 2000
"""Parts of a search."""
_DEEPEST = 50
_COMPARISONS = frozenset(("=", ">", ">=", "<", "<="))
_TAG = "__tag__"


class All(NamedTuple):
    """Every log."""


class Word(NamedTuple):
    """A word, or several; in a field, or in any."""

    text: str
    key: str = ""
    is_phrase: bool = False


class Has(NamedTuple):
    """A field is there; `is_empty`: and has no text."""

    key: str
    is_empty: bool = False


class Range(NamedTuple):
    """A field's number is between two; None for no bound."""

    key: str
    low: float | None
    high: float | None
    with_low: bool
    with_high: bool


class Not(NamedTuple):
    """What is denied."""

    part: Part


class Both(NamedTuple):
    """All of them."""

    parts: tuple[Part, ...]


class Either(NamedTuple):
    """One of them at least."""

    parts: tuple[Part, ...]


Part = All | Word | Has | Range | Not | Both | Either


class _Token(NamedTuple):
    kind: str
    """word, quote, phrase, mark, or end."""
    text: str


_RANGES = ([_Token("mark", "[")], [_Token("mark", "(")])
"""How a range of numbers begins."""


def divided(query: str) -> tuple[str, str]:
    """What is searched, and the SQL behind the first | that stands in no quotes; '' if there is none. Raises Fault."""
    if len(query) > _LONGEST:
        raise Fault("ParameterInvalid", f"A query has at most {_LONGEST} characters.")
    quote, place = "", 0
    while place < len(query):
        character = query[place]
        if quote:
            place += character == "\\"
            quote = "" if character == quote else quote
        elif character == '"':
            quote = character
        elif character == "|":
            return query[:place], query[place + 1 :].strip()
        place += 1
    return query, ""


def parse(text: str) -> Part:
    """What is searched. Raises Fault ParameterInvalid."""
    if not text.strip():
        return All()
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    found, place, end = [], 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise _wrong(f"what is at {text[place : place + 20]!r} is not understood")
        kind, place = str(match.lastgroup), match.end()
        if kind in ("quote", "phrase"):
            inside, place = _quoted(text, place, match[0][-1])
            found.append(_Token(kind, inside))
        else:
            found.append(_Token(kind, match[kind]))
        if len(found) > _MOST:
            raise _wrong(f"it has more than {_MOST} parts")
    return [*found, _Token("end", "")]


def _quoted(text: str, place: int, quote: str) -> tuple[str, int]:
    end = place
    while end < len(text) and text[end] != quote:
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise _wrong("a quotation mark is missing")
    return _ESCAPED.sub(r"\1", text[place:end]), end + 1


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    def whole(self) -> Part:
        found = self._either("")
        if self._next.kind != "end":
            raise _wrong(f"{self._next.text!r} is not expected")
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self) -> _Token:
        token = self._tokens[self._place]
        self._place += 1
        return token

    def _is_word(self, word: str) -> bool:
        return self._next.kind == "word" and self._next.text.lower() == word

    def _is_mark(self, *marks: str) -> bool:
        return self._next.kind == "mark" and self._next.text in marks

    def _either(self, key: str) -> Part:
        parts = [self._both(key)]
        while self._is_word("or"):
            self._take()
            parts.append(self._both(key))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self, key: str) -> Part:
        parts = [self._negated(key)]
        while not (self._next.kind == "end" or self._is_mark(")") or self._is_word("or")):
            if self._is_word("and"):
                self._take()
            parts.append(self._negated(key))
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _negated(self, key: str) -> Part:
        if self._is_word("not"):
            self._take()
            return Not(self._deeper(self._negated, key))
        return self._primary(key)

    def _deeper(self, parse_part: Callable[[str], Part], key: str) -> Part:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _wrong(f"it is nested deeper than {_DEEPEST}")
        found = parse_part(key)
        self._depth -= 1
        return found

    def _primary(self, key: str) -> Part:
        if self._is_mark("("):
            self._take()
            found = self._deeper(self._either, key)
            if not self._is_mark(")"):
                raise _wrong("a ) is missing")
            self._take()
            return found
        token = self._take()
        if token.kind in ("end", "mark") or (token.kind == "word" and token.text.lower() in ("and", "or")):
            raise _wrong(f"a word is missing before {repr(token.text) if token.text else 'the end'}")
        if key or token.kind == "phrase":
            return _value(token, key)
        return self._field(token)

    def _field(self, token: _Token) -> Part:
        """A word, or the name of a field and what is asked of it."""
        if self._is_mark(":"):
            self._take()
            name = token.text
            if name == _TAG and self._tokens[self._place + 1 :][:1] == [_Token("mark", ":")]:
                name = f"{_TAG}:{self._take().text}"
                self._take()
            return self._primary(name) if self._is_mark("(") else self._of_field(name)
        if self._is_mark(*_COMPARISONS):
            return self._comparison(token.text, self._take().text)
        if self._is_word("in") and self._tokens[self._place + 1 :][:1] in _RANGES:
            self._take()
            return self._between(token.text)
        return _value(token, "")

    def _of_field(self, name: str) -> Part:
        if self._next.kind in ("end", "mark") or any(map(self._is_word, ("and", "or", "not"))):
            raise _wrong(f"a value is missing for {name!r}")
        return _value(self._take(), name)

    def _comparison(self, name: str, mark: str) -> Part:
        token = self._take()
        number = _number(token.text)
        if number is None:
            if mark == "=" and token.kind in ("word", "quote"):
                return _value(token, name)
            raise _wrong(f"{token.text!r} is no number that {name!r} can be compared with")
        low = number if mark in ("=", ">", ">=") else None
        high = number if mark in ("=", "<", "<=") else None
        return Range(name, low, high, mark in ("=", ">="), mark in ("=", "<="))

    def _between(self, name: str) -> Part:
        given = self._tokens[self._place : self._place + 4]
        low, high = (_number(each.text) for each in given[1:3]) if len(given) == 4 else (None, None)
        if low is None or high is None or given[3].text not in ("]", ")"):
            raise _wrong(f"{name!r} in needs two numbers in brackets, like [100 200)")
        self._place += 4
        begin, _, _, end = given
        return Range(name, low, high, begin.text == "[", end.text == "]")


def _value(token: _Token, key: str) -> Part:
    if token.kind == "phrase":
        return Word(token.text, key, is_phrase=True)
    if token.text == "*" and token.kind == "word":
        return Has(key) if key else All()
    if not token.text:
        return Has(key, is_empty=True) if key else All()
    return Word(token.text, key)


def _number(text: str) -> float | None:
    try:
        return float(text) if len(text) < 40 and not set(text) & set("_nN") else None
    except ValueError:
        return None


def _wrong(why: str) -> Fault:
    return Fault("ParameterInvalid", f"The query is not understood: {why}.")
