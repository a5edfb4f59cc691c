"""Event patterns, by which EventBridge's rules say which events they are for.

1. A pattern is a JSON object. What it names the event must have, in the same places; each name leads to a list, of
   which one member must fit, or to a pattern of the object there.
2. Where the event has a list, one member that fits is enough.
3. A member is a value, which must be the same, or an object with one of OPERATORS. Any other is refused by its name.
"""

from __future__ import annotations

import ipaddress
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Fits = Callable[[Any], bool]
_MOST_DEPTH = 32
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ABSENT = object()


class WrongPattern(ValueError):
    """What is no pattern, with the place."""


class _Field(NamedTuple):
    """What a pattern says of one name."""

    name: str
    fits: Fits
    """Of the value of an event; of _ABSENT where it has none."""


class Pattern:
    """One pattern, read."""

    def __init__(self, fields: tuple[_Field, ...]) -> None:
        self._fields = fields

    @classmethod
    def read(cls, text: Any) -> Pattern:
        """From JSON or its text; nothing is a pattern of every event. Raises WrongPattern that names the place."""
        if text is None or (isinstance(text, str) and not text.strip()):
            return cls(())
        if isinstance(text, str):
            try:
                text = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise WrongPattern(f"no JSON: {error}") from None
        return cls(_fields(text, ""))

    def fits(self, event: Mapping[str, Any]) -> bool:
        """Whether it is for this event."""
        return all(fits(event.get(name, _ABSENT)) for name, fits in self._fields)

    def may_fit(self, **values: str) -> bool:
        """Whether it is for some event with these values."""
        return all(fits(values[name]) for name, fits in self._fields if name in values)


def _fields(value: Any, place: str) -> tuple[_Field, ...]:
    if not isinstance(value, Mapping):
        raise WrongPattern(f"{place.rstrip('.') or 'it'} must be an object")
    if place.count(".") > _MOST_DEPTH:
        raise WrongPattern(f"it is more than {_MOST_DEPTH} objects deep")
    return tuple(_Field(str(name), _fits(inner, f"{place}{name}")) for name, inner in value.items())


def _fits(value: Any, place: str) -> Fits:
    """What a value of an event must be."""
    if isinstance(value, Mapping):
        inner = Pattern(_fields(value, f"{place}."))
        return lambda found: _any(lambda each: isinstance(each, Mapping) and inner.fits(each), found)
    if not isinstance(value, list):
        raise WrongPattern(f"{place} must be a list of what it may be, or an object")
    if not value:
        raise WrongPattern(f"{place} is an empty list, which nothing fits")
    options = [_option(each, place) for each in value]
    return lambda found: any(option(found) for option in options)


def _any(fits: Fits, found: Any) -> bool:
    """Whether a value fits, or a member of a list."""
    return any(map(fits, found)) if isinstance(found, list) else found is not _ABSENT and fits(found)


def _option(value: Any, place: str) -> Fits:
    if isinstance(value, list):
        raise WrongPattern(f"{place} has a list in its list")
    if not isinstance(value, Mapping):
        return lambda found: _any(lambda each: _is_same(each, value), found)
    name, argument = _operator(value, place)
    if name == "exists":
        if not isinstance(argument, bool):
            raise WrongPattern(f"{place}: exists takes true or false")
        return lambda found: (found is not _ABSENT) is argument
    fits = OPERATORS[name](argument, place)
    return lambda found: _any(fits, found)


def _operator(value: Mapping[str, Any], place: str) -> tuple[str, Any]:
    known = ", ".join([*OPERATORS, "exists"])
    if len(value) != 1:
        raise WrongPattern(f"{place} has an object of {len(value)} names in its list; it must be one of {known}")
    [(name, argument)] = value.items()
    if name != "exists" and name not in OPERATORS:
        raise WrongPattern(f"{place}: the operator {name[:50]!r} is not supported; there are {known}")
    return name, argument


def _is_same(one: Any, other: Any) -> bool:
    """JSON's equality: true is not 1."""
    return type(one) is type(other) and one == other if isinstance(other, bool | None) else _is_equal(one, other)


def _is_equal(one: Any, other: Any) -> bool:
    return not isinstance(one, bool) and bool(one == other)


def _text(name: str, fits: Callable[[str, str], bool]) -> Callable[[Any, str], Fits]:
    """An operator on text."""

    def read(argument: Any, place: str) -> Fits:
        if not isinstance(argument, str):
            raise WrongPattern(f"{place}: {name} takes text")
        return lambda found: isinstance(found, str) and fits(found, argument)

    return read


def _anything_but(argument: Any, place: str) -> Fits:
    if isinstance(argument, Mapping):
        name, inner = _operator(argument, place)
        if name not in {"prefix", "suffix", "contains"}:
            raise WrongPattern(f"{place}: anything-but takes values, prefix, suffix or contains, not {name}")
        excluded = OPERATORS[name](inner, place)
        return lambda found: not excluded(found)
    values = argument if isinstance(argument, list) else [argument]
    if not values or any(isinstance(each, list | Mapping) for each in values):
        raise WrongPattern(f"{place}: anything-but takes a value or a list of values")
    return lambda found: not any(_is_same(found, each) for each in values)


def _numeric(argument: Any, place: str) -> Fits:
    """Pairs of a comparison and a number, all of which must be true."""
    pairs = list(zip(argument[::2], argument[1::2], strict=False)) if isinstance(argument, list) else []
    if not pairs or len(argument) % 2 or not all(_is_comparison(*pair) for pair in pairs):
        raise WrongPattern(f'{place}: numeric takes comparisons and numbers in turn, like [">", 0, "<=", 5]')
    return lambda found: _is_number(found) and all(_COMPARED[sign](found, number) for sign, number in pairs)


def _is_comparison(sign: Any, number: Any) -> bool:
    return isinstance(sign, str) and sign in _COMPARED and _is_number(number)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cidr(argument: Any, place: str) -> Fits:
    try:
        network = ipaddress.IPv4Network(argument if isinstance(argument, str) else "", strict=False)
    except ValueError:
        raise WrongPattern(f"{place}: cidr takes a network of IPv4, like 10.0.0.0/24") from None

    def fits(found: Any) -> bool:
        try:
            return isinstance(found, str) and ipaddress.IPv4Address(found) in network
        except ValueError:
            return False

    return fits


OPERATORS: dict[str, Callable[[Any, str], Fits]] = {
    "prefix": _text("prefix", str.startswith),
    "suffix": _text("suffix", str.endswith),
    "contains": _text("contains", lambda found, part: part in found),
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
}
"""What reads the argument of each, beside `exists`. Raises WrongPattern that names the place."""
