"""Programs that are HTTP servers get the request itself, by whichever of FC's conventions they are declared."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support import Server, wait_until, zipped

BOOTSTRAP = """#!/usr/bin/env python3
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        print("asked", self.command, self.path, flush=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = json.dumps({"method": self.command, "path": self.path, "headers": headers, "body": body}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("0.0.0.0", 9000), Handler).serve_forever()
"""
TEMPLATE = """edition: 3.0.0
name: newer
access: default
resources:
  web:
    component: fc3
    props:
      region: cn-hangzhou
      functionName: web
      runtime: custom.debian10
      code: ./code
      timeout: 10
      customRuntimeConfig: {command: [./bootstrap], port: 9000}
      triggers:
        - triggerName: http
          triggerType: http
          triggerConfig: {authType: anonymous, methods: [GET, POST, PUT]}
"""
WEB = "/2016-08-15/proxy/default/web"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("newer")
    (folder / "code").mkdir()
    (folder / "code/bootstrap").write_text(BOOTSTRAP)
    (folder / "code/bootstrap").chmod(0o755)
    (folder / "s.yaml").write_text(TEMPLATE)
    serving = Server(folder, folder / "data")
    yield serving
    serving.stop()


def expect_the_request_itself(server: Server, base: str) -> None:
    answer = server.request("PUT", f"{base}/a%20b/c?x=1&y", b"body", {"X-Own": "1", "Content-Type": "text/plain"})

    assert answer.status == 201, answer
    told = answer.json
    assert (told["method"], told["path"], told["body"]) == ("PUT", "/a%20b/c?x=1&y", "body")
    assert told["headers"]["x-own"] == "1"
    assert told["headers"]["content-type"] == "text/plain"
    assert told["headers"]["x-fc-control-path"] == "/http-invoke"


def test_a_server_declared_for_fc_3_gets_the_request_as_it_was_sent(server: Server) -> None:
    expect_the_request_itself(server, WEB)


def test_a_server_made_by_fc_3s_api_gets_the_request_as_it_was_sent(server: Server) -> None:
    function = {
        "functionName": "made",
        "runtime": "custom.debian12",
        "handler": "index.handler",
        "code": {"zipFile": zipped({"server.py": BOOTSTRAP})},
        "customRuntimeConfig": {"command": ["python3", "server.py"], "port": 9000},
    }
    trigger = {
        "triggerName": "http",
        "triggerType": "http",
        "triggerConfig": json.dumps({"authType": "anonymous", "methods": ["GET", "PUT"]}),
    }
    for path, document in (("functions", function), ("functions/made/triggers", trigger)):
        answer = server.manage("POST", f"/2023-03-30/{path}", document)
        assert answer.status == 200, answer

    expect_the_request_itself(server, "/2016-08-15/proxy/default/made")


def test_such_a_server_is_still_invoked_with_an_event_by_the_api(server: Server) -> None:
    answer = server.request("POST", "/2023-03-30/functions/web/invocations", b"event")

    assert answer.status == 200, answer
    assert (answer.json["method"], answer.json["path"], answer.json["body"]) == ("POST", "/invoke", "event")


def test_such_a_server_gets_a_large_request_while_it_arrives(server: Server) -> None:
    answer = server.request("POST", f"{WEB}/large", b"x" * (3 << 20))

    assert answer.status == 201, answer
    assert len(answer.json["body"]) == 3 << 20


def test_such_a_server_gets_an_asynchronous_request_as_it_was_sent(server: Server) -> None:
    answer = server.request("GET", f"{WEB}/later", None, {"X-Fc-Invocation-Type": "Async"})

    assert answer.status == 202, answer
    wait_until(lambda: "asked GET /later" in server.log("default", "web"), "the request")
