"""Consumer groups: who reads which shard, and how far. A consumer has a shard as long as it sends heartbeats."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from pyfc.cloud.sls.asked import Answer, Asked, answer, whole
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.model import Logstore, check_logstore, number_of

_LONGEST = 3600
_MOST = 100
"""Groups of a logstore."""
_LIST = "SELECT name, timeout, ordered FROM consumer_groups WHERE logstore = ? ORDER BY name"
_POINTS = "SELECT checkpoint, consumer, updated FROM checkpoints WHERE logstore = ? AND name = ?"


async def create_group(asked: Asked) -> Answer:
    """POST /logstores/L/consumergroups"""
    logstore, document = asked.logstore, asked.document()
    try:
        name = check_logstore(document.get("consumerGroup"))
    except Fault:
        raise Fault("ParameterInvalid", "A consumer group's name is like that of a logstore.") from None
    values = _settings(document, 20, is_ordered=False)

    def write(connection: sqlite3.Connection) -> None:
        names = [row[0] for row in connection.execute(_LIST, (logstore.number,))]
        if name in names:
            raise Fault("ConsumerGroupAlreadyExist", f"consumer group {name} already exists")
        if len(names) >= _MOST:
            raise Fault("ParameterInvalid", f"A logstore has at most {_MOST} consumer groups.")
        connection.execute("INSERT INTO consumer_groups VALUES (?, ?, ?, ?)", (logstore.number, name, *values))

    await asked.store.write(write)
    return Answer()


async def list_groups(asked: Asked) -> Answer:
    """GET /logstores/L/consumergroups"""
    rows = await asked.store.read(_LIST, (asked.logstore.number,))
    return answer([{"name": name, "timeout": timeout, "order": bool(order)} for name, timeout, order in rows])


async def update_group(asked: Asked) -> Answer:
    """PUT /logstores/L/consumergroups/G"""
    logstore, name = asked.logstore, asked.names[1]
    timeout, is_ordered = await _group(asked, logstore, name)
    values = _settings(asked.document(), timeout, is_ordered=is_ordered)
    query = "UPDATE consumer_groups SET timeout = ?, ordered = ? WHERE logstore = ? AND name = ?"
    await asked.store.write(lambda connection: connection.execute(query, (*values, logstore.number, name)).rowcount)
    return Answer()


async def delete_group(asked: Asked) -> Answer:
    """DELETE /logstores/L/consumergroups/G"""
    logstore, name = asked.logstore, asked.names[1]
    await _group(asked, logstore, name)

    def write(connection: sqlite3.Connection) -> None:
        for table in ("consumer_groups", "checkpoints"):
            connection.execute(f"DELETE FROM {table} WHERE logstore = ? AND name = ?", (logstore.number, name))  # noqa: S608

    await asked.store.write(write)
    return Answer()


async def change_group(asked: Asked) -> Answer:
    """POST /logstores/L/consumergroups/G?type=heartbeat or checkpoint"""
    kind = asked.query.get("type", "")
    if kind == "heartbeat":
        return await _heartbeat(asked)
    if kind == "checkpoint":
        return await _checkpoint(asked)
    raise Fault("ParameterInvalid", "type must be heartbeat or checkpoint")


async def _heartbeat(asked: Asked) -> Answer:
    logstore, name = asked.logstore, asked.names[1]
    timeout, _ = await _group(asked, logstore, name)
    consumer, held = asked.query.get("consumer", ""), asked.json()
    if not consumer or not isinstance(held, list):
        raise Fault("ParameterInvalid", "a heartbeat needs a consumer and a list of shards")
    return answer(asked.environment.heartbeats.beat((logstore.number, name), consumer, timeout))


async def _checkpoint(asked: Asked) -> Answer:
    logstore, name = asked.logstore, asked.names[1]
    await _group(asked, logstore, name)
    document, consumer = asked.document(), asked.query.get("consumer", "")
    if whole("shard", document.get("shard"), 0) != 0:
        raise Fault("ShardNotExist", "There is one shard, 0.")
    checkpoint = document.get("checkpoint")
    if not isinstance(checkpoint, str):
        raise Fault("ParameterInvalid", "checkpoint must be a cursor")
    number_of(checkpoint)
    is_forced = asked.query.get("forceSuccess", "true").lower() != "false"
    owner = asked.environment.heartbeats.owner((logstore.number, name))
    if not is_forced and owner != consumer:
        raise Fault("ConsumerNotMatch", f"shard 0 is not of consumer {consumer[:100]}")
    values = (logstore.number, name, checkpoint, consumer, time.time_ns() // 1000)
    query = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)"
    await asked.store.write(lambda connection: connection.execute(query, values).rowcount)
    return Answer()


async def checkpoints(asked: Asked) -> Answer:
    """GET /logstores/L/consumergroups/G"""
    logstore, name = asked.logstore, asked.names[1]
    await _group(asked, logstore, name)
    if asked.number("shard", 0) > 0:
        raise Fault("ShardNotExist", "There is one shard, 0.")
    rows = await asked.store.read(_POINTS, (logstore.number, name))
    checkpoint, consumer, updated = rows[0] if rows else ("", "", 0)
    return answer([{"shard": 0, "checkpoint": checkpoint, "updateTime": updated, "consumer": consumer}])


async def _group(asked: Asked, logstore: Logstore, name: str) -> tuple[int, bool]:
    """Seconds for which a heartbeat counts, and whether shards are read in order. Raises Fault."""
    rows = await asked.store.read(f"{_LIST.partition(' ORDER')[0]} AND name = ?", (logstore.number, name))
    if not rows:
        raise Fault("ConsumerGroupNotExist", f"consumer group {name[:100]} does not exist")
    return rows[0][1], bool(rows[0][2])


def _settings(document: dict[str, Any], timeout: int, *, is_ordered: bool) -> tuple[int, bool]:
    found = whole("timeout", document.get("timeout"), timeout)
    order = document.get("order", is_ordered)
    if not 0 < found <= _LONGEST or not isinstance(order, bool):
        raise Fault("ParameterInvalid", f"timeout must be 1 to {_LONGEST} seconds, order true or false")
    return found, order
