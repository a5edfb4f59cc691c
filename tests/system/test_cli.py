"""The command line, as a person and as a script use it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import Server, wait_until

ENDPOINT = "--endpoint"


def pyfc(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "pyfc", *arguments], input=stdin, capture_output=True, timeout=30)


def test_invoke_prints_the_result_alone(cases: Server, tmp_path: Path) -> None:
    event = tmp_path / "event"
    event.write_bytes(b"\xffbytes")

    assert pyfc("invoke", "events/echo", "-e", "hi", ENDPOINT, cases.endpoint).stdout == b"hi"
    assert pyfc("invoke", "events/echo.LATEST", "-f", str(event), ENDPOINT, cases.endpoint).stdout == b"\xffbytes"
    assert pyfc("invoke", "events/echo", ENDPOINT, cases.endpoint, stdin=b"piped").stdout == b"piped"
    assert pyfc("invoke", "events/echo", "-f", "-", ENDPOINT, cases.endpoint, stdin=b"dash").stdout == b"dash"


def test_the_exit_status_of_invoke_tells_who_failed(cases: Server) -> None:
    fine = pyfc("invoke", "events/echo", "-e", "x", ENDPOINT, cases.endpoint)
    fault = pyfc("invoke", "events/raises", "-e", "x", ENDPOINT, cases.endpoint)
    usage = pyfc("invoke", "echo")
    missing = pyfc("invoke", "events/nope", "-e", "x", ENDPOINT, cases.endpoint)
    nobody = pyfc("invoke", "events/echo", "-e", "x", ENDPOINT, "http://127.0.0.1:1")

    assert [each.returncode for each in (fine, fault, usage, missing, nobody)] == [0, 1, 2, 3, 3]
    assert json.loads(fault.stdout)["errorMessage"] == "something is wrong"
    assert b"UnhandledInvocationError" in fault.stderr
    assert missing.stderr == b"pyfc: function 'nope' does not exist in service 'events'\n"
    assert b"no pyfc answers at http://127.0.0.1:1" in nobody.stderr
    assert b"pyfc serve DIR" in nobody.stderr
    assert not fine.stderr
    assert b"Traceback" not in b"".join(each.stderr for each in (fault, usage, missing, nobody))


def test_invoke_shows_the_log_or_everything_as_json(cases: Server) -> None:
    logged = pyfc("invoke", "events/prints", "-e", "", "--log", ENDPOINT, cases.endpoint)
    everything = pyfc("invoke", "events/raises", "-e", "", "--json", ENDPOINT, cases.endpoint)

    assert logged.stdout == b"null"
    assert b"to stdout" in logged.stderr
    shown = json.loads(everything.stdout)
    assert shown["errorType"] == "UnhandledInvocationError"
    assert "FC Invoke End" in shown["log"]
    assert everything.returncode == 1


def test_list_shows_a_table_or_json(cases: Server) -> None:
    table = pyfc("list", ENDPOINT, cases.endpoint).stdout.decode()
    rows = json.loads(pyfc("list", "--json", ENDPOINT, cases.endpoint).stdout)

    assert table.splitlines()[0].split() == [
        "FUNCTION",
        "RUNTIME",
        "MEMORY",
        "TIMEOUT",
        "CONCURRENCY",
        "TRIGGERS",
        "URL",
    ]
    assert re.search(rf"^web/environ +python3 +128 MB +30 s +1 +http +{cases.endpoint}/2016-08-15/proxy/web/environ/$",
                     table, re.MULTILINE)  # fmt: skip
    assert re.search(r"^other/java .*\(not supported yet\)$", table, re.MULTILINE)
    assert {"service", "function", "url", "timeout"} <= set(rows[0])


def test_init_makes_a_folder_that_serve_serves(tmp_path: Path) -> None:
    made = pyfc("init", str(tmp_path / "my-app"))
    again = pyfc("init", str(tmp_path / "my-app"))

    assert made.returncode == 0
    assert f"pyfc serve {tmp_path / 'my-app'}" in made.stdout.decode()
    assert again.returncode == 2
    assert b"is not empty" in again.stderr
    server = Server(tmp_path / "my-app", tmp_path / "data")
    try:
        assert server.invoke("demo/hello", b'{"name": "ada"}').json["greeting"] == "Hello, ada!"
        assert b"/any/path" in server.request("GET", "/2016-08-15/proxy/demo/web/any/path?x=1").body
    finally:
        assert server.stop()[0] == 0


def test_version_and_help_are_there_for_every_command() -> None:
    import pyfc as package

    assert pyfc("--version").stdout.decode().strip() == f"pyfc {package.__version__}"
    assert pyfc().returncode == 2
    for command in ("serve", "invoke", "list", "init"):
        shown = pyfc(command, "--help")
        assert shown.returncode == 0
        assert f"usage: pyfc {command}" in shown.stdout.decode()
        assert command in pyfc("--help").stdout.decode()


def test_serve_shows_a_table_a_ready_line_and_a_line_per_call(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "talks.py").write_text(
        "def handler(event, context):\n    print('\\x1b[31mred')\n    return 1\n"
    )
    command = [sys.executable, "-m", "pyfc", "serve", str(tmp_path / "app"), "--port", "0"]
    with subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "data")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or not lines[-1].startswith("Ready at "):
                lines.append(process.stdout.readline().rstrip("\n"))
            ready = re.fullmatch(r"Ready at (http://127\.0\.0\.1:\d+) in \d+ ms\. Ctrl-C stops\.", lines[-1])
            assert ready is not None
            pyfc("invoke", "default/talks", "-e", "", ENDPOINT, ready[1])
            called = [process.stdout.readline(), process.stdout.readline()]
        finally:
            process.terminate()
            rest, errors = process.communicate(timeout=20)

    assert lines[0].startswith("FUNCTION")
    assert lines[1].startswith("default/talks  python3")
    assert any(line.startswith("sandbox: ") for line in lines)
    assert called[0] == "default/talks | \\x1b[31mred\n"
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3}  default/talks  [0-9a-f-]{36}  cold  200 +[\d.]+ ms +[\d.]+ MB\n", called[1]
    )
    assert "Stopping." in rest
    assert errors == ""
    assert process.returncode == 0


def test_quiet_prints_no_line_per_call(serve: Callable[..., Server]) -> None:
    server = serve({"echo.py": "def handler(event, context):\n    return event\n"}, "--quiet")

    number = server.invoke("default/echo").headers["X-Fc-Request-Id"]

    wait_until(lambda: number in server.log("default", "echo"), "the call in the function's log")
    assert server.records == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"template.yml": "Resources: {}"}, "template.yml:1: the file has no Transform; it is required"),
        ({"template.yml": "a: [1"}, "template.yml:1: this is not YAML"),
        ({"bad-name!.py": "def handler(e, c): pass"}, "bad-name!.py:1: 'bad-name!' can not be the name of a function"),
        ({"f/index.py": "x = 1"}, "f/index.py:1: has no top-level `handler`"),
        ({"f/index.py": "def handler(:"}, "f/index.py:1: is not Python"),
    ],
)
def test_a_mistake_in_the_folder_is_shown_with_its_file_and_line(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        path = tmp_path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    failed = pyfc("serve", str(tmp_path / "app"), "--port", "0", "--data-dir", str(tmp_path / "data"))

    assert failed.returncode == 2
    assert message in failed.stderr.decode()
    assert b"Traceback" not in failed.stderr


def test_what_is_no_folder_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("nope", "file"):
        failed = pyfc("serve", str(tmp_path / name), "--port", "0", "--data-dir", str(tmp_path / "data"))
        told = f"pyfc: {tmp_path / name}: is not a folder; give the folder that holds your functions\n"
        assert (failed.returncode, failed.stderr.decode()) == (2, told)

    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_terminal_gets_plain_readable_text(cases: Server) -> None:
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pyfc", "invoke", "events/echo", "-e", "hi", ENDPOINT, cases.endpoint],
        stdin=other, stdout=other, stderr=other,
    )  # fmt: skip
    process.wait(20)
    os.close(other)
    shown = os.read(main, 1000)
    os.close(main)
    assert shown == b"hi\r\n"
