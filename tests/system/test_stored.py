"""What a server finds in its data folder when it starts, and what becomes of that."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pyfc.registry import stored
from support import Server, pyfc, wait_until, zipped

API = "/2016-08-15"
ECHO = "def handler(event, context):\n    return event\n"
CODE = {"zipFile": zipped({"index.py": ECHO})}


def make(server: Server, service: str, name: str = "f") -> None:
    assert server.manage("POST", f"{API}/services", {"serviceName": service}).status == 200
    function = {"functionName": name, "runtime": "python3", "handler": "index.handler", "code": CODE}
    assert server.manage("POST", f"{API}/services/{service}/functions", function).status == 200


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "own.py").write_text(ECHO)
    return tmp_path / "project"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server that has served functions of the API's, and has ended."""
    place = tmp_path_factory.mktemp("served")
    (place / "project").mkdir()
    server = Server(place / "project", place / "data")
    make(server, "kept")
    make(server, "other")
    assert server.manage("POST", f"{API}/services/kept/versions", {}).status == 200
    answer = server.invoke("kept/f", b"x")
    assert answer.body == b"x"
    server.record(answer.headers["X-Fc-Request-Id"])
    assert server.stop()[0] == 0
    return place / "data"


@pytest.fixture
def data(served: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    shutil.copytree(served, tmp_path / "data", symlinks=True)
    return tmp_path / "data"


def spoil(data: Path, key: str, value: bytes) -> None:
    with closing(sqlite3.connect(data / "store.sqlite")) as connection, connection:
        assert connection.execute("UPDATE entries SET value = ? WHERE key = ?", (value, key)).rowcount == 1


def notes(server: Server) -> str:
    return "\n".join(server.ready["notes"])


def doctor(data: Path) -> str:
    status, out, err = pyfc("doctor", PYFC_DATA_DIR=str(data))
    assert status == 0, err
    return out


@pytest.mark.long
def test_what_can_not_be_read_is_set_aside_and_named_and_everything_else_is_served(project: Path, data: Path) -> None:
    alias = b'{"value":{"service":"kept","scope":"-","name":"a","version_id":"1","route_policy":"x"},"id":"i"}'
    spoil(data, "services/other", b"no JSON")
    spoil(data, "versions/kept/-/0000000001", alias)
    assert "versions/kept/-/0000000001" in doctor(data)

    server = Server(project, data)

    assert "services/other can not be read" in notes(server)
    assert "versions/kept/-/0000000001 can not be read" in notes(server)
    assert server.invoke("kept/f", b"x").body == b"x"
    assert server.invoke("default/own", b"x").body == b"x"
    assert server.invoke("other/f", b"x").status == 404  # whether it may have a network is in its service's record
    assert server.manage("POST", f"{API}/services", {"serviceName": "other"}).status == 200
    status, errors = server.stop()
    assert status == 0
    assert "functions/other/f can not be served" in errors
    assert "services/other" in doctor(data)


def test_an_alias_that_says_nonsense_is_refused_and_the_server_goes_on(project: Path, data: Path) -> None:
    server = Server(project, data)
    path = f"{API}/services/kept/aliases"
    for policy in ("x", 5, ["x"]):
        document: Any = {"aliasName": "a", "versionId": "1", "resolvePolicy": "Content", "routePolicy": policy}

        answer = server.manage("POST", path, document)

        assert (answer.status, answer.json["ErrorCode"]) == (400, "InvalidArgument")
        assert "routePolicy" in answer.json["ErrorMessage"]

    assert server.manage("POST", path, {"aliasName": "a", "versionId": "1"}).status == 200
    assert server.manage("POST", f"{API}/services", {"serviceName": "later"}).status == 200
    assert server.stop()[0] == 0


@pytest.mark.parametrize("is_there", [False, True])
def test_a_store_that_is_gone_is_told_and_nothing_is_removed_until_a_person_says_so(
    project: Path, data: Path, is_there: bool
) -> None:
    blobs = {path.name for path in (data / "blobs").iterdir()}
    for file in data.glob("store.sqlite*"):
        file.unlink()
    if is_there:
        (data / "store.sqlite").touch()
    assert "store.sqlite was missing or empty" in examined(data)

    for _ in range(2):  # later starts find a store again: their own
        server = Server(project, data, PYFC_SWEEP_AFTER="0.01")
        assert "store.sqlite was missing or empty" in notes(server)
        assert "kept/f" in notes(server)
        make(server, "new")
        assert server.manage("DELETE", f"{API}/services/new/functions/f").status == 204
        assert server.manage("DELETE", f"{API}/services/new").status == 204
        assert server.stop()[0] == 0
        assert blobs <= {path.name for path in (data / "blobs").iterdir()}
    assert "store.sqlite was missing or empty" in examined(data)

    (data / "store-was-lost").unlink()
    server = Server(project, data, PYFC_SWEEP_AFTER="0.01")
    assert "missing or empty" not in notes(server)
    wait_until(lambda: not any((data / "blobs").iterdir()), "the code of before to be removed")
    assert server.stop()[0] == 0


def test_a_queue_that_is_gone_is_told(project: Path, data: Path) -> None:
    for file in data.glob("queue.sqlite*"):
        file.unlink()

    server = Server(project, data)

    assert "queue.sqlite is missing" in notes(server)
    assert server.stop()[0] == 0


def test_a_new_data_folder_is_nothing_to_warn_of(project: Path, tmp_path: Path) -> None:
    for _ in range(2):
        server = Server(project, tmp_path / "new")
        assert "warning" not in notes(server)
        assert server.stop()[0] == 0
    assert not examined(tmp_path / "new")


def examined(data: Path) -> str:
    """What `pyfc doctor` says of a data folder, without the rest."""
    return "\n".join(stored.examine(data))


@pytest.fixture
def silent_registry() -> Iterator[socket.socket]:
    """A package registry that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_is_stuck_can_be_stopped(
    project: Path, tmp_path: Path, silent_registry: socket.socket, number: int
) -> None:
    (project / "requirements.txt").write_text("some-package==1.0\n")
    index = f"http://127.0.0.1:{silent_registry.getsockname()[1]}/simple"
    server = subprocess.Popen(
        [sys.executable, "-m", "pyfc", "serve", str(project), "--port", "0", "--data-dir", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index, "UV_INDEX_URL": index,
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        },
    )  # fmt: skip
    try:
        with silent_registry.accept()[0]:
            began = time.monotonic()
            server.send_signal(number)

            assert server.wait(20) == 0
        assert time.monotonic() - began < 10
    finally:
        server.kill()
        server.communicate()


def layered(server: Server) -> None:
    """Function `layered/f`, which answers with what its two layers say."""
    arns = []
    for name in ("one", "two"):
        code = {"zipFile": zipped({f"python/{name}.py": f"NAME = '{name}'\n"})}
        arns.append(server.manage("POST", f"{API}/layers/{name}/versions", {"code": code}).json["arnV2"])
    assert server.manage("POST", f"{API}/services", {"serviceName": "layered"}).status == 200
    text = "import one, two\ndef handler(event, context):\n    return one.NAME + two.NAME\n"
    function = {"functionName": "f", "runtime": "python3", "handler": "index.handler", "layers": arns}
    function["code"] = {"zipFile": zipped({"index.py": text})}
    answer = server.manage("POST", f"{API}/services/layered/functions", function)
    assert answer.status == 200, answer.body


def remove(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)


def test_code_that_is_gone_is_unpacked_again_when_it_is_needed(project: Path, data: Path) -> None:
    server = Server(project, data)
    layered(server)
    for folder in (data / "code").iterdir():
        remove(folder)
    assert "it is unpacked again" in examined(data)

    assert server.invoke("kept/f", b"x").body == b"x"
    assert server.invoke("layered/f").body == b"onetwo"

    status, errors = server.stop()
    assert status == 0
    assert "unpacked again" in errors
    for folder in (data / "code").iterdir():
        remove(folder)
    server = Server(project, data)
    assert server.invoke("layered/f").body == b"onetwo"
    assert server.invoke("default/own", b"x").body == b"x"
    assert server.stop()[0] == 0


def test_code_that_is_gone_with_what_it_was_made_of_is_named(project: Path, data: Path) -> None:
    server = Server(project, data)
    for folder in ("code", "blobs"):
        for path in (data / folder).iterdir():
            remove(path) if path.is_dir() else path.unlink()

    answer = server.invoke("kept/f", b"x")

    assert answer.status == 503
    assert f"{data / 'code'}" in answer.json["ErrorMessage"]
    assert "deploy it again" in examined(data)
    update = server.manage("PUT", f"{API}/services/kept/functions/f", {"code": CODE})
    assert update.status == 200
    assert server.invoke("kept/f", b"x").body == b"x"
    assert server.stop()[0] == 0


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_data_folder_that_is_removed_under_a_running_server_is_noticed_and_said(
    project: Path, data: Path, is_replaced: bool
) -> None:
    server = Server(project, data)
    data.rename(data.with_name("moved"))
    if is_replaced:
        shutil.copytree(data.with_name("moved"), data, symlinks=True)

    refused = server.manage("POST", f"{API}/services", {"serviceName": "lost"}) if is_replaced else None
    wait_until(lambda: server.request("GET", "/healthz").status == 503, "the server to notice")
    promised = server.invoke("default/own", b"x", X_Fc_Invocation_Type="Async")

    assert refused is None or (refused.status, "removed or replaced" in refused.json["ErrorMessage"]) == (503, True)
    assert promised.status == 503
    status, errors = server.stop()
    assert status == 0
    assert f"the data folder {data} was removed or replaced" in errors


def test_a_stop_that_is_stuck_itself_ends_the_process_all_the_same() -> None:
    text = "import threading; from pyfc.cli import serve; serve._end_in(0.1); threading.Event().wait()"

    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=20, check=False)

    assert ended.returncode == 1
    assert "stopping has taken more than" in ended.stderr
