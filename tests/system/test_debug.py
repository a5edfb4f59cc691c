"""A debugger attaches to a function's one instance, and time stands still meanwhile."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
        debugger.send("initialize", adapterID="test")
        debugger.send("attach", justMyCode=True)
        debugger.wait_for("event", "initialized")
        path = "/code/index.py" if "namespaces" not in server.ready["functions"][0]["template"] else "index.py"
        debugger.send("setBreakpoints", source={"path": path}, breakpoints=[{"line": 4}])
        debugger.send("configurationDone")
        stopped = debugger.wait_for("event", "stopped")
        debugger.send("stackTrace", threadId=stopped["body"]["threadId"])
        frame = debugger.wait_for("response", "stackTrace")["body"]["stackFrames"][0]
        time_passed(1.2)  # longer than the function's timeout
        assert not call.done()
        debugger.send("continue", threadId=stopped["body"]["threadId"])

        assert (call.result().status, call.result().body) == (200, b"1")
        debugger.close()
    assert (frame["name"], frame["line"]) == ("handler", 4)
