"""The commands of the README and of the guides do what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from support import Server

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
GUIDES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "guides").glob("*.md"))}
ELSEWHERE = ("python3 -m venv", ". .venv/", "pip install", "pyfc dev ", "pyfc serve ")
"""Installs, or serves, which the fixture does."""
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """What the README's first line serves."""
    folder = re.search(r"pyfc serve (\S+)$", COMMANDS[0])
    assert folder is not None
    started = Server(ROOT / folder[1], tmp_path_factory.mktemp("readme"))
    yield started
    assert started.stop()[0] == 0


def run(command: str, server: Server, folder: Path) -> subprocess.CompletedProcess[str]:
    command = command.replace(".venv/bin/pyfc", f"{shlex.quote(sys.executable)} -m pyfc")
    command = command.replace("http://127.0.0.1:8000", server.endpoint)
    key = Keys(server.data_dir).all()[0]
    names = {"PYFC_ACCESS_KEY_ID": key.id, "PYFC_ACCESS_KEY_SECRET": key.secret}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=folder,
        env={"PYFC_ENDPOINT": server.endpoint, "PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder), **names},
    )  # fmt: skip


def test_the_readme_begins_with_serving_and_has_one_line_that_runs_the_tests() -> None:
    assert COMMANDS[0] == (
        "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/pyfc serve runtimes/python/template"
    )
    assert len([line for line in COMMANDS if "-m pytest" in line]) == 1


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("curl ") or "pyfc invoke" in line])
def test_a_call_in_the_readme_is_answered(server: Server, tmp_path: Path, command: str) -> None:
    done = run(command, server, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "Hello, " in done.stdout or "/any/path" in done.stdout


def test_the_other_commands_of_the_readme_work(server: Server, tmp_path: Path) -> None:
    [listing] = [line for line in COMMANDS if line.endswith("pyfc list")]
    [init] = [line for line in COMMANDS if "pyfc init" in line]

    assert "demo/hello" in run(listing, server, tmp_path).stdout
    made = run(init.partition(" && ")[0], server, tmp_path)
    assert made.returncode == 0
    assert (tmp_path / "my-app" / "template.yml").exists()
    assert init.partition(" && ")[2] == ".venv/bin/pyfc dev my-app/"


@pytest.mark.parametrize("name", [name for name, text in GUIDES.items() if "```sh" in text])
def test_the_commands_of_a_guide_work_in_their_order(server: Server, tmp_path: Path, name: str) -> None:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", GUIDES[name], re.DOTALL) for line in block.splitlines()]
    assert run("pyfc init my-app", server, tmp_path).returncode == 0

    for line in lines:
        if line.startswith(ELSEWHERE) or line == "pyfc init my-app":
            continue
        done = run(line, server, tmp_path)
        assert done.returncode == 0, f"{line}: {done.stderr}"
