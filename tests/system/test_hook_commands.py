"""Lifecycle hooks of custom runtimes that are commands: FC's `instanceLifecycleConfig` with `command`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import OWN_MODE_FIRST, Server, impossible, server_in_mode, wait_until, zipped

NEWER = "/2023-03-30"
BOOTSTRAP = """#!/usr/bin/env python3
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer

SEEN = []

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        SEEN.append(self.path)
        children = open("/proc/self/task/%d/children" % os.getpid()).read().split()
        body = json.dumps([SEEN, children]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

HTTPServer(("", 9000), Handler).serve_forever()
"""
WARM = """#!/usr/bin/env python3
import os, sys, urllib.request
print("warming", os.environ["WHO"], "in", os.getcwd() == os.environ["FC_FUNC_CODE_PATH"])
urllib.request.urlopen("http://localhost:9000/warm", b"").read()
"""


def project(initializer: list[str], stop: list[str] | None = None, timeout: int = 10) -> dict[str, str]:
    hooks: dict[str, Any] = {"initializer": {"command": initializer, "timeout": timeout}}
    if stop is not None:
        hooks["preStop"] = {"command": stop, "timeout": 5}
    props = {
        "region": "cn-hangzhou", "functionName": "f", "runtime": "custom.debian10", "handler": "index.handler",
        "code": "./code", "timeout": 10, "environmentVariables": {"WHO": "ada"}, "instanceLifecycleConfig": hooks,
    }  # fmt: skip
    resources = {"f": {"component": "fc3", "props": props}}
    document = {"edition": "3.0.0", "name": "app", "access": "default", "resources": resources}
    return {"s.yaml": json.dumps(document), "code/bootstrap": BOOTSTRAP, "code/warm": WARM}


@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_the_command_of_an_initializer_runs_beside_the_program_before_its_first_call(tmp_path: Path, mode: str) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    server = server_in_mode(mode, tmp_path, project(["./warm"], ["sh", "-c", "echo $WHO leaves"]))
    try:
        answer = server.invoke("default/f")
        assert "X-Fc-Error-Type" not in answer.headers, (answer.body, server.logged(""))
        seen, children = answer.json
        assert seen == ["/warm", "/invoke"]
        assert children == [], "who runs the command is nobody's child that the program knows of"
        assert server.invoke("default/f").json[0] == ["/warm", "/invoke", "/invoke"], "it ran once"
        log = wait_until(lambda: "warming" in server.log("default", "f") and server.log("default", "f"), "its output")
        assert "FC Initialize Start RequestId: " in log
        assert "warming ada in True" in log
    finally:
        assert server.stop()[0] == 0
    assert "ada leaves" in server.log("default", "f")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["sh", "-c", "echo no model; exit 3"], "the command sh exited with status 3"),
        (["sh", "-c", "kill -9 $$"], "the command sh was killed by signal 9"),
        (["no-such-program"], "the command no-such-program exited with status 127"),
    ],
)
def test_a_command_that_fails_fails_the_call_that_needs_the_instance(
    serve: Callable[..., Server], command: list[str], why: str
) -> None:
    files = project(command)
    server = serve(files)
    answer = server.invoke("default/f")

    assert answer.headers["X-Fc-Error-Type"] == "UnhandledInvocationError"
    assert why in answer.body.decode()


def test_a_command_has_the_time_of_an_initializer(serve: Callable[..., Server]) -> None:
    answer = serve(project(["sleep", "60"], timeout=1)).invoke("default/f")

    assert "timed out after 1 seconds" in answer.body.decode()


def test_the_api_keeps_commands_and_refuses_those_that_nobody_would_run(serve: Callable[..., Server]) -> None:
    server = serve({})
    code = {"zipFile": zipped({"bootstrap": BOOTSTRAP})}
    base = {"functionName": "f", "runtime": "custom.debian10", "handler": "h", "code": code}
    hooks = {
        "initializer": {"command": ["sh", "-c", "exit 0"], "timeout": 9},
        "preStop": {"handler": "", "command": ["true"], "timeout": 4},
    }

    def manage(method: str, path: str, **document: Any) -> Any:
        return server.manage(method, NEWER + path, document or None)

    made = manage("POST", "/functions", **base, instanceLifecycleConfig=hooks)
    assert made.json["instanceLifecycleConfig"] == hooks
    assert manage("PUT", "/functions/f", description="changed").json["instanceLifecycleConfig"] == hooks
    older = server.manage("GET", "/2016-08-15/services/default/functions/f").json["instanceLifecycleConfig"]
    assert older["initializer"] == hooks["initializer"]

    both = {"initializer": {"handler": "index.start", "command": ["true"]}}
    refused = manage("PUT", "/functions/f", instanceLifecycleConfig=both)
    assert (refused.status, refused.json["Code"]) == (400, "InvalidArgument")
    assert "there is a handler, 'index.start'" in refused.json["Message"]
    python = {**base, "functionName": "g", "runtime": "python3.10", "handler": "index.handler"}
    refused = manage("POST", "/functions", **python, instanceLifecycleConfig={"initializer": {"command": ["true"]}})
    assert (refused.status, refused.json["Code"]) == (400, "InvalidArgument")
    assert "hooks of python3.10 are handlers" in refused.json["Message"]

    gone = manage("PUT", "/functions/f", instanceLifecycleConfig={"initializer": {"handler": "index.start"}})
    assert gone.json["instanceLifecycleConfig"] == {"initializer": {"handler": "index.start", "timeout": 9}}
