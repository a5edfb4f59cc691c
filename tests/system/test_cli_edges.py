"""The command line where things go wrong around it: no traceback, ever."""

from __future__ import annotations

import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyfc.cli import COMMANDS, main
from support import DEADLINE, Server, pyfc, wait_until

LOCAL = {"serve", "dev", "build", "local", "event", "init", "config", "keys"}
TALKING = {
    "console": [["--url"], ["--revoke"]],
    "deploy": [["."]],
    "remove": [["s"], ["s/f"], ["--dir", "."]],
    "invoke": [["s/f", "-e", "x"], ["s/f", "-e", "x", "--json"], ["s/f", "-e", "x", "--async"]],
    "events": [[], ["--json"], ["show", "i"], ["retry", "i"], ["retry", "all"], ["drop", "all"], ["export"]],
    "replay": [["i"]],
    "list": [[], ["--json"]],
    "get": [["s"], ["s/f"]],
    "versions": [["s"], ["s", "--publish"]],
    "aliases": [["s"], ["s", "a"], ["s", "a", "1"]],
    "triggers": [["s/f"]],
    "trigger": [["fire", "s/f"], ["fire", "s/f:t", "--wait"], ["fire", "s/f", "--type", "oss"]],
    "oss": [
        ["ls"],
        ["ls", "oss://b"],
        ["mb", "oss://b"],
        ["rm", "oss://b/k"],
        ["cp", "oss://b/k", "k"],
        ["events", "oss://b"],
    ],
    "domains": [[], ["d"], ["d", "/", "s/f"]],
    "layers": [[], ["l"], ["l", "--publish", "."]],
    "provision": [[], ["s/f"], ["s/f", "1"]],
    "logs": [["s/f"], ["s/f", "--json"], ["s/f", "error", "--since", "1h", "--request", "id"]],
    "explain": [["s/f"]],
    "bill": [[], ["--json"], ["--month", "2026-11", "--what-if", "memory=512"]],
    "stats": [[], ["s/f"], ["--json"]],
    "profile": [["i"]],
    "top": [[], ["--json"], ["--once"]],
    "tune": [["s/f"], ["s/f", "-e", "x", "--memory", "128", "--json"]],
    "requests": [[], ["s/f", "--slow"], ["--json"]],
    "why": [["i"], ["i", "--json"]],
    "doctor": [["s/f"]],
}


def _all(value: object, *names: str) -> bytes:
    return json.dumps(dict.fromkeys(names, value)).encode()


_HOSTILE_TEXT = "\x1b]0;x\x07\u202e\npyfc: forged"
ANSWERS: dict[str, tuple[int, bytes]] = {
    "nothing": (200, b""),
    "no JSON": (200, b"\x1b[31m<html>\xff"),
    "null": (200, b"null"),
    "a list": (200, b"[1]"),
    "an empty object": (200, b"{}"),
    "deep": (200, b"[" * 100_000),
    "text where lists are": (200, _all("x", "functions", "events", "layers", "services", "records")),
    "numbers where objects are": (200, _all([1], "functions", "events", "depth", "versions", "records")),
    "nulls everywhere": (200, _all(None, "serviceName", "phases", "fault", "depth", "events", "endTime")),
    "an error without a code": (500, b"{}"),
    "an error that is none": (404, b'["ErrorCode"]'),
    "hostile text": (404, json.dumps({"ErrorCode": "\x1b[2J", "ErrorMessage": _HOSTILE_TEXT}).encode()),
}


class _Hostile(http.server.BaseHTTPRequestHandler):
    answer = (200, b"")

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, body = self.answer
        self.send_response(status)
        for name in ("X-Fc-Invocation-Duration", "X-Fc-Max-Memory-Usage", "X-Fc-Log-Result"):
            self.send_header(name, "soon")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hostile)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a function, which commands are given as `.`; nothing of the user's own is looked at."""
    (tmp_path / "hello.py").write_text("def handler(event, context):\n    return event\n")
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path


def test_every_command_that_talks_to_a_server_is_tried() -> None:
    assert set(TALKING) | LOCAL == set(COMMANDS)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("command", TALKING)
@pytest.mark.usefixtures("project")
def test_whatever_a_server_answers_a_command_ends_with_a_sentence(
    command: str, answer: str, hostile: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_Hostile, "answer", ANSWERS[answer])

    for words in TALKING[command]:
        status = main([command, *words, "--endpoint", hostile])
        out, errors = capsys.readouterr()

        assert status in {0, 1, 2, 3}
        assert "Traceback" not in errors
        assert "\npyfc: forged" not in errors
        assert all(each.isprintable() or each in "\n\t" for each in errors)
        assert all(each.isprintable() or each in "\n\t" for each in out) or command == "invoke"
        if status > 1:
            assert errors.startswith("pyfc: ") or "\npyfc: " in errors


@pytest.mark.parametrize("command", TALKING)
@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:1", "http://[::1", "http://a:99999", "http://\x1b[2J", "http://" + "a" * 300, "ftp://a"],
)
@pytest.mark.usefixtures("project")
def test_without_a_server_a_command_says_so(command: str, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, *TALKING[command][0], "--endpoint", endpoint]) in {2, 3}

    errors = capsys.readouterr().err
    assert errors.startswith("pyfc: ")
    assert "unexpected" not in errors
    assert all(each.isprintable() or each in "\n\t" for each in errors)


@pytest.mark.parametrize(
    "words",
    [
        ["invoke", "s/f", "-e", "x", "--async", "--id", "a\nb"],
        ["invoke", "s/f", "-f", "missing"],
        ["invoke", "s/f", "-f", "."],
        ["events", "export", "-o", "/nowhere/at/all"],
        ["build", "/nowhere"],
        ["serve", "/nowhere"],
        ["local", "invoke", "nobody"],
        ["logs", "s/f", "-n", "-5"],
        ["logs", "s/f", "--since", "soon"],
        ["invoke", "s/f", "-e", "x", "--async", "--json"],
        ["aliases", "s", "--delete"],
        ["aliases", "s", "a", "1", "--weight", "2=much"],
        ["domains", "d", "/"],
        ["domains", "--delete"],
        ["keys", "list", "--data-dir", "/nowhere"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("project")
def test_what_can_not_be_done_is_told(
    words: list[str], hostile: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_Hostile, "answer", (200, b'{"events": [], "depth": {}}'))
    monkeypatch.setenv("PYFC_ENDPOINT", hostile)

    assert main(words) in {2, 3}

    errors = capsys.readouterr().err
    assert errors.startswith("pyfc: ")
    assert "unexpected" not in errors


def test_the_traceback_is_there_for_who_asks(
    hostile: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_Hostile, "answer", (200, b'{"functions": [{}]}'))

    assert main(["list", "--endpoint", hostile]) == 3
    assert "PYFC_TRACEBACK=1" in capsys.readouterr().err
    monkeypatch.setenv("PYFC_TRACEBACK", "1")
    assert main(["list", "--endpoint", hostile]) == 3
    assert "Traceback" in capsys.readouterr().err


def shell(text: str) -> subprocess.CompletedProcess[str]:
    pyfc = f"{sys.executable} -m pyfc"
    return subprocess.run(
        ["bash", "-c", text.replace("pyfc", pyfc, 1)], capture_output=True, text=True, timeout=DEADLINE, check=False
    )


@pytest.mark.parametrize(
    "text",
    [
        "pyfc event oss | true",
        "pyfc --help | true",
        "pyfc serve --help | true",
        "pyfc event oss >&-",
        "pyfc event oss >/dev/full",
        "pyfc event oss 2>&-",
        "pyfc invoke s/f <&- --endpoint http://127.0.0.1:1",
        "pyfc invoke s/f --endpoint http://127.0.0.1:1 2>&- </dev/null",
        "pyfc list --endpoint http://127.0.0.1:1 2>/dev/full",
    ],
)
def test_without_somebody_who_reads_or_types_no_command_breaks(text: str) -> None:
    if "/dev/full" in text and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    done = shell(f"{text}; exit ${{PIPESTATUS[0]}}")

    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode in {0, 3, 141}
    assert ("No space left" in done.stderr) == (">/dev/full" in text and "2>" not in text)


def test_options_that_a_command_does_not_have_are_told_with_those_that_it_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["stats", "s/f", "--bogus", "x"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: pyfc stats [-h] [--since TIME]")
    assert told.endswith("pyfc stats: error: unrecognized arguments: --bogus x\n")
    assert main(["--bogus"]) == 2
    assert capsys.readouterr().err.endswith("pyfc: error: unrecognized arguments: --bogus\n")


@pytest.mark.parametrize("words", [["invoke", "s/f", "-e", "x"], ["list"], ["logs", "-f", "s/f"]], ids=" ".join)
def test_ctrl_c_ends_a_command_that_waits_without_a_word(words: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [sys.executable, "-m", "pyfc", *words, "--endpoint", f"http://127.0.0.1:{silent.getsockname()[1]}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            silent.settimeout(DEADLINE)
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                out, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, out, errors) == (130, "", "")


def test_what_a_function_wrote_reaches_no_terminal_as_it_is(serve: Callable[..., Server]) -> None:
    text = "\\x1b[31mred\\u202e\\rdefault/other | forged\\n2026-01-01T00:00:00.000Z  number  200"
    server = serve({"wrote.py": f"def handler(event, context):\n    print('{text}')\n"})
    number = server.invoke("default/wrote").headers["X-Fc-Request-Id"]
    wait_until(lambda: number in server.log("default", "wrote"), "its log")

    command = [sys.executable, "-m", "pyfc", "logs", "default/wrote", "--endpoint", server.endpoint]
    head, *lines = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE, check=True
    ).stdout.splitlines()

    assert number in head
    assert lines == [
        "default/wrote | \\x1b[31mred\\u202e",
        "default/wrote |   default/other | forged",
        "default/wrote | 2026-01-01T00:00:00.000Z  number  200",
    ]


def test_keys_are_made_and_revoked_as_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> Any:
        assert main(["keys", *words, "--data-dir", str(tmp_path), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    made = run("create", "mine")
    assert made.keys() == {"id", "created", "note", "scope", "secret"}
    assert [(each["id"], each["note"]) for each in run("list")] == [(made["id"], "mine")]
    assert run("revoke", made["id"]) == {"id": made["id"]}
    assert run("list") == []


def test_a_first_start_that_fails_tells_how_its_key_is_shown(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text("Transform: 'Aliyun::Serverless-2018-04-03'\nResources: 7\n")

    status, _, told = pyfc("serve", str(tmp_path), "--data-dir", str(tmp_path / "data"), "--port", "0")

    assert status in {2, 3}
    assert f"`pyfc keys list --secrets --data-dir {tmp_path}/data` does" in told


def test_the_types_of_triggers_stand_in_the_help_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["trigger", "--help"]) == 0

    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
