"""How often which duration was seen: buckets that grow by a fixed factor, so that those of any two spans can be added.

Bucket n has the durations of d seconds with n - 1 - OFFSET < 8 * log2(d) <= n - OFFSET. Told is the middle of a bucket
on a logarithmic scale, which is off by a factor of 2 ** (1/16), 4.4 per cent, at most. Powers of two are edges.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping
from itertools import repeat

Buckets = dict[int, int]
"""Durations that were seen, by the number of their bucket."""
PER_DOUBLING = 8
OFFSET = 17 * PER_DOUBLING
"""Number of the bucket that ends with a second. Bucket 0 has what is shorter than 7.6 us."""
_EDGES = [2.0 ** ((number - OFFSET) / PER_DOUBLING) for number in range(OFFSET + 18 * PER_DOUBLING)]
"""What the buckets end with, in seconds."""
HIGHEST = len(_EDGES)
"""Number of the bucket that has what is longer: two days."""


def counted(durations: Iterable[float]) -> Counter[int]:
    """Durations in seconds, by bucket: without a step of Python's own for each of them."""
    return Counter(map(bisect_left, repeat(_EDGES), durations))


def add_to(counts: MutableMapping[int, int], others: Mapping[int, int]) -> None:
    """Add what was seen in another span."""
    for number, count in others.items():
        counts[number] = counts.get(number, 0) + count


def longest(number: int) -> float:
    """The longest duration of a bucket, in seconds."""
    return _EDGES[number] if number < HIGHEST else math.inf


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The duration in seconds which `share` (above 0, at most 1) of those that were seen do not exceed: the smallest
    such, by nearest rank. None if nothing was seen.
    """
    total = sum(counts.values())
    rank = max(math.ceil(share * total), 1)
    for number in sorted(counts):
        rank -= counts[number]
        if rank <= 0:
            return float(2.0 ** ((number - OFFSET - 0.5) / PER_DOUBLING))
    return None
