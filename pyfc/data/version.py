"""The version of a data folder: the one place that says what its files hold, and how that became what it is.

The number covers tables and values: whoever changes what is kept in a way that a pyfc of before would not understand,
or would understand wrongly, adds one to VERSION and a step to STEPS. Each file bears the number (`user_version`). What
folder.py does with it: an older folder is copied and taken over in one transaction, a newer one is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

VERSION = 8
"""Of what this pyfc keeps. 3 is that of 0.1.0; smaller numbers were those of single files before the first release."""
STORE, QUEUE, OSS, SLS, MNS = "store.sqlite", "queue.sqlite", "oss.sqlite", "sls.sqlite", "mns.sqlite"
METRICS, REQUESTS = "metrics.sqlite", "requests.sqlite"
PROFILES = "profiles"
"""A folder of documents in speedscope's format, which others may read and none is told of."""
SLS_INDEX = "sls-index.sqlite"
"""Made of the other: it has a version of its own, and is never taken over."""
STORE_TABLES = """
CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (revision INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
"""`value`: see registry/registry.py."""
QUEUE_TABLES = """
CREATE TABLE events (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL, request_id TEXT NOT NULL,
  service TEXT NOT NULL, function TEXT NOT NULL, qualifier TEXT NOT NULL,
  state INTEGER NOT NULL, due REAL NOT NULL, enqueued REAL NOT NULL, ended REAL NOT NULL,
  status TEXT NOT NULL, event BLOB NOT NULL, payload BLOB NOT NULL, size INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX names ON events (service, function, id);
CREATE INDEX requests ON events (request_id);
CREATE INDEX waiting ON events (service, function, qualifier, number, size, state) WHERE state = 0;
CREATE INDEX delayed ON events (due, service, function, size, state) WHERE state = 1;
CREATE INDEX kept ON events (number) WHERE state = 3;
CREATE INDEX records ON events (service, function, state, number, size, ended) WHERE state IN (2, 3);
CREATE TABLE clock (boot TEXT NOT NULL, offset REAL NOT NULL, latest REAL NOT NULL);
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
"""`state`: see queues/rows.py; `event`: the fields KEPT of model/asynchronous.py, as an array in MessagePack; `marks`:
what sources of events remember.
"""
OSS_TABLES = """
CREATE TABLE buckets (name TEXT PRIMARY KEY, created REAL NOT NULL, acl TEXT NOT NULL, folder TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TABLE objects (
  bucket TEXT NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, crc TEXT NOT NULL,
  modified INTEGER NOT NULL, inode INTEGER NOT NULL, type TEXT NOT NULL, aside INTEGER NOT NULL,
  headers BLOB NOT NULL, tags BLOB NOT NULL, acl TEXT NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE uploads (
  id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, created REAL NOT NULL,
  headers BLOB NOT NULL, tags BLOB NOT NULL, acl TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE parts (
  upload TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, crc TEXT NOT NULL,
  modified REAL NOT NULL, PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE TABLE appends (bucket TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, happened BLOB NOT NULL);
INSERT INTO sqlite_sequence SELECT 'outbox', CAST(strftime('%s', 'now') AS INTEGER) * 1000000;
CREATE TABLE contents (
  number INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, key BLOB NOT NULL, content BLOB NOT NULL
);
"""
"""`crc` has 64 bits without a sign, which is more than SQLite's numbers have; `headers` and `tags` are JSON. An append
is in `appends` while its file may be longer than its row says. `happened`: a Happened of model/bucket.py, as an array
in MessagePack; no number of a file comes again in a later one, so it begins with the time in microseconds.
"""
SLS_TABLES = """
CREATE TABLE projects (
  name TEXT PRIMARY KEY, description TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE logstores (
  number INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, name TEXT NOT NULL, settings TEXT NOT NULL,
  keys TEXT, created INTEGER NOT NULL, modified INTEGER NOT NULL, UNIQUE (project, name)
);
CREATE TABLE groups (
  number INTEGER PRIMARY KEY AUTOINCREMENT, logstore INTEGER NOT NULL, received INTEGER NOT NULL, topic TEXT NOT NULL,
  source TEXT NOT NULL, tags TEXT NOT NULL, logs INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX order_of_groups ON groups (logstore, number, received, size);
CREATE INDEX times_of_groups ON groups (logstore, received, number);
CREATE TABLE consumer_groups (
  logstore INTEGER NOT NULL, name TEXT NOT NULL, timeout INTEGER NOT NULL, ordered INTEGER NOT NULL,
  PRIMARY KEY (logstore, name)
) WITHOUT ROWID;
CREATE TABLE checkpoints (
  logstore INTEGER NOT NULL, name TEXT NOT NULL, checkpoint TEXT NOT NULL, consumer TEXT NOT NULL,
  updated INTEGER NOT NULL, PRIMARY KEY (logstore, name)
) WITHOUT ROWID;
INSERT INTO sqlite_sequence VALUES ('groups', CAST(strftime('%s', 'now') AS INTEGER) * 1000000000);
"""
"""`settings`, `keys` (the index) and `tags` are JSON; `data` is a LogGroup as it was sent. Cursors are numbers of
groups, which begin with the time at which the file was made: those of a file of before mean nothing in this one.
`checkpoints` are of the one shard; `updated` is in microseconds.
"""
MNS_TABLES = """
CREATE TABLE queues (
  number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, settings TEXT NOT NULL,
  created INTEGER NOT NULL, modified INTEGER NOT NULL
);
CREATE TABLE messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, id TEXT NOT NULL, state INTEGER NOT NULL,
  due REAL NOT NULL, priority INTEGER NOT NULL, enqueued REAL NOT NULL, expires REAL NOT NULL, first REAL NOT NULL,
  count INTEGER NOT NULL, handle TEXT NOT NULL, body TEXT NOT NULL, properties TEXT NOT NULL,
  depth INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX visible ON messages (queue, priority, number) WHERE state = 0;
CREATE INDEX hidden ON messages (queue, due) WHERE state <> 0;
CREATE INDEX ages ON messages (expires);
CREATE TABLE topics (
  number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, settings TEXT NOT NULL,
  created INTEGER NOT NULL, modified INTEGER NOT NULL
);
CREATE TABLE subscriptions (
  topic INTEGER NOT NULL, name TEXT NOT NULL, endpoint TEXT NOT NULL, tag TEXT NOT NULL, strategy TEXT NOT NULL,
  format TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL, PRIMARY KEY (topic, name)
) WITHOUT ROWID;
CREATE TABLE deliveries (
  number INTEGER PRIMARY KEY AUTOINCREMENT, topic INTEGER NOT NULL, subscription TEXT NOT NULL, due REAL NOT NULL,
  attempts INTEGER NOT NULL, notice BLOB NOT NULL
);
CREATE INDEX times_of_deliveries ON deliveries (due);
CREATE INDEX subscribed ON deliveries (topic, subscription);
CREATE TABLE firings (
  number INTEGER PRIMARY KEY AUTOINCREMENT, trigger TEXT NOT NULL, time REAL NOT NULL, notice BLOB NOT NULL
);
CREATE INDEX order_of_firings ON firings (trigger, number);
CREATE INDEX times_of_firings ON firings (time);
CREATE TABLE clock (boot TEXT NOT NULL, offset REAL NOT NULL, latest REAL NOT NULL);
INSERT INTO clock VALUES ('', 0, 0);
INSERT INTO sqlite_sequence SELECT 'firings', CAST(strftime('%s', 'now') AS INTEGER) * 1000000;
"""
"""`settings` and `properties` are JSON. `state`: see cloud/mns/messages.py; `depth`: how many calls have led to a
message. `deliveries` is what subscriptions are still to be told of, `firings` what triggers are; `notice`: a Notice of
model/topic.py, as an array in MessagePack. No number of a firing of one file comes again in a later one.
"""
METRICS_TABLES = """
CREATE TABLE series (
  number INTEGER PRIMARY KEY, service TEXT NOT NULL, function TEXT NOT NULL, qualifier TEXT NOT NULL,
  instance TEXT NOT NULL, UNIQUE (service, function, qualifier, instance)
);
CREATE TABLE points (
  series INTEGER NOT NULL, step INTEGER NOT NULL, time INTEGER NOT NULL, point BLOB NOT NULL,
  PRIMARY KEY (series, step, time)
) WITHOUT ROWID;
"""
"""A point is of `step` seconds from `time` on (seconds since the epoch, a multiple of the step): a Point of
observe/metrics/point.py, packed. What is in one of 10 s is in those of 60 s and 3,600 s too, which are kept longer.
"""
REQUESTS_TABLES = """
CREATE TABLE requests (
  number INTEGER PRIMARY KEY, time REAL NOT NULL, service TEXT NOT NULL, function TEXT NOT NULL, id TEXT NOT NULL,
  status INTEGER NOT NULL, error TEXT NOT NULL, total REAL NOT NULL, record BLOB NOT NULL
);
CREATE INDEX ids ON requests (id);
CREATE INDEX times ON requests (time);
CREATE INDEX times_of_functions ON requests (service, function, time);
CREATE INDEX totals ON requests (total);
CREATE INDEX failures ON requests (time) WHERE error <> '';
CREATE TABLE left_out (
  service TEXT NOT NULL, function TEXT NOT NULL, time INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (service, function, time)
) WITHOUT ROWID;
"""
"""`record`: what observe/requests/record.py makes of a call, in MessagePack. `left_out`: how many calls have none, by
minutes (seconds since the epoch).
"""
_BATCH = 1000
_ENQUEUED, _BORN, _TRACE, _TRIGGER = 4, 20, 21, 22
"""Places in the array."""

Change = Callable[[sqlite3.Connection, str], None]
"""Changes one file inside of the transaction of all; the name is the schema by which the connection knows it. What it
cannot read it leaves as it is. `executescript` would end the transaction.
"""


class Step(NamedTuple):
    """What makes a folder of one version out of one of the version before; None where a file stays as it is."""

    store: Change | None = None
    queue: Change | None = None
    oss: Change | None = None
    sls: Change | None = None
    mns: Change | None = None
    metrics: Change | None = None
    requests: Change | None = None


def _add_sizes(connection: sqlite3.Connection, schema: str) -> None:
    for statement in (
        "ALTER TABLE {}.events ADD COLUMN size INTEGER NOT NULL DEFAULT 0",
        "UPDATE {}.events SET size = 1024 + length(payload) + length(event)",
        "DROP INDEX {}.waiting",
        "DROP INDEX {}.delayed",
        "CREATE INDEX {}.waiting ON events (service, function, qualifier, number, size, state) WHERE state = 0",
        "CREATE INDEX {}.delayed ON events (due, service, function, size, state) WHERE state = 1",
        "CREATE INDEX {}.records ON events (service, function, state, number, size, ended) WHERE state IN (2, 3)",
        "CREATE TABLE {}.clock (boot TEXT NOT NULL, offset REAL NOT NULL, latest REAL NOT NULL)",
    ):
        connection.execute(statement.format(schema))


def _add_births(connection: sqlite3.Connection, schema: str) -> None:
    """When events were put into the queue, which is since when they age: where it is not known, when they came."""

    def born(data: bytes) -> bytes | None:
        values: list[Any] = msgspec.msgpack.decode(data, type=list[Any])
        if len(values) != _BORN:
            return None
        return msgspec.msgpack.encode([*values, values[_ENQUEUED]])

    change_values(connection, f"{schema}.events", "number", "event", born)


def _add_marks(connection: sqlite3.Connection, schema: str) -> None:
    connection.execute(f"CREATE TABLE {schema}.marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


def _add_traces(connection: sqlite3.Connection, schema: str) -> None:
    """Of the requests that have put events into the queue: of those of before none is known."""

    def traced(data: bytes) -> bytes | None:
        values: list[Any] = msgspec.msgpack.decode(data, type=list[Any])
        return msgspec.msgpack.encode([*values, None]) if len(values) == _TRACE else None

    change_values(connection, f"{schema}.events", "number", "event", traced)


def _add_triggers(connection: sqlite3.Connection, schema: str) -> None:
    """By which events were fired: of those of before none is known."""

    def fired(data: bytes) -> bytes | None:
        values: list[Any] = msgspec.msgpack.decode(data, type=list[Any])
        return msgspec.msgpack.encode([*values, ""]) if len(values) == _TRIGGER else None

    change_values(connection, f"{schema}.events", "number", "event", fired)


def _add_outbox_and_contents(connection: sqlite3.Connection, schema: str) -> None:
    for statement in (
        "CREATE TABLE {}.outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, happened BLOB NOT NULL)",
        "INSERT INTO {}.sqlite_sequence SELECT 'outbox', CAST(strftime('%s', 'now') AS INTEGER) * 1000000",
        "CREATE TABLE {}.contents "
        "(number INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, key BLOB NOT NULL, content BLOB NOT NULL)",
    ):
        connection.execute(statement.format(schema))


def _add_depths(connection: sqlite3.Connection, schema: str) -> None:
    connection.execute(f"ALTER TABLE {schema}.messages ADD COLUMN depth INTEGER NOT NULL DEFAULT 0")


def change_values(
    connection: sqlite3.Connection, table: str, key: str, column: str, change: Callable[[bytes], bytes | None]
) -> None:
    """Give each value of a column to `change`, and keep what that returns unless it is None; a value by which it fails
    stays as it is. `key`: a column in whose order to go.
    """
    last: tuple[Any, ...] = ()
    while True:
        where = f"WHERE {key} > ?" if last else ""
        query = f"SELECT {key}, {column} FROM {table} {where} ORDER BY {key} LIMIT {_BATCH}"  # noqa: S608  our own words
        rows: list[tuple[Any, bytes]] = connection.execute(query, last).fetchall()
        changed = [(new, name) for name, old in rows for new in _changed(old, change)]
        connection.executemany(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", changed)  # noqa: S608
        if len(rows) < _BATCH:
            return
        last = rows[-1][:1]


def _changed(old: bytes, change: Callable[[bytes], bytes | None]) -> Iterable[bytes]:
    try:
        new = change(old)
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError):
        return []
    return [] if new is None else [new]


STEPS: dict[int, Step] = {
    2: Step(queue=_add_sizes),
    3: Step(queue=_add_births),
    4: Step(queue=_add_marks),
    5: Step(oss=_add_outbox_and_contents),
    6: Step(queue=_add_traces),
    7: Step(queue=_add_triggers),
    8: Step(mns=_add_depths),
}
"""By the version that each leads to."""
