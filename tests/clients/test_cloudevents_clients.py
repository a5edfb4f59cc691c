"""The official SDKs of CloudEvents, unmodified, send to a server's door."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Server, wait_until

pytestmark = pytest.mark.long
HERE = Path(__file__).parent
CODE = """
def handler(event, context):
    print("fired", context.request_id, event.decode())
"""
CONFIG = {"eventRuleFilterPattern": '{"source": ["sdk"], "data": {"n": [{"numeric": [">=", 0]}]}}'}


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    trigger = {"triggerName": "bus", "triggerType": "eventbridge", "triggerConfig": CONFIG}
    props = {
        "functionName": "hello", "runtime": "python3", "handler": "index.handler", "code": "./", "triggers": [trigger],
    }  # fmt: skip
    resources = {"hello": {"component": "fc3", "props": props}}
    return serve({"index.py": CODE, "s.yaml": json.dumps({"edition": "3.0.0", "resources": resources})})


def _sent(server: Server, *command: str | Path, **environment: str) -> list[dict[str, Any]]:
    """What the function got of what a script has sent."""
    done = subprocess.run(
        [*command, server.endpoint],
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    answers = [line.split("\t") for line in done.stdout.splitlines()]
    assert [status for status, _ in answers] == ["202", "202"]
    service = server.functions()[0]["service"]
    numbers = [call["requestId"] for _, text in answers for call in json.loads(text)["calls"]]

    def got(number: str) -> Any:
        log = "".join(json.loads(line).get("log", "") for line in server.log(service, "hello").splitlines())
        return re.search(rf"fired {number} (.*)", log)

    return [json.loads(wait_until(lambda number=number: got(number), f"the call {number}")[1]) for number in numbers]


def test_the_sdk_for_python_sends_structured_and_binary(server: Server, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "cloudevents==2.2.0"], check=True, timeout=600, capture_output=True
    )

    events = _sent(server, python, HERE / "cloudevents_python.py")
    assert [each["id"] for each in events] == ["python-0", "python-1"]
    assert [(each["data"], each["subject"]) for each in events] == [
        ({"n": 0}, "caf\u00e9 1"),
        ({"n": 1}, "caf\u00e9 1"),
    ]


def test_the_sdk_for_javascript_sends_structured_and_binary(server: Server, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js with npm")
    command = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        tmp_path,
        "cloudevents@10.0.0",
    ]
    subprocess.run(command, check=True, timeout=600, capture_output=True)

    events = _sent(server, "node", HERE / "cloudevents.js", NODE_PATH=str(tmp_path / "node_modules"))
    assert [each["id"] for each in events] == ["javascript-0", "javascript-1"]
    assert [each["data"] for each in events] == [{"n": 0}, {"n": 1}]
    assert events[0]["subject"] == "caf\u00e9 1"
