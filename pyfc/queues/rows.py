"""Events as rows of SQLite: how they are packed, and what is done with many of them in one transaction.

A step of SQLite gives up Python's lock and has to wait for it again, while requests want it too: so many rows go into
one statement.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from pyfc.model.asynchronous import KEPT, Event, Status
from pyfc.queues.interface import Filter, Outcome
from pyfc.queues.steady import Mark
from pyfc.queues.usage import Owner

T = TypeVar("T")
_log = logging.getLogger(__name__)
WAITING, DELAYED, PAST, GIVEN_UP = range(4)
"""The state of a row: of an event that is due, that is not, that has ended, and that has failed for good."""
COLUMNS = "number, size, event, payload"
"""What `read` makes events of."""
TAKE = f"""
SELECT {COLUMNS} FROM events WHERE state = 0 AND service = ? AND function = ? AND qualifier = ? ORDER BY number
"""  # noqa: S608  words of our own
COUNTS = [
    "SELECT service, function, count(*), sum(size) FROM events"  # noqa: S608  words of our own
    f" INDEXED BY {index} WHERE {condition} GROUP BY service, function"
    for index, condition in (("waiting", "state = 0"), ("delayed", "state = 1"), ("records", "state IN (2, 3)"))
]
_ROW = f"({', '.join('?' * 14)})"
ROWS = 64
"""Most rows of one statement; those of each number are kept prepared."""
_OPEN = "state IN (0, 1)"
_UPDATE = "UPDATE events SET state = ?, due = ?, ended = ?, status = ?, size = ?, event = ? WHERE number = ?"
_SETTLE = f"{_UPDATE} AND {_OPEN}"
_PRUNED = 256
"""Records that are forgotten in one go."""
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[Any]).decode
_VALUES = attrgetter(*KEPT)


def insert(connection: sqlite3.Connection, events: Sequence[tuple[Event, float]]) -> None:
    """New events, each with the queue's time. Raises IntegrityError for an id that is there."""
    for part in _parts(events):
        values: list[Any] = []
        for event, now in part:
            values += (event.number, event.id, event.request_id, *event.lane, state_of(event, now), event.due)
            values += (event.enqueued, 0.0, event.status.value, _packed(event), event.payload, event.size)
        connection.execute(_inserting(len(part)), values)


def mark(connection: sqlite3.Connection, marks: Mapping[str, str]) -> None:
    """Keep values by their names; '' forgets one."""
    for name, value in marks.items():
        if value:
            connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))
        else:
            connection.execute("DELETE FROM marks WHERE name = ?", (name,))


def marks_of(prefix: str) -> tuple[str, tuple[Any, ...]]:
    """The query for marks whose names begin so."""
    return "SELECT name, value FROM marks WHERE substr(name, 1, ?) = ?", (len(prefix), prefix)


@cache
def _inserting(rows: int) -> str:
    return f"INSERT INTO events VALUES {', '.join([_ROW] * rows)}"  # noqa: S608  question marks


def delete(connection: sqlite3.Connection, numbers: Sequence[int], condition: str = "TRUE") -> int:
    """Forget events, those that are as the condition says: how many there were."""
    count = 0
    for part in _parts(numbers):
        marks = ", ".join("?" * len(part))
        query = f"DELETE FROM events WHERE number IN ({marks}) AND {condition}"  # noqa: S608  question marks
        count += connection.execute(query, part).rowcount
    return count


class EndedBefore(Exception):
    """Something that is to be settled has ended already."""


def settle_all(connection: sqlite3.Connection, outcomes: Sequence[tuple[Outcome, int, float]]) -> None:
    """Write outcomes with the sizes of their events and the queue's time, all at once. Raises EndedBefore: then nothing
    of the transaction may be kept, and each is to be settled by itself.
    """
    insert(connection, [(new, now) for outcome, _, now in outcomes for new in outcome.followers])
    forgotten = [outcome.event.number for outcome, _, _ in outcomes if outcome.leaves_nothing]
    done = delete(connection, forgotten, _OPEN)
    for outcome, size, now in outcomes:
        if not outcome.leaves_nothing:
            done += connection.execute(_SETTLE, _values(outcome.event, size, now)).rowcount
    if done != len(outcomes):
        raise EndedBefore


def settle(connection: sqlite3.Connection, outcome: Outcome, size: int, now: float) -> bool:
    """Write one outcome; nothing, and False, if the event had ended before: what followed is written then."""
    event = outcome.event
    if outcome.leaves_nothing:
        is_done = delete(connection, [event.number], _OPEN) > 0
    else:
        is_done = connection.execute(_SETTLE, _values(event, size, now)).rowcount > 0
    if is_done:
        insert(connection, [(new, now) for new in outcome.followers])
    return is_done


def replace(outcome: Outcome, size: int, expected: Status, now: float, connection: sqlite3.Connection) -> bool:
    """Write another state of an event, or forget it, if it has the expected one."""
    event = outcome.event
    condition = f"AND status = ? AND {'state IN (2, 3)' if expected.is_final else _OPEN}"
    if outcome.forget:
        done = connection.execute(f"DELETE FROM events WHERE number = ? {condition}", (event.number, expected.value))  # noqa: S608
    else:
        done = connection.execute(f"{_UPDATE} {condition}", (*_values(event, size, now), expected.value))
    return done.rowcount > 0


def _values(event: Event, size: int, now: float) -> tuple[Any, ...]:
    ended = now if event.status.is_final else 0.0
    return (state_of(event, now), event.due, ended, event.status.value, size, _packed(event), event.number)


def awaken(now: float, connection: sqlite3.Connection) -> None:
    """Delayed events that are due wait like others."""
    connection.execute("UPDATE events SET state = 0 WHERE state = 1 AND due <= ?", (now,))


def forget(owner: Owner, excess: int, connection: sqlite3.Connection) -> tuple[int, int]:
    """Forget the oldest records of a function, those that are no dead letters first: their number and size."""
    rows = connection.execute(
        "SELECT number, size FROM events WHERE state IN (2, 3) AND service = ? AND function = ?"
        " ORDER BY state, number LIMIT ?",
        (*owner, _PRUNED),
    ).fetchall()
    freed, numbers = 0, []
    for number, size in rows:
        if freed >= excess:
            break
        numbers.append(number)
        freed += size
    delete(connection, numbers)
    return len(numbers), freed


def sweep(before: float, connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Forget records that are no dead letters: of whom, and their sizes."""
    rows = connection.execute(
        "SELECT number, service, function, size FROM events WHERE state IN (2, 3) AND state = 2 AND ended < ?",
        (before,),
    ).fetchall()
    delete(connection, [row[0] for row in rows])
    return [row[1:] for row in rows]


def keep_time(mark: Mark, connection: sqlite3.Connection) -> None:
    """Remember where the queue's clock stands."""
    connection.execute("DELETE FROM clock")
    connection.execute("INSERT INTO clock VALUES (?, ?, ?)", mark)


def query_of(wanted: Filter) -> tuple[str, tuple[Any, ...]]:
    """The query of records, and its arguments."""
    conditions = ["enqueued BETWEEN ? AND ?"]
    arguments: list[Any] = [wanted.begin, min(wanted.end, 1e12)]
    for condition, values in _conditions(wanted):
        conditions.append(condition)
        arguments += values
    order = "DESC" if wanted.newest_first else "ASC"
    where = " AND ".join(conditions)
    query = f"SELECT {COLUMNS} FROM events WHERE {where} ORDER BY number {order} LIMIT ?"  # noqa: S608  no input
    return query, (*arguments, wanted.limit)


def _conditions(wanted: Filter) -> Iterator[tuple[str, Sequence[Any]]]:
    """Those of a filter that says something, with their arguments."""
    for column in ("service", "function", "qualifier"):
        if value := getattr(wanted, column):
            yield f"{column} = ?", (value,)
    if wanted.statuses:
        yield f"status IN ({','.join('?' * len(wanted.statuses))})", [status.value for status in wanted.statuses]
    if wanted.prefix:
        yield "substr(id, 1, ?) = ?", (len(wanted.prefix), wanted.prefix)
    if wanted.only_kept:
        yield "state = 3", ()
    if wanted.after:
        yield "number < ?" if wanted.newest_first else "number > ?", (wanted.after,)


def state_of(event: Event, now: float) -> int:
    """Of its row."""
    if not event.status.is_final:
        return DELAYED if event.due > now else WAITING
    return PAST if event.status in {Status.SUCCEEDED, Status.STOPPED} else GIVEN_UP


def _packed(event: Event) -> bytes:
    return _ENCODE(_VALUES(event))


def read(rows: Sequence[tuple[Any, ...]]) -> list[Event]:
    """What can be read of rows; what cannot is named."""
    found = []
    for number, size, data, payload in rows:
        try:
            fields = dict(zip(KEPT, _DECODE(data), strict=True))
            found.append(msgspec.convert({**fields, "payload": payload, "number": number, "size": size}, Event))
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            _log.error("the record %s of the queue can not be read and is left alone: %s", number, error)
    return found


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), ROWS):
        yield items[at : at + ROWS]
