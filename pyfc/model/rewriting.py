"""How a domain's route rewrites paths (FC's rewriteConfig), in time that grows with the path and not beyond.

FC's server is written in Go, whose regular expressions are RE2's. They are RE2's here too (regular.py): what that
engine does not have FC does not have either. Where it is not installed, rules with regular expressions are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from pyfc.errors import InvalidArgument
from pyfc.model.regular import MissingEngine, WrongExpression, compiled

_LONGEST_PATH = 4096
_LONGEST, _MOST = 1024, 100
"""Characters of a pattern or a replacement; rules of a kind."""
_KINDS = ("equalRules", "wildcardRules", "regexRules")


def check(rules: Mapping[str, Any]) -> None:
    """Raises InvalidArgument for rules that cannot be followed, with what is wrong."""
    for kind in _KINDS:
        listed = rules.get(kind) or []
        if not isinstance(listed, list) or not all(isinstance(rule, Mapping) for rule in listed):
            raise InvalidArgument(message=f"rewriteConfig.{kind} must be a list of rules with match and replacement")
        if len(listed) > _MOST:
            raise InvalidArgument(message=f"rewriteConfig.{kind} has {len(listed)} rules; at most {_MOST} are allowed")
        for rule in listed:
            _check_rule(kind, rule)


def _check_rule(kind: str, rule: Mapping[str, Any]) -> None:
    for name in ("match", "replacement"):
        text = rule.get(name, "")
        if not isinstance(text, str) or len(text) > _LONGEST:
            raise InvalidArgument(
                message=f"{name} of a rule in rewriteConfig.{kind} must be text of at most {_LONGEST} characters"
            )
    if kind != "regexRules":
        return
    try:
        compiled(rule.get("match", ""))
    except MissingEngine as error:
        raise InvalidArgument(message=f"rewriteConfig.regexRules {error}") from None
    except WrongExpression as error:
        raise InvalidArgument(
            message=f"the regular expression {rule.get('match', '')!r} is none that FC takes (RE2): {error}"
        ) from None


def rewrite(rules: Mapping[str, Any], path: str) -> str:
    """The path that FC's rewriteConfig makes of a percent-encoded path: the first rule that fits counts, equal ones
    before those with `*` and those before regular expressions. A path above FC's limit stays: it is refused anyway.
    """
    if len(path) > _LONGEST_PATH:
        return path
    plain = unquote(path)
    for match, replacement in _pairs(rules, "equalRules"):
        if plain == match:
            return _encoded(replacement)
    for match, replacement in _pairs(rules, "wildcardRules"):
        groups = spread(match, plain)
        if groups is not None:
            return _encoded(_filled(replacement, groups))
    for match, replacement in _pairs(rules, "regexRules"):
        found = _found(match, plain)
        if found:
            return _encoded(plain[: found.start()] + _filled(replacement, found.groups()) + plain[found.end() :])
    return path


def _pairs(rules: Mapping[str, Any], kind: str) -> list[tuple[str, str]]:
    """What is no rule was kept by a pyfc that did not look at them."""
    listed = rules.get(kind) or []
    found = [rule for rule in listed if isinstance(rule, Mapping)] if isinstance(listed, list | tuple) else []
    return [(str(rule.get("match", "")), str(rule.get("replacement", ""))) for rule in found]


def _found(pattern: str, text: str) -> Any:
    try:
        return compiled(pattern).search(text)
    except WrongExpression:
        return None


def spread(pattern: str, text: str) -> list[str] | None:
    """What each `*` of a pattern stands for in a text, the first for as much as it can; None if it does not fit. Every
    piece between them is looked for once, from the end.
    """
    first, *pieces = pattern.split("*")
    if not pieces:
        return [] if text == pattern else None
    last = pieces.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return None
    groups: list[str] = []
    end = len(text) - len(last)
    for piece in reversed(pieces):
        at = text.rfind(piece, len(first), end)
        if at < 0:
            return None
        groups.append(text[at + len(piece) : end])
        end = at
    return [text[len(first) : end], *reversed(groups)]


def _filled(text: str, groups: Sequence[str | None]) -> str:
    """`$1`, `${1}` and, in turn, `*` stand for what was found. What was found is not looked at again."""
    stars = iter(groups)

    def group(match: re.Match[str]) -> str:
        if match.group() == "*":
            return next(stars, "*") or ""
        number = int(match.group(1) or match.group(2))
        return (groups[number - 1] or "") if 0 < number <= len(groups) else ""

    return re.sub(r"\$(?:([0-9]+)|\{([0-9]+)\})|\*", group, text)


def _encoded(path: str) -> str:
    return quote(path if path.startswith("/") else f"/{path}", safe="/-_.~!$&'()*+,;=:@")
