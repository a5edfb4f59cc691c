"""A cold start as a tree for people, and what to do about its longest parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyfc.dev.output import first_line, one_line

_WIDTH = 52
_DEPTH = 3
_MOST = 8
_HEAVY = 0.05
"""Seconds above which an import is worth doing something about."""
_LARGE = 50 * 1024 * 1024


def tree(found: dict[str, Any]) -> str:
    """The phases, and below RuntimeInitialize the imports with their times."""
    total = sum(found["phases"].values())
    lines = [_line("", f"{found['service']}/{found['function']}", total)]
    phases = list(found["phases"].items())
    for number, (name, seconds) in enumerate(phases):
        last = number == len(phases) - 1
        lines.append(_line("└─ " if last else "├─ ", name, seconds))
        if name == "RuntimeInitialize":
            lines += _imports(found["imports"], "   " if last else "│  ", 1)
    if found["fault"]:
        lines.append(f"It fails: {first_line(found['fault'])}")
    return "\n".join(lines)


def _imports(nodes: list[Any], indent: str, depth: int) -> Iterator[str]:
    longest = sorted(nodes, key=lambda node: -node[1])[:_MOST]
    shown = [node for node in nodes if node in longest]
    for number, (name, seconds, inner) in enumerate(shown):
        last = number == len(shown) - 1
        yield _line(indent + ("└─ " if last else "├─ "), f"import {name}", seconds)
        if depth < _DEPTH and seconds >= _HEAVY / 10:
            yield from _imports(inner, indent + ("   " if last else "│  "), depth + 1)


def _line(indent: str, name: str, seconds: float) -> str:
    return f"{(indent + one_line(name))[:_WIDTH]:<{_WIDTH}} {seconds * 1000:10.1f} ms"


def advice(found: dict[str, Any]) -> list[str]:
    """What may make cold starts shorter or rarer, the most useful first."""
    lines = [_about_template(found["template"])]
    heavy = [node for node in _flat(found["imports"], 1) if node[1] >= _HEAVY]
    if heavy:
        names = ", ".join(f"{one_line(name)} ({seconds * 1000:.0f} ms)" for name, seconds, _ in heavy[:3])
        lines.append(f"Import where it is needed instead of at the top: {names}.")
    if found["phases"]["Initializer"] >= _HEAVY:
        lines.append("The initializer is long: `snapshot: initialized` in pyfc.yml runs it once for all instances.")
    if sum(found["phases"].values()) >= _HEAVY and not found["reserved"]:
        lines.append("Reserved instances are never cold: `provisionConfig: {target: 1}` in pyfc.yml.")
    if found["codeSize"] >= _LARGE:
        lines.append(f"The code has {found['codeSize'] / 1048576:.0f} MB: leave out what is not needed.")
    if found["peakMemoryMb"] > 0.8 * found["memorySize"]:
        lines.append(
            f"It uses {found['peakMemoryMb']:.0f} of {found['memorySize']} MB before its first call: raise memorySize."
        )
    return lines


def _about_template(state: str) -> str:
    if state == "ready":
        return "Only the first instance pays for this: the next ones are copies of a template, in a few milliseconds."
    if state == "none":
        return "The next instances will be copies of a template, which is made when a second one is needed."
    return f"Every instance imports for itself, since there is no template: {one_line(state)}."


def _flat(nodes: list[Any], depth: int) -> Iterator[Any]:
    for node in sorted(nodes, key=lambda each: -each[1]):
        inner = [each for each in node[2] if each[1] >= 0.8 * node[1]]
        if depth < _DEPTH and inner:
            yield from _flat(inner, depth + 1)  # it is long because of one that it imports
        else:
            yield node
