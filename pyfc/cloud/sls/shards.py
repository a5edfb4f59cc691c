"""Logs come in and are pulled: the one shard of a logstore and its cursors."""

from __future__ import annotations

import asyncio
import time

from pyfc.cloud.sls import compression
from pyfc.cloud.sls.asked import Answer, Asked, answer
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.groups import Group, group_list, read_group, without_parts
from pyfc.cloud.sls.model import cursor_of, number_of
from pyfc.cloud.sls.request import Sent

_SMALL = 10_000
"""Bytes of a body that is read at once; a larger one is in a thread."""
_MOST_GROUPS = 1000
"""Groups that are pulled at once."""
_OLD_CLIENT = "aliyun-sdk-nodejs"
"""Its schema is that of before logs had nanoseconds: one of them and it fails."""


async def put_logs(asked: Asked) -> Answer:
    """POST /logstores/L/shards/lb"""
    logstore, sent = asked.logstore, asked.sent
    told = sent.headers.get("x-log-bodyrawsize", "")
    is_small = len(sent.body) <= _SMALL and len(told) < len(str(_SMALL))
    data, group = _read(sent) if is_small else await asyncio.to_thread(_read, sent)
    if group.places:
        await asked.store.put(logstore, group.labels, len(group.places), data, asked.depth)
        asked.environment.searcher.tell()
    return answer({})


def unpacked(sent: Sent, most: int = compression.MOST) -> bytes:
    """The body of a request as it was before it was packed, when it had at most `most` bytes. Raises Fault."""
    headers = sent.headers
    kind, told = headers.get("x-log-compresstype", ""), headers.get("x-log-bodyrawsize")
    return compression.unpack(kind, sent.body, told, most)


def _read(sent: Sent) -> tuple[bytes, Group]:
    data = unpacked(sent)
    return data, read_group(data)


async def list_shards(asked: Asked) -> Answer:
    """GET /logstores/L/shards"""
    created = asked.logstore.created
    shard = {"shardID": 0, "status": "readwrite", "inclusiveBeginKey": "0" * 32, "exclusiveEndKey": "f" * 32,
             "createTime": created}  # fmt: skip
    return answer([shard])


async def read_shard(asked: Asked) -> Answer:
    """GET /logstores/L/shards/N: cursors and logs, by `type`."""
    if asked.names[1] != "0":
        raise Fault("ShardNotExist", f"Shard {asked.names[1][:20]} does not exist: there is one, 0.")
    kind = asked.query.get("type", "")
    if kind in ("log", "logs"):
        return await _pull(asked)
    if kind == "cursor":
        return answer({"cursor": cursor_of(await _number_at(asked, asked.query.get("from", "")))})
    if kind == "cursor_time":
        return answer({"cursor_time": await _time_of(asked, number_of(asked.query.get("cursor", "")))})
    raise Fault("ParameterInvalid", "type must be log, cursor or cursor_time")


async def _number_at(asked: Asked, begin: str) -> int:
    logstore = asked.logstore
    found = None
    if begin == "begin":
        found = await asked.store.number_at(logstore, 0)
    elif begin != "end":
        found = await asked.store.number_at(logstore, asked.number("from", 0))
    return await asked.store.end(logstore) if found is None else found


async def _time_of(asked: Asked, number: int) -> int:
    """When what is behind a cursor came; now for the end."""
    logstore = asked.logstore
    if number > await asked.store.end(logstore):
        raise Fault("InvalidCursor", "The cursor is behind the end of the shard.")
    found = await asked.store.received(logstore, number)
    return int(time.time()) if found is None else found


def _packed(groups: list[bytes], sent: Sent) -> tuple[int, str, bytes]:
    """Groups as one body: its size, how it is packed, and packed."""
    if sent.headers.get("user-agent", "").startswith(_OLD_CLIENT):
        groups = [without_parts(each) for each in groups]
    data = group_list(groups)
    kind, packed = compression.pack(sent.headers.get("accept-encoding", ""), data) if data else ("", b"")
    return len(data), kind, packed


async def _pull(asked: Asked) -> Answer:
    logstore, query = asked.logstore, asked.query
    begin = number_of(query.get("cursor", ""))
    end = number_of(query["end_cursor"]) if query.get("end_cursor") else None
    most = min(max(asked.number("count", 100), 1), _MOST_GROUPS)
    found = await asked.store.pull(logstore, begin, end, most)
    size, kind, packed = await asyncio.to_thread(_packed, [each.data for each in found], asked.sent)
    headers = {
        "x-log-cursor": cursor_of(found[-1].number + 1 if found else begin),
        "x-log-count": str(len(found)),
        "x-log-bodyrawsize": str(size),
    }
    if kind:
        headers["x-log-compresstype"] = kind
    return Answer(headers=headers, body=packed, type="application/x-protobuf")
