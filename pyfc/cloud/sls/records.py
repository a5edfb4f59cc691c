"""Functions' log files, asked in the language of searches: in the process that searches, newest first, file by file.

A record is found by its output and by all that it says of its call: `error and durationMs > 100`. The files have a
size, so all of them are looked through, as far back as it is asked for. SQL behind a | counts what is found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pyfc.cloud.sls import analysis
from pyfc.cloud.sls.language import divided, parse
from pyfc.cloud.sls.matching import Index, test_of
from pyfc.observe.logs import backwards, tail

_LONGEST = 20.0
"""Seconds for looking through files."""
_MOST = 64 * 1024 * 1024
"""Characters of an answer."""
_UNKNOWN = float("inf")
"""When a record was written that does not say it: it may be meant."""


class Wanted(NamedTuple):
    """What is asked for."""

    query: str = ""
    since: float = 0.0
    """Seconds since the epoch."""
    request: str = ""
    """The id of a request; '' for any."""
    lines: int = 100
    """Records of an answer."""
    offset: int | None = None
    """What stands behind it; None for the newest of all."""


def found(path: Path, wanted: Wanted) -> dict[str, Any]:
    """The records of a function's files that are meant, the offset of their end, and whether all were looked through.
    Of a query with SQL instead the rows of its answer, and `columns`: their names. Raises Fault, Unavailable.
    """
    where, sql = divided(wanted.query)
    is_meant = _test(wanted._replace(query=where))
    if sql:
        return _answered(path, wanted, is_meant, sql)
    records, end = tail(path, wanted.offset, 0)
    if wanted.offset is not None:
        return {"records": list(filter(is_meant, records)), "offset": end, "is_complete": True}
    kept: list[dict[str, Any]] = []
    is_complete = _gather(_since(backwards(path, end), wanted.since), is_meant, wanted.lines, kept)
    return {"records": kept[::-1], "offset": end, "is_complete": is_complete}


def _answered(path: Path, wanted: Wanted, is_meant: Callable[[dict[str, Any]], bool], sql: str) -> dict[str, Any]:
    """What SQL says of all the records that are meant, however many an answer has."""
    _, end = tail(path, None, 0)
    limit, is_complete = time.monotonic() + _LONGEST, True

    def rows() -> Iterator[Mapping[str, str]]:
        nonlocal is_complete
        for record in _since(backwards(path, end), wanted.since):
            if time.monotonic() > limit:
                is_complete = False
                return
            if is_meant(record):
                yield _row(record)

    answer, columns = analysis.run(sql, rows(), None)
    return {"records": answer, "columns": columns, "offset": end, "is_complete": is_complete}


def _row(record: Mapping[str, Any]) -> dict[str, str]:
    """A record for SQL, which asks for its time as for that of any log."""
    moment = _moment(record)
    return {**dict(_fields(record)), "__time__": str(int(moment)) if moment != _UNKNOWN else ""}


def _gather(
    records: Iterable[dict[str, Any]], is_meant: Callable[[dict[str, Any]], bool], most: int, kept: list[dict[str, Any]]
) -> bool:
    """Add those that are meant; whether there was time and room for all of them."""
    limit, size = time.monotonic() + _LONGEST, 0
    for record in records:
        if len(kept) >= most:
            break
        if time.monotonic() > limit or size > _MOST:
            return False
        if is_meant(record):
            kept.append(record)
            size += len(str(record.get("log", "")))
    return True


def _since(records: Iterable[dict[str, Any]], since: float) -> Iterator[dict[str, Any]]:
    """Those of a time: they are in its order, as files are written when calls end."""
    for record in records:
        if _moment(record) < since:
            return
        yield record


def _moment(record: Mapping[str, Any]) -> float:
    try:
        return datetime.strptime(str(record.get("time", "")), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return _UNKNOWN


def _test(wanted: Wanted) -> Callable[[dict[str, Any]], bool]:
    test = test_of(parse(wanted.query), Index(None))

    def is_meant(record: dict[str, Any]) -> bool:
        if wanted.request and wanted.request not in (record.get("requestId"), record.get("callId")):
            return False
        return (not wanted.since or _moment(record) >= wanted.since) and test(dict(_fields(record)))

    return is_meant


def _fields(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """What a record says, as a log's fields."""
    for name, value in record.items():
        if isinstance(value, dict) and not before:
            yield from _fields(value, f"{name}.")
        elif not isinstance(value, dict | list) and (before or name != "time"):
            yield before + name, str(value).lower() if isinstance(value, bool) else str(value)
