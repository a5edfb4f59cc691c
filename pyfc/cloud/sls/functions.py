"""What SLS's SQL has that SQLite has not, and what of SQLite's own may be used."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from pyfc.cloud.sls import arrays, texts, times
from pyfc.cloud.sls.aggregates import AGGREGATES
from pyfc.cloud.sls.comparison import COMPARED, compared


def _if(condition: Any, yes: Any, no: Any = None) -> Any:
    return yes if condition else no


def _greatest(*values: Any) -> Any:
    return None if None in values else max(values)


def _least(*values: Any) -> Any:
    return None if None in values else min(values)


def _random(*bounds: Any) -> float:
    if not bounds:
        return random.random()  # noqa: S311  as any number will do
    return random.randrange(*map(int, bounds))  # noqa: S311


def _bucket(value: Any, low: Any, high: Any, count: Any) -> int:
    """Which of so many equal parts it lies in; 0 for below, one more for above."""
    share = (float(value) - float(low)) / (float(high) - float(low))
    return max(0, min(math.floor(share * int(count)) + 1, int(count) + 1))


def _digits(value: int, base: int) -> str:
    """A number as it is written with this base."""
    if not 2 <= base <= 36:
        raise ValueError(base)
    found, rest = "", abs(value)
    while rest or not found:
        rest, digit = divmod(rest, base)
        found = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + found
    return f"-{found}" if value < 0 else found


SCALARS: Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    **times.FUNCTIONS, **texts.FUNCTIONS, **arrays.FUNCTIONS,
    "if": (_if, (2, 3)), "try": (lambda value: value, (1,)), "greatest": (_greatest, (-1,)), "least": (_least, (-1,)),
    "random": (_random, (0, 1, 2)), "rand": (_random, (0, 1, 2)), "width_bucket": (_bucket, (4,)),
    "cbrt": (lambda value: math.copysign(abs(value) ** (1 / 3), value), (1,)),
    "truncate": (lambda value: float(math.trunc(value)), (1,)), "e": (lambda: math.e, (0,)),
    "to_base": (lambda value, base: _digits(int(value), int(base)), (2,)),
    "from_base": (lambda text, base: int(str(text), int(base)), (2,)),
    "is_nan": (math.isnan, (1,)), "bitwise_and": (lambda one, two: int(one) & int(two), (2,)),
    "bitwise_or": (lambda one, two: int(one) | int(two), (2,)),
    COMPARED: (compared, (-1,)), "bitwise_xor": (lambda one, two: int(one) ^ int(two), (2,)),
}  # fmt: skip
"""By name: what it does, and how many arguments it may have."""
_NATIVE = """
    abs avg ceil ceiling char coalesce count cume_dist dense_rank exp first_value floor glob hex ifnull iif instr
    lag last_value lead length like ln log log10 log2 lower ltrim max min mod nth_value ntile nullif percent_rank pi pow
    power rank replace round row_number rtrim sign sqrt substr substring sum total trim trunc typeof unicode upper
"""
ALLOWED = frozenset((*_NATIVE.split(), *SCALARS, *AGGREGATES))
"""All that may be used: SQLite's own among them."""
_PLACES = "ip_to_city ip_to_city_geo ip_to_country ip_to_country_code ip_to_geo ip_to_province ip_to_provider"
NEED_PLACES = frozenset(_PLACES.split())
"""Functions that SLS answers from a database of where addresses are, which is not here."""
_CHANGING = frozenset(("now", "random", "rand"))
"""Functions that answer something else each time."""


def _calm(work: Callable[..., Any]) -> Callable[..., Any]:
    """What a function cannot make sense of is NULL, as most of SLS's are for such values."""

    def calm(*values: Any) -> Any:
        try:
            return work(*values)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, OSError, RecursionError):
            return None

    return calm


def register(connection: sqlite3.Connection) -> None:
    """Give all of them to a connection."""
    for name, (work, counts) in SCALARS.items():
        for count in counts:
            connection.create_function(name, count, _calm(work), deterministic=name not in _CHANGING)
    for name, (kind, counts) in AGGREGATES.items():
        for count in counts:
            connection.create_aggregate(name, count, kind)
