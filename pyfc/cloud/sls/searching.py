"""Searches: which logs of a logstore are what a query asks for, newest or oldest first, and how many at which time.

The full-text index proposes, the logs themselves decide. Where it would propose very many, logs are read in the order
of their times instead, as a page of them is soon full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pyfc.cloud.sls.indexing import Index, Reader
from pyfc.cloud.sls.language import All, parse
from pyfc.cloud.sls.matching import Index as Searched
from pyfc.cloud.sls.matching import test_of, wanted

_MANY = 20_000
"""Logs that the full-text index proposes; with more, its answer costs more than it saves."""
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
_BY_WORDS = """
SELECT l.grp, l.first, l.last FROM words CROSS JOIN lines l ON l.id = words.rowid
WHERE words MATCH ? AND l.logstore = ? AND l.time >= ? AND l.time < ? ORDER BY l.time {0}, l.id {0}
"""
"""CROSS keeps SQLite from asking for the words of each log in the order of their times."""
_BY_TIME = """
SELECT grp, first, last FROM lines WHERE logstore = ? AND time >= ? AND time < ? ORDER BY time {0}, id {0}
"""


class Search(NamedTuple):
    """What is asked for."""

    logstore: int
    begin: int
    """Seconds since the epoch."""
    end: int
    """The first second that does not belong to it."""
    query: str
    """Without its SQL."""
    topic: str = ""
    """'' for any."""
    indexed: Mapping[str, Any] | None = None
    """What can be searched; None for everything."""


def found(index: Index, search: Search, *, newest_first: bool = False) -> Iterator[Mapping[str, str]]:
    """The logs that are found, in the order of their times. Raises Fault for a query that is not understood."""
    part = parse(search.query)
    test = test_of(part, Searched(search.indexed))
    for fields in Reader(index.data).read(_places(index, search, wanted(part), newest_first=newest_first)):
        if (not search.topic or fields["__topic__"] == search.topic) and test(fields):
            yield fields


def _places(index: Index, search: Search, words: str, *, newest_first: bool) -> Iterator[Any]:
    order = "DESC" if newest_first else "ASC"
    where = (search.logstore, search.begin, search.end)
    if words:
        (count,) = index.connection.execute(_COUNT, (words, _MANY + 1)).fetchone()
        if count <= _MANY:
            return iter(index.connection.execute(_BY_WORDS.format(order), (words, *where)))
    return iter(index.connection.execute(_BY_TIME.format(order), where))


def page(index: Index, search: Search, skipped: int, most: int, *, newest_first: bool) -> list[Mapping[str, str]]:
    """`most` logs at most, after so many that are left out."""
    kept: list[Mapping[str, str]] = []
    for number, fields in enumerate(found(index, search, newest_first=newest_first)):
        if len(kept) == most:
            break
        if number >= skipped:
            kept.append(fields)
    return kept


def histogram(index: Index, search: Search, width: int) -> list[int]:
    """How many logs there are in each span of `width` seconds from the beginning on."""
    counts = [0] * max(-(-(search.end - search.begin) // width), 1)
    if isinstance(parse(search.query), All) and not search.topic:
        query = "SELECT (time - ?) / ?, count(*) FROM lines WHERE logstore = ? AND time >= ? AND time < ? GROUP BY 1"
        for place, count in index.connection.execute(
            query, (search.begin, width, search.logstore, search.begin, search.end)
        ):
            counts[place] = count
        return counts
    for fields in found(index, search):
        counts[(int(fields["__time__"]) - search.begin) // width] += 1
    return counts
