"""A server is killed while clients put objects: what was acknowledged is whole, and has had its event."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from objects import BUCKET, Client
from support import Server, wait_until

CODE = """
import json, os, socket

def handler(event, context):
    (told,) = json.loads(event)["events"]
    found = told["oss"]["object"]
    with socket.create_connection(("127.0.0.1", int(os.environ["COLLECTOR"])), 10) as connection:
        connection.sendall(f"{found['key']} {found['size']} {found['eTag']}\\n".encode())
"""


def content_of(key: str) -> bytes:
    """Always the same for a key: mostly small, some above what the index keeps for a while."""
    chance = random.Random(key)
    return chance.randbytes(chance.choice([0, 10, 4096, 4096, 20_000, 200_000]))


def told_of(key: str) -> str:
    content = content_of(key)
    return f"{key} {len(content)} {hashlib.md5(content).hexdigest().upper()}"


class Collector:
    """Hears what functions say."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._socket.getsockname()[1]
        self.heard: set[str] = set()
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(10)
            with connection, connection.makefile() as file, contextlib.suppress(OSError):
                line = file.readline()
                if line.endswith("\n"):  # else it was killed in the middle
                    self.heard.add(line.strip())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


class Killed:
    """A server that is killed and started again, and what it has acknowledged meanwhile."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self._folder = folder
        self._data_dir = data_dir
        self.server = Server(folder, data_dir)
        self.acknowledged: set[str] = set()

    def again(self) -> None:
        self.server.stop(signal.SIGKILL)
        self.server = Server(self._folder, self._data_dir)

    def put(self, keys: list[str]) -> None:
        for key in keys:
            while key not in self.acknowledged:
                try:
                    if Client(self.server)("PUT", key, body=content_of(key)).status == 200:
                        self.acknowledged.add(key)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)


def project(folder: Path, port: int) -> Path:
    function = {
        "Type": "Aliyun::Serverless::Function",
        "Properties": {
            "Handler": "index.handler", "Runtime": "python3", "CodeUri": "./",
            "EnvironmentVariables": {"COLLECTOR": str(port)},
        },
        "Events": {"new": {"Type": "OSS", "Properties": {"BucketName": BUCKET, "Events": ["oss:ObjectCreated:*"]}}},
    }  # fmt: skip
    service = {"Type": "Aliyun::Serverless::Service", "tick": function}
    template = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": service}}
    folder.mkdir()
    (folder / "template.yml").write_text(json.dumps(template))
    (folder / "index.py").write_text(CODE)
    return folder


def test_what_was_acknowledged_before_a_kill_is_whole_and_has_had_its_event(
    tmp_path: Path, collector: Collector, is_torture: bool
) -> None:
    puts, clients, kills = (20_000, 8, 20) if is_torture else (80, 4, 1)
    held = Killed(project(tmp_path / "project", collector.port), tmp_path / "data")
    keys = [f"{number % 7}/{number}" for number in range(puts)]
    threads = [threading.Thread(target=held.put, args=(keys[each::clients],)) for each in range(clients)]
    for thread in threads:
        thread.start()
    for kill in range(kills):
        wait_until(lambda: len(held.acknowledged) > puts * (kill + 0.5) / (kills + 0.5), "some puts", 600.0)  # noqa: B023
        held.again()
    for thread in threads:
        thread.join()

    try:
        expected = {told_of(key) for key in keys}
        wait_until(lambda: expected <= collector.heard, "every event", 600.0 if is_torture else 60.0)
        assert collector.heard == expected, "an event told of half an object"
        ask = Client(held.server)
        for key in keys:
            assert ask("GET", key).body == content_of(key)
        stored = ask("GET", query="max-keys=1000").texts("Size")
        assert len(stored) == min(puts, 1000)
    finally:
        status, errors = held.server.stop()
    assert (status, "Traceback" in errors) == (0, False), errors
