"""The logs as a search sees them: the full-text index at one moment, and the groups that it has not taken in yet.

Of these a search looks through all, as long as there are not very many. With more it waits for the index for a while,
and then does without them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pyfc.cloud.sls.groups import Labels, read_group, read_log
from pyfc.cloud.sls.indexing import TABLES, belongs, fields_of, seen_of
from pyfc.sqlite import identity

_PATIENCE = 2.0
"""Seconds for which a search waits for the index."""
_PAUSE = 0.05
_MOST = 4 * 1024 * 1024
"""Bytes of groups that are looked through one by one."""
_LATE = """
SELECT topic, source, tags, data FROM groups WHERE logstore = ? AND number > ? AND number <= ? ORDER BY number
"""
_BEHIND = "SELECT coalesce(sum(size), 0) FROM groups WHERE logstore = ? AND number > ? AND number <= ?"


class Snapshot(NamedTuple):
    """Both of one logstore at one moment."""

    indexed: sqlite3.Connection
    data: sqlite3.Connection
    seen: int
    """The newest group that is in the index."""
    newest: int
    """The newest one that is looked through beside it."""
    is_complete: bool
    """Whether all is there that was when it was asked for."""

    def late(self, logstore: int) -> Iterator[Mapping[str, str]]:
        """The logs that are not in the index, as they came."""
        if self.newest <= self.seen:
            return
        for topic, source, tags, data in self.data.execute(_LATE, (logstore, self.seen, self.newest)):
            labels = _labels(topic, source, tags)
            for begin, end in read_group(data).places:
                yield fields_of(read_log(data, begin, end), labels)


class View:
    """What a process that searches has open. `data` is its connection to the file of the log service."""

    def __init__(self, data: sqlite3.Connection, path: Path) -> None:
        self.data = data
        self._path = path
        self._file = identity(path)
        self._index = self._open()

    def _open(self) -> sqlite3.Connection:
        """The index, or an empty one where there is none of use."""
        if self._file is not None:
            found = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
            found.execute("PRAGMA query_only=ON")
            if belongs(found, self.data):
                return found
            found.close()
        empty = sqlite3.connect(":memory:", isolation_level=None)
        empty.executescript(TABLES)
        self._file = None
        return empty

    @contextmanager
    def snapshot(self, logstore: int, newest: int) -> Iterator[Snapshot]:
        """With all groups of a logstore up to `newest`, or without the last of them."""
        end = time.monotonic() + _PATIENCE
        while True:
            self._renew()
            self._index.execute("BEGIN")
            try:
                seen = seen_of(self._index)
                (behind,) = self.data.execute(_BEHIND, (logstore, seen, newest)).fetchone()
                is_complete = behind <= _MOST
                if is_complete or time.monotonic() >= end:
                    yield Snapshot(self._index, self.data, seen, newest if is_complete else seen, is_complete)
                    return
            finally:
                self._index.execute("ROLLBACK")
            time.sleep(_PAUSE)

    def _renew(self) -> None:
        """Open the file that is there now."""
        found = identity(self._path)
        if found != self._file:
            self._index.close()
            self._file = found
            self._index = self._open()

    def close(self) -> None:
        """Close the index."""
        self._index.close()


class Reader:
    """Reads logs by their places; what belongs to their groups is kept, as neighbours ask for the same."""

    def __init__(self, data: sqlite3.Connection) -> None:
        self._data = data
        self._number = -1
        self._labels = Labels()
        self._bytes = b""

    def read(self, places: Iterable[tuple[int, int, int]]) -> Iterator[Mapping[str, str]]:
        """The logs at some places: group, and where in it they begin and end. Those that are gone are left out."""
        for number, begin, end in places:
            if number != self._number and not self._load(number):
                continue
            yield fields_of(read_log(self._bytes, begin, end), self._labels)

    def _load(self, number: int) -> bool:
        query = "SELECT topic, source, tags, data FROM groups WHERE number = ?"
        row = self._data.execute(query, (number,)).fetchone()
        if row is None:
            return False
        topic, source, tags, self._bytes = row
        self._number, self._labels = number, _labels(topic, source, tags)
        return True


def _labels(topic: str, source: str, tags: str) -> Labels:
    return Labels(topic, source, [(key, value) for key, value in json.loads(tags)])
