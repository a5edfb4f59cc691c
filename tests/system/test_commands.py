"""Commands of installed packages, and interpreters by their names, as programs of custom runtimes start them."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyfc.build.commands import make_portable
from support import OWN_MODE_FIRST, Server, impossible, server_in_mode, template

SERVER = """
import json, os, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        command = self.rfile.read(int(self.headers["content-length"])).decode()
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write((done.stdout + done.stderr).encode())

    def log_message(self, *_):
        pass

def main():
    ThreadingHTTPServer(("0.0.0.0", 9000), Handler).serve_forever()
"""
CUSTOM = {"Runtime": "custom", "Handler": "index.handler", "Timeout": 10}


def wheel(folder: Path) -> None:
    """A package `ours` with a command of the same name, which serves."""
    folder.mkdir()
    info = "ours-1.0.dist-info"
    files = {
        "ours.py": SERVER,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nours = ours:main\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / "ours-1.0-py3-none-any.whl", "w") as archive:
        for path, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, content)


@pytest.fixture(scope="module", params=OWN_MODE_FIRST)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if why := impossible(request.param):
        pytest.skip(why)
    scratch = tmp_path_factory.mktemp("commands")
    wheel(scratch / "wheels")
    modules = scratch / "project/tool/node_modules"
    (modules / ".bin").mkdir(parents=True)
    (modules / "tool/lib").mkdir(parents=True)
    (modules / ".bin/a tool").symlink_to("../tool/lib/it's one.js")
    (modules / "tool/lib/it's one.js").write_text(
        "#!/usr/bin/env node\nconsole.log(require('../text'), process.argv[2]);\n"
    )
    (modules / "tool/lib/it's one.js").chmod(0o755)
    (modules / "tool/text.js").write_text("module.exports = 'from its package';\n")
    functions: dict[str, Any] = {
        "command": {**CUSTOM, "CodeUri": "./command", "CustomRuntimeConfig": {"Command": ["ours"]}},
        "elsewhere": {
            **CUSTOM,
            "CodeUri": "./command",
            "CustomRuntimeConfig": {"Command": ["ours"]},
            "EnvironmentVariables": {"PYTHONPATH": "/code/python"},
        },
        "tool": {**CUSTOM, "CodeUri": "./tool"},
        "absent": {**CUSTOM, "CodeUri": "./absent"},
    }
    files = {
        "template.yml": template(functions, "own"),
        "command/requirements.txt": "ours\n",
        "tool/bootstrap": f"#!/usr/bin/env python\n{SERVER}\nmain()\n",
        "absent/bootstrap": "#!/bin/bash\n# it serves\nexport PORT=9000\ncd /code\nno-such-server -c conf.py it:app\n",
    }
    given = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(scratch / "wheels"), "XDG_CACHE_HOME": ""}
    serving = server_in_mode(request.param, scratch, files, **given)
    yield serving
    assert serving.stop()[0] == 0


def test_a_command_of_an_installed_package_starts_a_function(server: Server) -> None:
    answer = server.invoke("own/command", b"which ours; head -1 $(which ours)")

    assert answer.status == 200, answer
    place, first = answer.body.decode().splitlines()
    assert place.endswith("/bin/ours")
    assert first == "#!/usr/bin/env python3"


def test_packages_are_found_where_a_function_names_the_folder_that_a_tool_of_fcs_puts_them_into(server: Server) -> None:
    answer = server.invoke("own/elsewhere", b"echo $PYTHONPATH")

    assert answer.status == 200, answer.body
    declared, code = answer.body.decode().strip().split(":")
    assert declared == "/code/python"
    assert code == server.invoke("own/command", b"echo $PYTHONPATH").body.decode().strip()


def test_python_has_both_of_its_names_and_is_that_which_packages_were_built_for(server: Server) -> None:
    ask = " -c 'import sys; print(sys.version_info[:2], sys.prefix)'"
    found = [server.invoke("own/command", (name + ask).encode()).body.decode() for name in ("python", "python3")]

    assert found[0] == found[1]
    assert str(tuple(map(int, sys.version_info[:2]))) in found[0]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_a_command_of_npms_finds_its_package_by_its_name_and_by_its_path(server: Server) -> None:
    for command in ("'a tool' x", "node 'node_modules/.bin/a tool' x"):
        assert server.invoke("own/tool", command.encode()).body == b"from its package x\n"


def test_a_script_whose_program_is_not_there_names_it(server: Server) -> None:
    answer = server.invoke("own/absent")

    assert (answer.status, answer.json["ErrorCode"]) == (412, "CAExited")
    reason, _, log = answer.json["ErrorMessage"].partition("\nLogs:\n")
    assert reason.endswith("exited with status 127 before it listened: no-such-server is not on PATH")
    assert "no-such-server" in log


LONG = "#!/bin/sh\n'''exec' '/a/long path/python3.11' \"$0\" \"$@\"\n' '''\nimport sys\n"


@pytest.mark.parametrize("text", ["#!/home/me/python3.11\nimport sys\n", "#!/x/pypy3\nimport sys\n", LONG])
def test_a_first_line_with_an_interpreter_of_this_machine_becomes_a_portable_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/it").write_text(text)

    make_portable(tmp_path)

    assert (tmp_path / "bin/it").read_text() == "#!/usr/bin/env python3\nimport sys\n"


@pytest.mark.parametrize(
    "data", [b"#!/bin/sh\npython3 x\n", b"\x7fELF\n#!/x/python3\n", b"", b"#!/usr/bin/env python3\n"]
)
def test_other_commands_stay_as_they_are(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/it").write_bytes(data)
    (tmp_path / "bin/link").symlink_to("it")

    make_portable(tmp_path)

    assert (tmp_path / "bin/it").read_bytes() == data
