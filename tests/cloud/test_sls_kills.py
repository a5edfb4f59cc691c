"""What the log service has acknowledged is there, and a trigger has told of it, whenever the server is killed."""

from __future__ import annotations

import base64
import http.client
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bucket_events import Collector
from cloud.sls_client import LOGSTORE, PROJECT, Client
from pyfc.cloud.sls.groups import Log, read_group, read_log
from support import Server, wait_until, zipped

_WRITERS = 8
CODE = """
import json, os, socket

def handler(event, context):
    source = json.loads(event)["source"]
    with socket.create_connection(("127.0.0.1", int(os.environ["COLLECTOR"])), 10) as connection:
        connection.sendall(f"{source['beginCursor']} {source['endCursor']}\\n".encode())
"""


class Writer:
    """Puts groups of one log each until so many are acknowledged."""

    def __init__(self, server: Callable[[], Server], name: str, count: int, acknowledged: set[str]) -> None:
        self._server, self._name, self._count, self._acknowledged = server, name, count, acknowledged
        self.thread = threading.Thread(target=self._write)
        self.thread.start()

    def _write(self) -> None:
        for number in range(self._count):
            text, tries = f"{self._name}-{number}", 0
            while text not in self._acknowledged:
                try:
                    status = Client(self._server()).put(Log(1, 0, [("id", text), ("try", str(tries))])).status
                except (OSError, http.client.HTTPException):
                    tries += 1
                    time.sleep(0.02)
                else:
                    assert status == 200, status
                    self._acknowledged.add(text)


def _number(cursor: str) -> int:
    return int(base64.b64decode(cursor))


def _pulled(server: Server) -> tuple[list[tuple[str, str]], int, int]:
    """What each log that is there says, from cursor to cursor; the first cursor, and the last."""
    ask, found = Client(server), list[tuple[str, str]]()
    first = cursor = ask.cursor("begin")
    while True:
        answer = ask.pull(cursor)
        if answer.headers["x-log-count"] == "0":
            return found, _number(first), _number(cursor)
        cursor = answer.headers["x-log-cursor"]
        found += [_said(each) for each in _groups(answer.body)]


def _groups(body: bytes) -> Iterator[bytes]:
    """The groups of a list; they are small: the head of each has two bytes."""
    place = 0
    while place < len(body):
        end = place + 2 + body[place + 1]
        yield body[place + 2 : end]
        place = end


def _said(group: bytes) -> tuple[str, str]:
    (place,) = read_group(group).places
    contents = dict(read_log(group, *place).contents)
    return contents["id"], contents["try"]


def _declare(server: Server, port: int) -> None:
    """A logstore, and a function that a trigger tells of it."""
    ask = Client(server)
    ask("POST", "/", body={"projectName": PROJECT})
    ask("POST", "/logstores", body={"logstoreName": LOGSTORE})
    function = {
        "functionName": "heard", "runtime": "python3", "handler": "index.handler",
        "code": {"zipFile": zipped({"index.py": CODE})}, "environmentVariables": {"COLLECTOR": str(port)},
    }  # fmt: skip
    trigger = {
        "triggerName": "new", "triggerType": "log", "sourceArn": f"acs:log:cn-hangzhou:1:project/{PROJECT}",
        "invocationRole": "acs:ram::1:role/x",
        "triggerConfig": {
            "sourceConfig": {"logstore": LOGSTORE}, "jobConfig": {"maxRetryTime": 10, "triggerInterval": 3},
            "functionParameter": {}, "logConfig": {}, "enable": True,
        },
    }  # fmt: skip
    home = "/2016-08-15/services"
    for path, document in (
        (home, {"serviceName": "shop"}),
        (f"{home}/shop/functions", function),
        (f"{home}/shop/functions/heard/triggers", trigger),
    ):
        made = server.manage("POST", path, document)
        assert made.status == 200, made.body


@pytest.mark.long
def test_each_acknowledged_group_is_pulled_and_told_of_after_kills(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, collector: Collector, is_torture: bool
) -> None:
    groups, kills = (50_000, 20) if is_torture else (400, 2)
    data, acknowledged = tmp_path_factory.mktemp("data") / "data", set[str]()
    server = Server(tmp_path, data)
    _declare(server, collector.port)
    share = groups // _WRITERS
    writers = [Writer(lambda: server, str(number), share, acknowledged) for number in range(_WRITERS)]
    for kill in range(kills):
        wait_until(lambda: len(acknowledged) > groups * (kill + 0.5) / (kills + 0.5), "some logs", 600.0)  # noqa: B023
        server.stop(signal.SIGKILL)
        server = Server(tmp_path, data)
    for writer in writers:
        writer.thread.join()
    try:
        wait_until(lambda: collector.heard, "a window", 60.0)  # so that there is another one after it
        assert Client(server).put(Log(1, 0, [("id", "last"), ("try", "0")])).status == 200
        found, first, end = _pulled(server)
        wait_until(lambda: any(window[1] == end for window in _windows(collector)), "the last window", 60.0)
        wait_until(lambda: _is_chain(_windows(collector)), "windows without holes", 60.0)
    finally:
        server.stop()

    assert len(_windows(collector)) > 1
    assert len(acknowledged) == share * _WRITERS
    assert acknowledged | {"last"} <= {text for text, _ in found}
    assert len(found) == len(set(found)), "a group is there twice"
    assert _windows(collector)[0][0] <= first


def _windows(collector: Collector) -> list[tuple[int, int]]:
    """Of which the function was told, in order."""
    told = [line.split(" ") for line in collector.heard.copy()]
    return sorted((_number(begin), _number(end)) for begin, end in told)


def _is_chain(windows: list[tuple[int, int]]) -> bool:
    """Whether each begins where the one before it ends."""
    return all(one[1] == two[0] for one, two in itertools.pairwise(windows))
