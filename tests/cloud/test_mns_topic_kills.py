"""What was published to a topic arrives at each subscription and calls each trigger, whenever the server is killed."""

from __future__ import annotations

import http.client
import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bucket_events import Collector
from cloud.mns_client import Client, xml
from support import Server, wait_until

PUBLISHERS = 4
CODE = """
import os, socket

def handler(event, context):
    with socket.create_connection(("127.0.0.1", int(os.environ["COLLECTOR"])), 10) as connection:
        connection.sendall(event + b"\\n")
"""


class Endpoint(ThreadingHTTPServer):
    """Takes what is pushed to it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.heard: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Taker)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Taker(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        self.server.heard.add(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


class Publishing:
    """Clients that publish to the topic t of a server that is killed meanwhile; what has no answer is published again
    under another name.
    """

    def __init__(self, server: Server, count: int) -> None:
        self.server = server
        self.acknowledged: set[str] = set()
        self._left = list(range(count))
        self.threads = [threading.Thread(target=self._publish) for _ in range(PUBLISHERS)]
        for thread in self.threads:
            thread.start()

    def _publish(self) -> None:
        while self._left:
            try:
                number, tries = self._left.pop(), 0
            except IndexError:
                return
            while not self._one(f"{number}-{tries}"):
                tries += 1
                threading.Event().wait(0.05)

    def _one(self, text: str) -> bool:
        try:
            answer = Client(self.server)("POST", "/topics/t/messages", xml("Message", MessageBody=text))
        except (OSError, http.client.HTTPException):
            return False
        assert answer.status == 201, answer
        self.acknowledged.add(text)
        return True


def _project(folder: Path, port: int) -> Path:
    """A folder with a function of the topic t, which tells this port."""
    function = {
        "Type": "Aliyun::Serverless::Function",
        "Properties": {
            "Handler": "index.handler", "Runtime": "python3", "CodeUri": "./",
            "EnvironmentVariables": {"COLLECTOR": str(port)},
        },
        "Events": {"new": {"Type": "MNSTopic", "Properties": {"TopicName": "t"}}},
    }  # fmt: skip
    resources = {"demo": {"Type": "Aliyun::Serverless::Service", "tick": function}}
    folder.mkdir()
    (folder / "template.yml").write_text(
        json.dumps({"Transform": "Aliyun::Serverless-2018-04-03", "Resources": resources})
    )
    (folder / "index.py").write_text(CODE)
    return folder


def _subscribe(ask: Client, name: str, address: str) -> None:
    told = {"NotifyStrategy": "EXPONENTIAL_DECAY_RETRY", "NotifyContentFormat": "SIMPLIFIED"}
    answer = ask("PUT", f"/topics/t/subscriptions/{name}", xml("Subscription", Endpoint=address, **told))
    assert answer.status == 201, answer


def _drained(ask: Client) -> set[str]:
    found: set[str] = set()
    while bodies := ask.bodies("q"):
        found.update(bodies)
    return found


@pytest.mark.long
def test_each_acknowledged_message_arrives_everywhere_whatever_is_killed(
    tmp_path: Path, endpoint: Endpoint, collector: Collector, *, is_torture: bool
) -> None:
    count, kills = (5_000, 20) if is_torture else (400, 20)
    place = f"127.0.0.1:{endpoint.server_port}"
    folder, data = _project(tmp_path / "project", collector.port), tmp_path / "data"
    server = Server(folder, data, PYFC_ALLOW_OUTGOING=place)
    ask = Client(server)
    ask.create("queues/q", VisibilityTimeout=43200)
    ask.create("topics/t")
    _subscribe(ask, "queue", "acs:mns:cn-hangzhou:1234567890123456:queues/q")
    _subscribe(ask, "http", f"http://{place}/taken")

    publishing = Publishing(server, count)
    for kill in range(1, kills + 1):
        share = count * kill // (kills + 1)
        wait_until(lambda share=share: len(publishing.acknowledged) >= share, "some messages", 600)
        server.stop(signal.SIGKILL)
        server = publishing.server = Server(folder, data, PYFC_ALLOW_OUTGOING=place)
    for thread in publishing.threads:
        thread.join()

    wanted = publishing.acknowledged
    assert len(wanted) == count
    assert wanted - _drained(Client(server)) == set()
    wait_until(lambda: wanted <= endpoint.heard, "every message at the HTTP endpoint", 600)
    wait_until(lambda: wanted <= collector.heard, "every message at the function", 600)
    assert server.stop()[0] == 0
