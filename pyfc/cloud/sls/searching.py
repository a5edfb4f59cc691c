"""Searches: which logs of a logstore are what a query asks for, newest or oldest first, and how many at which time.

The full-text index proposes, the logs themselves decide. Where it would propose very many, logs are read in the order
of their times instead, as a page of them is soon full. What is not in the index yet is looked through.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pyfc.cloud.sls.language import All, parse
from pyfc.cloud.sls.matching import Index, test_of, wanted
from pyfc.cloud.sls.view import Reader, Snapshot

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


def found(snapshot: Snapshot, search: Search, *, newest_first: bool = False) -> Iterator[Mapping[str, str]]:
    """The logs that are found, in the order of their times. Raises Fault for a query that is not understood."""
    part = parse(search.query)
    test = test_of(part, Index(search.indexed))

    def is_meant(fields: Mapping[str, str]) -> bool:
        return _is_of(search.topic, fields["__topic__"]) and test(fields)

    places = _places(snapshot, search, wanted(part), newest_first=newest_first)
    indexed = filter(is_meant, Reader(snapshot.data).read(places))
    late = list(filter(is_meant, _late(snapshot, search)))
    if not late:
        return indexed
    if newest_first:
        late.reverse()
    late.sort(key=_time, reverse=newest_first)
    both = (late, indexed) if newest_first else (indexed, late)
    return heapq.merge(*both, key=_time, reverse=newest_first)


def _is_of(asked: str, topic: str) -> bool:
    """Whether what has a topic is meant. Clients of FC 2 ask for functions' logs by the service's name alone."""
    return not asked or topic == asked or topic.startswith(f"FCLogs:{asked}/")


def _late(snapshot: Snapshot, search: Search) -> Iterator[Mapping[str, str]]:
    return (fields for fields in snapshot.late(search.logstore) if search.begin <= _time(fields) < search.end)


def _time(fields: Mapping[str, str]) -> int:
    return int(fields["__time__"])


def _places(snapshot: Snapshot, search: Search, words: str, *, newest_first: bool) -> Iterator[Any]:
    order = "DESC" if newest_first else "ASC"
    where = (search.logstore, search.begin, search.end)
    if words:
        (count,) = snapshot.indexed.execute(_COUNT, (words, _MANY + 1)).fetchone()
        if count <= _MANY:
            return iter(snapshot.indexed.execute(_BY_WORDS.format(order), (words, *where)))
    return iter(snapshot.indexed.execute(_BY_TIME.format(order), where))


def page(snapshot: Snapshot, search: Search, skipped: int, most: int, *, newest_first: bool) -> list[Mapping[str, str]]:
    """`most` logs at most, after so many that are left out."""
    kept: list[Mapping[str, str]] = []
    for number, fields in enumerate(found(snapshot, search, newest_first=newest_first)):
        if len(kept) == most:
            break
        if number >= skipped:
            kept.append(fields)
    return kept


def histogram(snapshot: Snapshot, search: Search, width: int) -> list[int]:
    """How many logs there are in each span of `width` seconds from the beginning on."""
    counts = [0] * max(-(-(search.end - search.begin) // width), 1)
    logs = found(snapshot, search)
    if isinstance(parse(search.query), All) and not search.topic:
        query = "SELECT (time - ?) / ?, count(*) FROM lines WHERE logstore = ? AND time >= ? AND time < ? GROUP BY 1"
        for place, count in snapshot.indexed.execute(
            query, (search.begin, width, search.logstore, search.begin, search.end)
        ):
            counts[place] = count
        logs = _late(snapshot, search)
    for fields in logs:
        counts[(_time(fields) - search.begin) // width] += 1
    return counts
