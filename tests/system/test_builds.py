"""The server answers while what functions need is installed beside it; calls of those functions wait for that."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from test_build import wheel, write

from support import Response, Server, pyfc, template, wait_until

HANDLER = "import greeting\ndef handler(event, context):\n    return greeting.text()\n"
PLAIN = "def handler(event, context):\n    return 'plain'\n"
TURN = "it waits for its turn"


class Index:
    """An index of Python packages that answers when it is let."""

    def __init__(self, wheels: Path) -> None:
        self.is_open = threading.Event()
        self.asked: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                index.is_open.wait(60)
                name = self.path.rstrip("/").rpartition("/")[2]
                file = wheels / name
                links = "".join(f'<a href="/{each.name}">{each.name}</a>' for each in wheels.glob(f"{name}-*"))
                body = file.read_bytes() if file.is_file() else links.encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "application/octet-stream" if file.is_file() else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # of an installer that was ended
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.is_open.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    wheel(tmp_path / "wheels", "greeting", "1.0", "hello of 1.0")
    found = Index(tmp_path / "wheels")
    monkeypatch.setenv("PIP_INDEX_URL", found.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield found
    found.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A function that needs a package, and one that needs nothing."""
    files = {"f/index.py": HANDLER, "f/requirements.txt": "greeting\n", "g/index.py": PLAIN}
    return write(tmp_path / "app", files)


def building(server: Server, name: str = "f") -> str:
    """What is told of the installation for a function; '' if there is none."""
    text: Any = next(each.get("building", "") for each in server.functions() if each["function"] == name)
    return str(text)


def test_the_server_answers_at_once_and_a_call_waits_for_what_its_function_needs(index: Index, folder: Path) -> None:
    server = Server(folder, folder / "data")
    try:
        assert "default/f: what it needs is being installed, and its calls wait" in server.ready["notes"]
        assert server.invoke("default/g").body == b"plain"
        with ThreadPoolExecutor() as threads:
            calls = [threads.submit(server.invoke, "default/f") for _ in range(3)]
            wait_until(lambda: index.asked, "pip to ask")
            wait_until(lambda: building(server) not in {"", TURN}, "its line")
            told = pyfc("list", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))
            assert re.search(r"default/f: what it needs is being installed: .+ \(\d+ s\)\n", told[1]), told
            [begun, *_] = [each for each in server.records if "building" in each]
            assert (begun["building"], begun["seconds"]) == (["default/f"], 0.0)
            assert not any(call.done() for call in calls)
            index.is_open.set()
            assert [call.result().body for call in calls] == [b"hello of 1.0"] * 3
        assert building(server) == ""
        told = pyfc("list", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))
        assert re.search(r"default/f: what it needs was installed in \d+\.\d s\n", told[1]), told
        assert [each["built"] for each in server.records if "built" in each] == [["default/f"]]
    finally:
        assert server.stop() == (0, "")


def test_a_call_that_has_waited_long_enough_is_told_what_the_installer_said_last(index: Index, folder: Path) -> None:
    server = Server(folder, folder / "data", PYFC_BUILD_WAIT="2")
    try:
        wait_until(lambda: building(server) not in {"", TURN}, "its line")
        answer = server.invoke("default/f")

        assert (answer.status, answer.json["ErrorCode"]) == (412, "FunctionNotStarted")
        message = answer.json["ErrorMessage"]
        assert message.startswith("the packages of function 'f' are still being installed after ")
        assert message.partition(": ")[2] not in {"", TURN}
        index.is_open.set()
        wait_until(lambda: not building(server), "the end")
        assert server.invoke("default/f").body == b"hello of 1.0"
    finally:
        assert server.stop()[0] == 0


def test_what_can_not_be_had_is_told_and_its_calls_wait_no_longer(index: Index, folder: Path) -> None:
    (folder / "f/requirements.txt").write_text("nowhere-to-be-found\n")
    index.is_open.set()
    server = Server(folder, folder / "data")
    try:
        assert "No module named 'greeting'" in server.invoke("default/f").json["errorMessage"]
        told = wait_until(lambda: [each["warning"] for each in server.records if "warning" in each], "the warning")
        assert "f/requirements.txt: pip can not install 'nowhere-to-be-found'" in told[0]
        assert "the function has to do without" in told[0]
    finally:
        assert server.stop() == (0, "")


def test_a_stop_does_not_wait_for_installers_and_who_waits_is_told(index: Index, folder: Path) -> None:
    server = Server(folder, folder / "data")
    with ThreadPoolExecutor() as threads:
        call = threads.submit(server.invoke, "default/f")
        wait_until(lambda: index.asked, "pip to ask")
        wait_until(lambda: server.invoke("default/g").body == b"plain", "an answer")

        assert server.stop()[0] == 0
        answer: Response = call.result()
    assert (answer.status, answer.json["ErrorMessage"]) == (503, "the server stops")


@pytest.mark.long
def test_what_is_saved_while_its_packages_are_installed_is_served_with_them(index: Index, folder: Path) -> None:
    server = Server(folder, folder / "data", PYFC_RELOAD="1")
    try:
        with ThreadPoolExecutor() as threads:
            call = threads.submit(server.invoke, "default/f")
            wait_until(lambda: index.asked, "pip to ask")
            (folder / "f/index.py").write_text(HANDLER.replace("greeting.text()", "greeting.text().upper()"))
            (folder / "g/index.py").write_text(PLAIN.replace("plain", "changed"))
            wait_until(lambda: server.invoke("default/g").body == b"changed", "the other function's change")
            index.is_open.set()
            assert call.result().body == b"HELLO OF 1.0"
    finally:
        assert server.stop()[0] == 0


@pytest.mark.long
def test_a_second_start_finds_what_was_built(index: Index, folder: Path) -> None:
    index.is_open.set()
    for count in (1, 0):
        server = Server(folder, folder / "data")
        try:
            assert server.invoke("default/f").body == b"hello of 1.0"
            assert sum("is being installed" in note for note in server.ready["notes"]) == count
        finally:
            assert server.stop()[0] == 0


def test_a_call_waits_for_what_a_function_needs_whose_code_is_one_file(index: Index, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "oss2", "2.19.1", "hello of oss2")
    declared = template({"f": {"CodeUri": "code/index.py"}, "g": {"CodeUri": "g/"}})
    code = HANDLER.replace("greeting", "oss2")
    folder = write(tmp_path / "app", {"code/index.py": code, "g/index.py": PLAIN, "template.yml": declared})
    server = Server(folder, folder / "data")
    try:
        assert server.invoke("demo/g").body == b"plain"
        assert "buildingSeconds" in next(each for each in server.functions() if each["function"] == "f")
        with ThreadPoolExecutor() as threads:
            call = threads.submit(server.invoke, "demo/f")
            wait_until(lambda: index.asked, "pip to ask")
            assert not call.done()
            index.is_open.set()
            assert call.result(60).body == b"hello of oss2"
    finally:
        assert server.stop()[0] == 0
