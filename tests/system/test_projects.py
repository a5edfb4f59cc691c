"""Projects that somebody else has written: nothing leads out of them, and no odd file in them stops anything."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import Server, pyfc, template

SOURCE = "import os\ndef handler(event, context):\n    return sorted(os.listdir('.'))\n"
ODD = {
    "pipe": "is a named pipe", "socket": "is a socket", "dangling": "leads nowhere", "device": "is a device",
    "circle": "is a link in a circle", "up": "is a link to a folder that contains it",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of one function, beside which a key lies."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    folder = tmp_path / "project"
    (folder / "one").mkdir(parents=True)
    (folder / "one" / "index.py").write_text(SOURCE)
    (folder / "template.yml").write_text(template({"one": {"CodeUri": "./one"}}))
    return folder


def make_odd(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    (folder / "dangling").symlink_to("nowhere")
    (folder / "circle").symlink_to("circle")
    (folder / "up").symlink_to("../one")
    (folder / "device").symlink_to("/dev/null")


def words(command: str, folder: Path, server: Server | None) -> list[str]:
    endpoint = ["--endpoint", server.endpoint] if server is not None else []
    return {
        "serve": ["serve", str(folder), "--port", "0", "--data-dir", str(folder.parent / "data")],
        "dev": ["dev", str(folder), "--port", "0", "--data-dir", str(folder.parent / "data")],
        "deploy": ["deploy", str(folder), *endpoint],
        "layers": ["layers", "shared", "--publish", str(folder / "one"), *endpoint],
        "build": ["build", str(folder)],
        "local": ["local", "invoke", "one", "-t", str(folder / "template.yml")],
        "local start": ["local", "start", "-t", str(folder / "template.yml"), "--port", "0"],
    }[command]


@pytest.mark.parametrize("command", ["serve", "dev", "deploy", "layers", "build", "local", "local start"])
def test_a_link_out_of_the_project_is_refused_by_every_command_that_reads_it(
    serve: Callable[..., Server], folder: Path, command: str
) -> None:
    (folder / "one" / "keys.py").symlink_to(folder.parent / "secret" / "key")
    server = serve({}, "--auth", "off") if command in {"deploy", "layers"} else None

    status, said, complaint = pyfc(*words(command, folder, server))

    assert status == 2, said + complaint
    assert f"keys.py leads out of the project {folder if command != 'layers' else folder / 'one'}: " in complaint
    assert "--allow-outside" in complaint
    assert "Traceback" not in complaint
    if command != "layers":
        assert f"{folder}/template.yml:1: " in complaint
    if server is not None:
        assert server.functions() == []


@pytest.mark.parametrize("command", ["deploy", "layers", "build", "local"])
def test_odd_files_are_named_and_left_out_by_every_command(
    serve: Callable[..., Server], folder: Path, command: str
) -> None:
    make_odd(folder / "one")
    server = serve({}, "--auth", "off") if command in {"deploy", "layers"} else None

    status, said, complaint = pyfc(*words(command, folder, server), "--allow-outside")

    assert status == 0, said + complaint
    for name, why in ODD.items():
        assert complaint.count(f"warning: {folder}/one/{name} {why}: it is left out") == 1
    if command == "local":
        assert said == '["index.py"]\n'
    if command == "deploy":
        assert server is not None
        assert server.invoke("demo/one").json == ["index.py"]


def test_odd_files_are_named_once_when_serving_begins(folder: Path, tmp_path: Path) -> None:
    make_odd(folder / "one")
    server = Server(folder, tmp_path / "data", "--allow-outside")
    try:
        assert server.invoke("demo/one").json == ["index.py"]
        for name, why in ODD.items():
            assert server.ready["notes"].count(f"warning: {folder}/one/{name} {why}: it is left out") == 1
    finally:
        assert server.stop() == (0, "")


def test_what_may_lead_outside_is_served_for_this_start(folder: Path, tmp_path: Path) -> None:
    (folder / "one" / "keys").symlink_to("../../secret")
    server = Server(folder, tmp_path / "data", "--allow-outside")
    try:
        assert server.invoke("demo/one").json == ["index.py", "keys"]
    finally:
        assert server.stop() == (0, "")


def test_init_makes_nothing_where_something_is(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "dangling").symlink_to("elsewhere/new")
    (tmp_path / "file").touch()
    (tmp_path / "full" / "x").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "dangling", "file", "full", "pipe", "file/below", "x" * 300):
        status, said, complaint = pyfc("init", name, folder=tmp_path)
        assert (status in {2, 3}, said) == (True, ""), complaint
        assert complaint.startswith("pyfc: "), complaint
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert pyfc("init", ".", folder=tmp_path / "elsewhere")[0] == 0
    assert (tmp_path / "elsewhere" / "template.yml").is_file()


def test_an_event_is_a_file_a_pipe_or_text_and_not_endless(folder: Path) -> None:
    (folder / "one" / "index.py").write_text("def handler(event, context):\n    return event\n")
    (folder / "event").write_text("from a file")
    local = ["local", "invoke", "one", "-t", str(folder / "template.yml")]

    assert pyfc(*local, "-e", str(folder / "event"))[:2] == (0, "from a file\n")
    assert pyfc(*local, "-e", "\u4e00" * 150)[:2] == (0, "\u4e00" * 150 + "\n")
    assert pyfc(*local, "-e", "x" * 5000)[:2] == (0, "x" * 5000 + "\n")
    reader = 'exec "$@" -f <(printf "from a pipe")'
    done = subprocess.run(
        ["bash", "-c", reader, "bash", sys.executable, "-m", "pyfc", *local],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "from a pipe\n"), done.stderr
    for options, why in (
        (["-f", str(folder)], "Is a directory"),
        (["-f", str(folder / "gone")], "No such file"),
        (["-f", "/dev/zero"], "more than 33554432 bytes"),
    ):
        status, said, complaint = pyfc(*local, *options)
        assert (status in {2, 3}, said) == (True, ""), complaint
        assert why in complaint
        assert "Traceback" not in complaint
