"""The language inside `${...}` of Serverless Devs: names with members, calls, literals, operators of JavaScript.

    ${vars.region}   ${env('STAGE', 'dev') == 'prod' ? 10 : 1}   ${json(file('x.json')).list[0]}   ${path(../..)}

`find` gives the expressions of a text, parsed. What is called and what names stand for is not known here (`scope`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_LONGEST, _DEEPEST = 4096, 40
"""Characters of an expression, and operations in each other."""
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<number>\d+(?:\.\d+)?(?![\w.]))
    | (?P<name>[A-Za-z_$][\w$]*(?:-[\w$]+)*)
    | (?P<mark>===|!==|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]}])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_RAW = re.compile(r"\$\{\s*(\w+)\(([^{}]*)\)\s*\}")
"""A call as edition 1 has it, whose arguments need no quotes: `${path(../..)}`."""
_CALL = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_POWER = {
    "||": 1, "&&": 2, "==": 3, "!=": 3, "===": 3, "!==": 3, "<": 4, ">": 4, "<=": 4, ">=": 4, "+": 5, "-": 5, "*": 6,
    "/": 6, "%": 6,
}  # fmt: skip
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "undefined": None}


class Literal(NamedTuple):
    """A value that stands there itself."""

    value: str | float | int | bool | None


class Name(NamedTuple):
    """A name with nothing before it."""

    name: str


class Member(NamedTuple):
    """`of.name`, or `of[name]`."""

    of: Expression
    name: Expression


class Call(NamedTuple):
    """`function(arguments)`."""

    function: str
    arguments: tuple[Expression, ...]
    written: tuple[str, ...]
    """The arguments as they stand there: edition 1 needs no quotes, so `file(a/b.txt)` counts nothing."""


class Operation(NamedTuple):
    """An operator with one, two or (`?`) three operands."""

    operator: str
    operands: tuple[Expression, ...]


Expression = Literal | Name | Member | Call | Operation


class Occurrence(NamedTuple):
    """An expression in a text, with where `${` begins and what follows `}`."""

    start: int
    end: int
    expression: Expression


class _NoExpressionError(Exception):
    """What stands in the braces is none."""


def find(text: str) -> Iterator[Occurrence]:
    """The expressions of a text, in their order. What is none is left alone, as `${HOME:-x}` of a shell."""
    at = text.find("${")
    while at >= 0:
        occurrence = _occurrence(text, at)
        if occurrence is not None:
            yield occurrence
        at = text.find("${", occurrence.end if occurrence is not None else at + 2)


def _occurrence(text: str, start: int) -> Occurrence | None:
    try:
        parser = _Parser(text[start + 2 : start + 2 + _LONGEST])
        expression = parser.expression()
        parser.expect("}")
        return Occurrence(start, start + 2 + parser.at, expression)
    except _NoExpressionError:
        raw = _RAW.match(text, start)
        if raw is None or raw.end() - start > _LONGEST:
            return None
        return Occurrence(start, raw.end(), _raw_call(raw[1], raw[2], 0))


def _raw_call(function: str, arguments: str, depth: int) -> Call:
    """A call whose arguments may stand there without quotes; the last of them may hold commas."""
    written = tuple(each.strip() for each in arguments.split(",", 1))
    return Call(function, tuple(_raw_argument(each, depth) for each in written), written)


def _raw_argument(text: str, depth: int) -> Expression:
    try:
        parser = _Parser(text)
        expression = parser.expression()
        parser.end()
    except _NoExpressionError:
        call = _CALL.fullmatch(text)
        if call is not None and depth < _DEEPEST:
            return _raw_call(call[1], call[2], depth + 1)
        return Literal(text.strip("'\""))
    return expression


class _Parser:
    """Reads one expression, by the power of its operators."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self._depth = 0

    def expression(self, power: int = 0) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NoExpressionError
        left = self._operand()
        while (operator := self._peek()) is not None and _POWER.get(operator, 0) > power:
            self._next()
            left = Operation(operator, (left, self.expression(_POWER[operator])))
        if power == 0 and self._peek() == "?":
            self._next()
            chosen = self.expression()
            self.expect(":")
            left = Operation("?", (left, chosen, self.expression()))
        self._depth -= 1
        return left

    def expect(self, mark: str) -> None:
        if self._next() != ("mark", mark):
            raise _NoExpressionError

    def end(self) -> None:
        if self._text[self.at :].strip():
            raise _NoExpressionError

    def _peek(self) -> str | None:
        """The mark that comes next, if it is one."""
        match = _TOKEN.match(self._text, self.at)
        return match["mark"] if match is not None else None

    def _next(self) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self.at)
        if match is None or match.lastgroup is None:
            raise _NoExpressionError
        self.at = match.end()
        return match.lastgroup, match[match.lastgroup]

    def _operand(self) -> Expression:
        kind, text = self._next()
        if kind == "mark" and text in {"!", "-"}:
            return Operation(text, (self.expression(max(_POWER.values())),))
        if kind == "mark" and text == "(":
            inner = self.expression()
            self.expect(")")
            return self._members(inner)
        if kind == "text":
            return self._members(Literal(_ESCAPE.sub(r"\1", text[1:-1])))
        if kind == "number":
            return Literal(float(text) if "." in text else int(text))
        if kind == "name":
            return self._members(self._named(text))
        raise _NoExpressionError

    def _named(self, name: str) -> Expression:
        if self._peek() == "(":
            self._next()
            return self._call(name)
        return Literal(_WORDS[name]) if name in _WORDS else Name(name)

    def _call(self, name: str) -> Call:
        found: list[Expression] = []
        written: list[str] = []
        while self._peek() != ")":
            start = self.at
            found.append(self.expression())
            written.append(self._text[start : self.at].strip())
            if self._peek() != ")":
                self.expect(",")
        self.expect(")")
        return Call(name, tuple(found), tuple(written))

    def _members(self, of: Expression) -> Expression:
        while (mark := self._peek()) in {".", "["}:
            self._next()
            if mark == "[":
                of = Member(of, self.expression())
                self.expect("]")
                continue
            kind, text = self._next()
            if kind not in {"name", "number"}:
                raise _NoExpressionError
            of = Member(of, Literal(text))
        return of
