"""Aggregates of SLS's SQL that SQLite has not. They see one row after the other; arrays and maps are JSON text."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

_MOST = 100_000
"""Values of an array."""


class _Collected:
    """An aggregate of numbers."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._parts = [50.0]

    def step(self, value: Any, *more: Any) -> None:
        """One more row; what is no number does not count."""
        with contextlib.suppress(ValueError, TypeError):
            self._values.append(float(value))
        if more:
            self._parts = [float(more[-1]) * 100]

    def finalize(self) -> float | None:
        """The smallest number that so many of all are not above."""
        if not self._values:
            return None
        place = math.ceil(len(self._values) * self._parts[0] / 100) - 1
        return sorted(self._values)[max(place, 0)]


class _Deviation(_Collected):
    def finalize(self) -> float | None:
        """The deviation of a sample."""
        return math.sqrt(_spread(self._values) / (len(self._values) - 1)) if len(self._values) > 1 else None


class _CountIf:
    def __init__(self) -> None:
        self._count = 0

    def step(self, condition: Any) -> None:
        """One more row."""
        self._count += bool(condition)

    def finalize(self) -> int:
        """How many were so."""
        return self._count


class _Distinct:
    def __init__(self) -> None:
        self._values: set[Any] = set()

    def step(self, value: Any) -> None:
        """One more row."""
        if value is not None:
            self._values.add(value)

    def finalize(self) -> int:
        """How many there are."""
        return len(self._values)


class _First:
    def __init__(self) -> None:
        self._value: Any = None

    def step(self, value: Any) -> None:
        """One more row."""
        if self._value is None:
            self._value = value

    def finalize(self) -> Any:
        """Any of them."""
        return self._value


class _DeviationOfAll(_Collected):
    def finalize(self) -> float | None:
        """The deviation of all there are."""
        return math.sqrt(_spread(self._values) / len(self._values)) if self._values else None


class _Variance(_Collected):
    def finalize(self) -> float | None:
        """The variance of a sample."""
        return _spread(self._values) / (len(self._values) - 1) if len(self._values) > 1 else None


class _VarianceOfAll(_Collected):
    def finalize(self) -> float | None:
        """The variance of all there are."""
        return _spread(self._values) / len(self._values) if self._values else None


class _GeometricMean(_Collected):
    def finalize(self) -> float | None:
        """The root of their product."""
        if not self._values or min(self._values) <= 0:
            return 0.0 if self._values else None
        return math.exp(math.fsum(map(math.log, self._values)) / len(self._values))


class _MostBy:
    """The value where another is largest."""

    _sign = 1

    def __init__(self) -> None:
        self._found: list[tuple[Any, Any]] = []
        self._most: int | None = None

    def step(self, value: Any, by: Any, most: Any = None) -> None:
        """One more row."""
        if by is None:
            return
        self._most = most if most is None else min(max(int(most), 1), _MOST)
        self._found.append((by, value))
        if len(self._found) > 2 * (self._most or 1):
            self._cut()

    def _cut(self) -> None:
        order = sorted(self._found, key=lambda each: (isinstance(each[0], str), each[0]), reverse=self._sign > 0)
        self._found = order[: self._most or 1]

    def finalize(self) -> Any:
        """The value, or an array of so many."""
        self._cut()
        values = [value for _, value in self._found]
        if self._most is not None:
            return json.dumps(values, ensure_ascii=False)
        return values[0] if values else None


class _LeastBy(_MostBy):
    _sign = -1


class _All:
    def __init__(self) -> None:
        self._values: list[Any] = []

    def step(self, value: Any) -> None:
        """One more row."""
        if len(self._values) < _MOST:
            self._values.append(value)

    def finalize(self) -> str:
        """An array of them."""
        return json.dumps(self._values, ensure_ascii=False)


class _Set(_All):
    def finalize(self) -> str:
        """An array with each of them once."""
        return json.dumps(list(dict.fromkeys(self._values)), ensure_ascii=False)


class _Pairs:
    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def step(self, key: Any, value: Any) -> None:
        """One more row."""
        if key is not None:
            self._found[str(key)] = value

    def finalize(self) -> str:
        """A map of them."""
        return json.dumps(self._found, ensure_ascii=False)


class _Histogram:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def step(self, value: Any) -> None:
        """One more row."""
        if value is not None:
            self._counts[str(value)] += 1

    def finalize(self) -> str:
        """A map of how often each value is there."""
        return json.dumps(dict(sorted(self._counts.items())), ensure_ascii=False)


class _NumericHistogram:
    """So many heaps of numbers, of which the nearest are put together (Ben-Haim and Tom-Tov)."""

    def __init__(self) -> None:
        self._heaps: list[tuple[float, float]] = []
        self._most = 1

    def step(self, most: Any, value: Any) -> None:
        """One more row; what is no number does not count."""
        self._most = min(max(int(most), 1), 1000)
        with contextlib.suppress(ValueError, TypeError):
            self._heaps.append((float(value), 1.0))
        if len(self._heaps) > 4 * self._most:
            self._join()

    def _join(self) -> None:
        heaps = sorted(self._heaps)
        while len(heaps) > self._most:
            place = min(range(len(heaps) - 1), key=lambda each: heaps[each + 1][0] - heaps[each][0])
            (one, many), (two, more) = heaps[place : place + 2]
            heaps[place : place + 2] = [((one * many + two * more) / (many + more), many + more)]
        self._heaps = heaps

    def finalize(self) -> str:
        """A map of the middle of each heap, and how many it has."""
        self._join()
        return json.dumps({str(middle): count for middle, count in self._heaps})


class _Every:
    def __init__(self) -> None:
        self._found: bool | None = None

    def step(self, condition: Any) -> None:
        """One more row."""
        if condition is not None:
            self._found = bool(condition) and self._found is not False

    def finalize(self) -> bool | None:
        """Whether all were so."""
        return self._found


class _Any(_Every):
    def step(self, condition: Any) -> None:
        """One more row."""
        if condition is not None:
            self._found = bool(condition) or self._found is True


class _Correlation:
    def __init__(self) -> None:
        self._pairs: list[tuple[float, float]] = []

    def step(self, one: Any, two: Any) -> None:
        """One more row; where one of them is no number it does not count."""
        with contextlib.suppress(ValueError, TypeError):
            self._pairs.append((float(one), float(two)))

    def finalize(self) -> float | None:
        """How much they go together, from -1 to 1."""
        first, second = [one for one, _ in self._pairs], [two for _, two in self._pairs]
        scale = math.sqrt(_spread(first) * _spread(second)) if self._pairs else 0.0
        if not scale:
            return None
        one, two = math.fsum(first) / len(first), math.fsum(second) / len(second)
        return math.fsum((x - one) * (y - two) for x, y in self._pairs) / scale


def _spread(values: list[float]) -> float:
    """The squares of how far they are from their mean, together."""
    mean = math.fsum(values) / len(values)
    return math.fsum((each - mean) ** 2 for each in values)


AGGREGATES: Mapping[str, tuple[type, tuple[int, ...]]] = {
    "approx_percentile": (_Collected, (2, 3)), "count_if": (_CountIf, (1,)), "approx_distinct": (_Distinct, (1,)),
    "arbitrary": (_First, (1,)), "any_value": (_First, (1,)),
    "stddev": (_Deviation, (1,)), "stddev_samp": (_Deviation, (1,)), "stddev_pop": (_DeviationOfAll, (1,)),
    "variance": (_Variance, (1,)), "var_samp": (_Variance, (1,)), "var_pop": (_VarianceOfAll, (1,)),
    "geometric_mean": (_GeometricMean, (1,)), "max_by": (_MostBy, (2, 3)), "min_by": (_LeastBy, (2, 3)),
    "array_agg": (_All, (1,)), "set_agg": (_Set, (1,)), "map_agg": (_Pairs, (2,)), "histogram": (_Histogram, (1,)),
    "numeric_histogram": (_NumericHistogram, (2,)), "bool_and": (_Every, (1,)), "every": (_Every, (1,)),
    "bool_or": (_Any, (1,)), "corr": (_Correlation, (2,)),
}  # fmt: skip
"""By name: what it does, and how many arguments it may have."""
