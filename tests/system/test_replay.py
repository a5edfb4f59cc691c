"""What a replay runs: the code, packages and layers that ran the event, whatever has become of them since."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Server, pyfc, template, wait_until, zipped

API = "/2016-08-15"
RAISES = """
import which

def handler(event, context):
    raise ValueError(f"{which.NAME} in the first code")
"""


def layer(server: Server, name: str) -> str:
    code = {"zipFile": zipped({"python/which.py": f"NAME = '{name}'\n"})}
    return str(server.manage("POST", f"{API}/layers/{name}/versions", {"code": code}).json["arnV2"])


def given_up(server: Server, function: str) -> str:
    """Let a function fail once, called asynchronously; the call's id."""
    path = f"{API}/services/demo/functions/{function}/async-invoke-config"
    assert server.manage("PUT", path, {"maxAsyncRetryAttempts": 0}).status == 200
    number = str(server.invoke(f"demo/{function}", X_Fc_Invocation_Type="Async").headers["X-Fc-Request-Id"])
    wait_until(lambda: server.manage("GET", "/pyfc/events").json["depth"]["given_up"], "the dead letter")
    return number


def replayed(server: Server, number: str, home: Path) -> Any:
    status, shown, log = pyfc("replay", number, HOME=str(home), PYFC_ENDPOINT=server.endpoint)
    assert status == 1, log
    return json.loads(shown)["errorMessage"]


@pytest.mark.long
def test_a_replay_has_the_code_and_the_layers_of_then(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve({}, HOME=str(tmp_path), PYFC_SWEEP_AFTER="0")
    old, new = layer(server, "old"), layer(server, "new")
    server.manage("POST", f"{API}/services", {"serviceName": "demo"})
    document = {"functionName": "f", "handler": "index.handler", "runtime": "python3"}
    document |= {"code": {"zipFile": zipped({"index.py": RAISES})}, "layers": [old]}
    assert server.manage("POST", f"{API}/services/demo/functions", document).status == 200
    number = given_up(server, "f")

    second = RAISES.replace("first", "second")
    change = {"code": {"zipFile": zipped({"index.py": second})}, "layers": [new]}
    assert server.manage("PUT", f"{API}/services/demo/functions/f", change).status == 200
    assert server.manage("DELETE", f"{API}/layers/old/versions/1").status == 204

    assert server.invoke("demo/f").json["errorMessage"] == "new in the second code"
    assert replayed(server, number, tmp_path) == "old in the first code"


@pytest.mark.long
def test_code_that_is_served_while_it_is_edited_comes_with_its_packages(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    files = {
        "index.py": RAISES,
        "template.yml": template({"f": {}}),
        "which/__init__.py": "NAME = 'installed'\n",
        "which-1.0.dist-info/RECORD": "which/__init__.py,,\nwhich-1.0.dist-info/RECORD,,\n",
    }
    server = serve(files, "--reload", HOME=str(tmp_path))
    number = given_up(server, "f")

    place = server.manage("GET", f"{API}/services/demo/functions/f/code").json["url"]
    archive = zipfile.ZipFile(io.BytesIO(server.request("GET", place.partition(server.endpoint)[2]).body))
    assert {"index.py", "which/__init__.py"} <= set(archive.namelist())
    assert replayed(server, number, tmp_path) == "installed in the first code"
