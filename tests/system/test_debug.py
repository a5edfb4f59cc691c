"""A debugger attaches to a function's one instance, and time stands still meanwhile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import DEADLINE, Server, template, time_passed, wait_until

CODE = """
def handler(event, context):
    value = 1
    return value
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Debugger:
    """As much of the debug adapter protocol as attaching, stopping at a line and going on need."""

    def __init__(self, port: int) -> None:
        self._socket = wait_until(lambda: connected(port), "the debugger's port")
        self._socket.settimeout(DEADLINE)
        self._file = self._socket.makefile("rb")
        self._number = 0

    def send(self, command: str, **arguments: Any) -> None:
        self._number += 1
        message = {"seq": self._number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def wait_for(self, kind: str, name: str) -> dict[str, Any]:
        """The next event or response of this name."""
        while True:
            size = 0
            while line := self._file.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            message: dict[str, Any] = json.loads(self._file.read(size))
            if message["type"] == kind and message.get("event", message.get("command")) == name:
                return message

    def attach(self) -> None:
        """As an editor does; breakpoints come next, then `configurationDone`."""
        self.send("initialize", adapterID="test")
        self.send("attach", justMyCode=True)
        self.wait_for("event", "initialized")

    def top(self) -> tuple[int, dict[str, Any]]:
        """The thread that stops next, and its innermost frame."""
        thread: int = self.wait_for("event", "stopped")["body"]["threadId"]
        self.send("stackTrace", threadId=thread)
        frame: dict[str, Any] = self.wait_for("response", "stackTrace")["body"]["stackFrames"][0]
        return thread, frame

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def connected(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), 1)
    except OSError:
        return None


def test_a_call_waits_for_the_debugger_and_stops_at_its_breakpoint(serve: Callable[..., Server]) -> None:
    port = free_port()
    files = {"index.py": CODE, "template.yml": template({"f": {"Timeout": 1}})}
    server = serve(files, "--debug", "demo/f", "--debug-port", str(port))

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(server.invoke, "demo/f")
        debugger = Debugger(port)
        debugger.attach()
        path = "/code/index.py" if "namespaces" not in server.ready["functions"][0]["template"] else "index.py"
        debugger.send("setBreakpoints", source={"path": path}, breakpoints=[{"line": 4}])
        debugger.send("configurationDone")
        thread, frame = debugger.top()
        time_passed(1.2)  # longer than the function's timeout
        assert not call.done()
        debugger.send("continue", threadId=thread)

        assert (call.result().status, call.result().body) == (200, b"1")
        debugger.close()
    assert (frame["name"], frame["line"]) == ("handler", 4)


LETTERS = """
import os

def event(event, context):
    raise ValueError(event)

def web(environ, start_response):
    raise ValueError(environ["PATH_INFO"])
"""


def given_up(server: Server, request_id: str) -> bool:
    return any(each["requestId"] == request_id for each in server.manage("GET", "/pyfc/events").json["events"])


def replay(server: Server, home: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pyfc", "replay", *words]
    environment = {**os.environ, "PYFC_ENDPOINT": server.endpoint, "HOME": str(home)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.long
def test_what_was_given_up_is_replayed_as_it_was_and_stops_where_it_raises(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    functions: dict[str, dict[str, Any]] = {"event": {"Handler": "index.event"}}
    functions["web"] = {"Handler": "index.web", "http": ["POST"]}
    server = serve(
        {"index.py": LETTERS, "template.yml": template(functions)}, HOME=str(tmp_path), PYFC_ASYNC_RETRY_DELAY="0.01"
    )
    later = {"X-Fc-Invocation-Type": "Async"}
    binary = server.invoke("demo/event", b"\xff\x00", **later).headers["X-Fc-Request-Id"]
    request = server.request("POST", "/2016-08-15/proxy/demo/web/a/b", b"x", later).headers["X-Fc-Request-Id"]
    wait_until(lambda: given_up(server, binary) and given_up(server, request), "both to be given up")

    for name, told in ((binary, "b'\\xff\\x00'"), (request, "/a/b")):
        output, log = replay(server, tmp_path, name).communicate(timeout=DEADLINE)
        assert (json.loads(output)["errorMessage"], json.loads(output)["errorType"]) == (told, "ValueError"), log
    port = free_port()
    replayed = replay(server, tmp_path, binary, "--debug", str(port))
    debugger = Debugger(port)
    debugger.attach()
    debugger.send("setExceptionBreakpoints", filters=["uncaught"])
    debugger.send("configurationDone")
    thread, frame = debugger.top()
    assert (frame["name"], frame["line"]) == ("event", 5)
    debugger.send("continue", threadId=thread)
    output, log = replayed.communicate(timeout=DEADLINE)
    assert json.loads(output)["errorType"] == "ValueError", log
    debugger.close()
