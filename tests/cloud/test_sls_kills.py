"""What the log service has acknowledged is there, whenever the server is killed."""

from __future__ import annotations

import http.client
import signal
import threading
from pathlib import Path

import pytest

from cloud.sls_client import LOGSTORE, Client
from pyfc.cloud.sls.groups import Log, read_group, read_log
from support import Server, wait_until

WRITERS, KILLS, ENOUGH = 8, 3, 100


def _write(server: Server, name: str, acknowledged: list[str]) -> None:
    """Put logs until the server is gone."""
    ask = Client(server)
    for number in range(1_000_000):
        text = f"{name}-{number}"
        try:
            answer = ask.put(Log(1, 0, [("id", text)]))
        except (OSError, http.client.HTTPException):
            return
        assert answer.status == 200, answer.body
        acknowledged.append(text)


def _pulled(server: Server) -> list[str]:
    """All that is there, from cursor to cursor."""
    ask, found = Client(server), list[str]()
    cursor = ask.cursor("begin")
    while True:
        answer = ask("GET", f"/logstores/{LOGSTORE}/shards/0", {"type": "log", "cursor": cursor, "count": 1})
        if answer.headers["x-log-count"] == "0":
            return found
        cursor, group = answer.headers["x-log-cursor"], answer.body[2:]  # a small one: its head has two bytes
        found += [dict(read_log(group, *place).contents)["id"] for place in read_group(group).places]


@pytest.mark.long
def test_each_acknowledged_group_is_pulled_after_kills(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data, acknowledged = tmp_path_factory.mktemp("data") / "data", list[str]()
    for kill in range(KILLS):
        server = Server(tmp_path, data)
        if not kill:
            Client(server)("POST", "/", body={"projectName": Client(server).project})
            Client(server)("POST", "/logstores", body={"logstoreName": LOGSTORE})
        before = len(acknowledged)
        writers = [
            threading.Thread(target=_write, args=(server, f"{kill}-{number}", acknowledged))
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        wait_until(lambda before=before: len(acknowledged) > before + ENOUGH, "some logs")
        server.stop(signal.SIGKILL)
        for writer in writers:
            writer.join()
    server = Server(tmp_path, data)
    try:
        found = _pulled(server)
    finally:
        server.stop()

    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))
