"""The full-text index of the log service: a second SQLite file, which is made of the first and can be made again.

It has the place of each log, so that one is read without its group, and the pieces of its words. One process writes it
(indexer.py), those that search read it (view.py). Logs that are gone from the first file go here too; their words stay
until half of the index is such, then it is made anew.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from pyfc.cloud.sls.groups import Labels, Log, read_group, read_log
from pyfc.cloud.sls.words import pieces
from pyfc.sqlite import identity, transaction

VERSION = 1
TABLES = f"""
CREATE TABLE lines (
  id INTEGER PRIMARY KEY, logstore INTEGER NOT NULL, time INTEGER NOT NULL, grp INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL
);
CREATE INDEX times ON lines (logstore, time, id);
CREATE VIRTUAL TABLE words USING fts5(text, content='', columnsize=0, detail=none, tokenize='ascii');
CREATE TABLE progress (grp INTEGER NOT NULL, line INTEGER NOT NULL);
INSERT INTO progress VALUES (0, 0);
PRAGMA user_version={VERSION};
"""  # noqa: S608  a number of ours
"""`progress`: the newest group that is in it, and the newest row."""
_NEXT = "SELECT number, logstore, topic, source, tags, data FROM groups WHERE number > ? ORDER BY number"
_STEP = 4 * 1024 * 1024
"""Bytes of groups that are taken in at once: between two such steps a search is answered."""
_LONGEST = 64 * 1024
"""Characters of a log that can be searched for."""
_GONE = 0.5
"""Part of the index that may be of logs that are gone."""
_LEAST = 100_000
"""Logs that are gone for which nothing is made anew."""


class Index:
    """The index, for the one who writes it. `data` is a connection that reads the file of the log service."""

    def __init__(self, data: sqlite3.Connection, path: Path) -> None:
        """Raises sqlite3.Error."""
        self.data = data
        self._path = path
        self.connection = self._open()
        self._file = identity(path)
        self._checked = 0

    def _open(self) -> sqlite3.Connection:
        """One of another version, or of another file, is removed before."""
        connection = self._opened()
        if not belongs(connection, self.data):
            connection.close()
            remove(self._path)
            connection = self._opened()
        return connection

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")  # what is lost is made again
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            connection.executescript(f"BEGIN; {TABLES} COMMIT;")
        return connection

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def step(self) -> bool:
        """Take in some groups; whether there may be more. Raises sqlite3.Error."""
        if identity(self._path) != self._file:  # somebody has removed it
            self.connection.close()
            self.connection, self._file = self._open(), identity(self._path)
        seen = seen_of(self.connection)
        last, size = seen, 0
        with transaction(self.connection), closing(self.data.execute(_NEXT, (seen,))) as rows:
            while size < _STEP and (row := rows.fetchone()) is not None:
                self._add(*row)
                last, size = row[0], size + len(row[-1])
            self.connection.execute("UPDATE progress SET grp = ?", (last,))
        return last > seen or self._forget()

    def _add(self, number: int, logstore: int, topic: str, source: str, tags: str, data: bytes) -> None:
        common = [topic, source, *(value for _, value in json.loads(tags))]
        (last,) = self.connection.execute("SELECT line FROM progress").fetchone()
        lines, texts = [], []
        for row, (begin, end) in enumerate(read_group(data).places, last + 1):
            log = read_log(data, begin, end)
            lines.append((row, logstore, log.time, number, begin, end))
            found = set(pieces(" ".join([*common, *(value for _, value in log.contents)])[:_LONGEST]))
            texts.append((row, " ".join(found)))
        self.connection.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?)", lines)
        self.connection.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", texts)
        self.connection.execute("UPDATE progress SET line = ?", (last + len(lines),))

    def _forget(self) -> bool:
        """Forget what is gone from the other file; whether all is to be made anew."""
        (oldest,) = self.data.execute("SELECT min(number) FROM groups").fetchone()
        if oldest is None or oldest == self._checked:
            return False
        self._checked = oldest
        self.connection.execute("DELETE FROM lines WHERE grp < ?", (oldest,))
        (kept,) = self.connection.execute("SELECT count(*) FROM lines").fetchone()
        (newest,) = self.connection.execute("SELECT line FROM progress").fetchone()
        if newest - kept <= max(_LEAST, newest * _GONE):
            return False
        with transaction(self.connection):
            self.connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
            self.connection.execute("DELETE FROM lines")
            self.connection.execute("UPDATE progress SET grp = 0, line = 0")
        return True


def remove(path: Path) -> None:
    """Remove an index: who writes it makes it anew."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def belongs(index: sqlite3.Connection, data: sqlite3.Connection) -> bool:
    """Whether an index is of this version and of this file, and not of one that was here before."""
    if index.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        return False
    (newest,) = data.execute("SELECT seq FROM sqlite_sequence WHERE name = 'groups'").fetchone()
    return seen_of(index) <= int(newest)


def logs(data: Path) -> sqlite3.Connection:
    """The file of the log service, to read."""
    return sqlite3.connect(f"{data.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def seen_of(connection: sqlite3.Connection) -> int:
    """The newest group that an index has."""
    return int(connection.execute("SELECT grp FROM progress").fetchone()[0])


def fields_of(log: Log, labels: Labels) -> dict[str, str]:
    """A log as GetLogs answers it."""
    found = dict(log.contents)  # first: they do not say when a log came, nor from where
    found |= {"__time__": str(log.time), "__topic__": labels.topic, "__source__": labels.source}
    if log.part:
        found["__time_ns_part__"] = str(log.part)
    found |= {f"__tag__:{key}": value for key, value in labels.tags}
    return found
