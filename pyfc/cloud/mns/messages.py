"""The messages of queues: sent, received, hidden meanwhile, deleted.

1. A message can be received, or is hidden until a time: since it is delayed, or somebody has received it.
2. Who receives one gets a handle, which is good until the message can be received again or has another handle.
3. Higher priorities come first, older messages of one priority before newer ones.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from pyfc.cloud.mns.arrivals import Arrivals
from pyfc.cloud.mns.faults import Fault, no_message
from pyfc.cloud.mns.model import Draft, Message, Resource
from pyfc.cloud.mns.store import Store, not_there

_VISIBLE, _RECEIVED, _DELAYED = 0, 1, 2
_COLUMNS = "number, id, body, enqueued, first, count, priority, properties, depth"
_INSERT = """
INSERT INTO messages (queue, id, state, due, priority, enqueued, expires, first, count, handle, body, properties,
  depth)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)
"""
_SHOW = "UPDATE messages SET state = 0 WHERE queue = ? AND state <> 0 AND due <= ?"
_VISIBLE_ONES = f"SELECT {_COLUMNS} FROM messages WHERE queue = ? AND state = 0 ORDER BY priority, number LIMIT ?"  # noqa: S608
_HIDE = "UPDATE messages SET state = 1, due = ?, first = ?, count = ?, handle = ? WHERE number = ?"
_NEXT = "SELECT min(due) FROM messages WHERE queue = ? AND state <> 0"
_PEEK = f"""
SELECT {_COLUMNS} FROM messages
WHERE queue = ? AND (state = 0 OR due <= ?) AND expires > ? ORDER BY priority, number LIMIT ?
"""  # noqa: S608  words of our own
_COUNTS = """
SELECT total(state = 0 OR due <= ?), total(state = 1 AND due > ?), total(state = 2 AND due > ?)
FROM messages WHERE queue = ? AND expires > ?
"""
_HELD = "queue = ? AND number = ? AND handle = ? AND state <> 0 AND due > ?"
_HANDLE = re.compile(r"\d{1,2}-([0-9a-f]{1,15})-([0-9a-f]{16})")


class Posted(NamedTuple):
    """A message that was sent."""

    id: str
    handle: str
    """'' unless it is delayed."""


class Counts(NamedTuple):
    """How many messages of a queue can be received, were received, are delayed."""

    active: int
    inactive: int
    delayed: int


class Messages:
    """Those of all queues of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.arrivals = Arrivals()

    async def send(self, queue: Resource, drafts: Sequence[Draft]) -> list[Posted]:
        """All of them or none. Raises Fault QueueNotExist."""
        found = await self._store.write(lambda connection: self.put(connection, queue, drafts))
        self.arrived(queue, drafts)
        return found

    def put(self, connection: sqlite3.Connection, queue: Resource, drafts: Sequence[Draft]) -> list[Posted]:
        """Send them in a write of the store; who does that calls `arrived` after it. Raises Fault QueueNotExist."""
        if not connection.execute("SELECT 1 FROM queues WHERE number = ?", (queue.number,)).fetchone():
            raise not_there("queues")
        now = self._store.now
        _expire(connection, now)
        return [_insert(connection, queue, draft, now) for draft in drafts]

    def arrived(self, queue: Resource, drafts: Sequence[Draft]) -> None:
        """Wake receivers for what was sent."""
        delays = [_delay(queue, draft) for draft in drafts]
        self.arrivals.told(queue.number, delays.count(0))
        if any(delays):
            self.arrivals.expect(queue.number, min(each for each in delays if each))

    async def receive(
        self, queue: Resource, count: int, wait: float, gone: Callable[[], Awaitable[object]]
    ) -> list[Message]:
        """At most so many; none if there are none for `wait` seconds, or the client has `gone` before. Raises Fault
        QueueNotExist, also when it is deleted meanwhile.
        """
        until = asyncio.get_running_loop().time() + wait
        waiter = self.arrivals.enter(queue.number)
        leaving: asyncio.Future[Any] | None = None
        try:
            while True:
                found = await self._take(queue, count)
                pause = until - asyncio.get_running_loop().time()
                if found:
                    return found
                self._store.check(queue)
                if pause <= 0 or self.arrivals.is_closed:
                    return []
                leaving = leaving or asyncio.ensure_future(gone())
                await asyncio.wait({waiter, leaving}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    return []
                waiter = self.arrivals.again(queue.number, waiter)
        finally:
            self.arrivals.leave(queue.number, waiter)
            if leaving is not None:
                leaving.cancel()

    async def _take(self, queue: Resource, count: int) -> list[Message]:
        def job(connection: sqlite3.Connection) -> tuple[list[Message], float | None]:
            now = self._store.now
            _expire(connection, now)
            connection.execute(_SHOW, (queue.number, now))
            rows = connection.execute(_VISIBLE_ONES, (queue.number, count)).fetchall()
            until = now + queue.settings["VisibilityTimeout"]
            found = [_hide(connection, row, now, until) for row in rows]
            return found, connection.execute(_NEXT, (queue.number,)).fetchone()[0]

        found, following = await self._store.write(job)
        if following is not None:
            self.arrivals.expect(queue.number, following - self._store.now)
        return found

    async def delete_queue(self, name: str) -> None:
        """Forget a queue with what is in it, if it is there; who waits at it hears that."""
        gone = await self._store.delete("queues", name)
        if gone is not None:
            self.arrivals.told_all(gone.number)

    async def peek(self, queue: Resource, count: int) -> list[Message]:
        """Look at those that would be received."""
        now = self._store.now
        rows = await self._store.read(_PEEK, (queue.number, now, now, count))
        return [_message(row, "", 0.0) for row in rows]

    async def counts(self, queue: Resource) -> Counts:
        """How many there are."""
        now = self._store.now
        ((active, inactive, delayed),) = await self._store.read(_COUNTS, (now, now, now, queue.number, now))
        return Counts(int(active), int(inactive), int(delayed))

    async def delete(self, queue: Resource, handles: Sequence[str]) -> dict[str, Fault]:
        """Why some were not deleted, by their handles: ReceiptHandleError, MessageNotExist."""

        def job(connection: sqlite3.Connection) -> dict[str, Fault]:
            wrong: dict[str, Fault] = {}
            for handle in handles:
                try:
                    which = (queue.number, *_parts(handle), self._store.now)
                except Fault as fault:
                    wrong[handle] = fault
                    continue
                if not connection.execute(f"DELETE FROM messages WHERE {_HELD}", which).rowcount:  # noqa: S608
                    wrong[handle] = no_message()
            return wrong

        return await self._store.write(job)

    async def change_visibility(self, queue: Resource, handle: str, seconds: int) -> tuple[str, float]:
        """Hide a message for so long from now on; its new handle, and when it can be received. Raises Fault
        ReceiptHandleError, MessageNotExist.
        """
        number, secret = _parts(handle)
        priority = handle.partition("-")[0]

        def job(connection: sqlite3.Connection) -> tuple[str, float]:
            now, renewed = self._store.now, secrets.token_hex(8)
            query = f"UPDATE messages SET state = 1, due = ?, handle = ? WHERE {_HELD}"  # noqa: S608
            values = (now + seconds, renewed, queue.number, number, secret, now)
            if not connection.execute(query, values).rowcount:
                raise no_message()
            return f"{priority}-{number:x}-{renewed}", now + seconds

        found = await self._store.write(job)
        self.arrivals.expect(queue.number, seconds)
        return found


def _delay(queue: Resource, draft: Draft) -> int:
    return int(queue.settings["DelaySeconds"]) if draft.delay is None else draft.delay


def _expire(connection: sqlite3.Connection, now: float) -> None:
    """Forget what nobody has deleted in time."""
    connection.execute("DELETE FROM messages WHERE expires <= ?", (now,))


def _insert(connection: sqlite3.Connection, queue: Resource, draft: Draft, now: float) -> Posted:
    name, delay = secrets.token_hex(16).upper(), _delay(queue, draft)
    secret = secrets.token_hex(8) if delay else ""
    expires = now + queue.settings["MessageRetentionPeriod"]
    state, due = (_DELAYED if delay else _VISIBLE), now + delay
    values = (queue.number, name, state, due, draft.priority, now, expires, secret, draft.body, draft.properties,
              draft.depth)  # fmt: skip
    number = connection.execute(_INSERT, values).lastrowid
    return Posted(name, f"{draft.priority}-{number:x}-{secret}" if delay else "")


def _hide(connection: sqlite3.Connection, row: tuple[Any, ...], now: float, until: float) -> Message:
    """Receive one of those that can be received."""
    number, name, body, enqueued, first, count, *rest = row
    priority = rest[0]
    secret = secrets.token_hex(8)
    seen = (number, name, body, enqueued, first or now, count + 1, *rest)
    connection.execute(_HIDE, (until, first or now, count + 1, secret, number))
    return _message(seen, f"{priority}-{number:x}-{secret}", until)


def _message(row: tuple[Any, ...], handle: str, visible: float) -> Message:
    _, name, body, enqueued, *rest = row
    return Message(name, handle, body, enqueued, visible, *rest)


def _parts(handle: str) -> tuple[int, str]:
    """The number and the secret in a handle. Raises Fault ReceiptHandleError."""
    found = _HANDLE.fullmatch(handle)
    if found is None:
        raise Fault("ReceiptHandleError", "The receipt handle you provide is not valid.")
    return int(found[1], 16), found[2]
