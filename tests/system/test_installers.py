"""What packages may do while they are installed: real pip and npm, with packages that try to get out of their cage."""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from packages import node_package, source_distribution, source_files
from support import MODES, UID, impossible

HAS_NPM = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


class Bench(NamedTuple):
    """A project of one function, a home with secrets in it, and how `pyfc build` is run there."""

    mode: str
    folder: Path
    home: Path
    given: dict[str, Any]

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def build(self, *options: str, **environment: str) -> tuple[int, str, str]:
        """`pyfc build`: exit status, standard output, standard error."""
        uid = UID if os.geteuid() == 0 else os.geteuid()
        wrapper = [sys.executable, str(Path(__file__).parents[1] / "as_user.py"), str(uid)]
        prefix = [] if self.mode == "root" else [*wrapper, "no" if self.mode == "plain" else "yes"]
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "pyfc", "build", str(self.folder), *options],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False, cwd="/",
            env={
                "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "TOKEN": "of my environment",
                "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder.parent / "packages"),
                "PIP_EXTRA_INDEX_URL": "http://me:index-secret@127.0.0.1:9/simple", "npm_config_offline": "true",
                **environment,
            },
        )  # fmt: skip
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    @property
    def built(self) -> list[Path]:
        """What `pyfc build` has kept."""
        return list((self.home / ".cache/pyfc/build/built").glob("*"))


@pytest.fixture(params=MODES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """In each mode that is possible here."""
    if reason := impossible(request.param):
        pytest.skip(reason)
    for folder in [*reversed(tmp_path.parents), tmp_path]:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o111)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text("my key")
    (home / ".npmrc").write_text("//registry.invalid/:_authToken=npm-secret\n")
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text("[global]\ntimeout = 5\n# pip-secret\n")
    (tmp_path / "packages").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(home / "agent"))
        agent.listen()
        files = [".ssh/id", ".npmrc", ".config/pip/pip.conf", ".local/state/pyfc/consents.json"]
        given = {
            "secrets": [*(str(home / name) for name in files), "/etc/installer/0", "/etc/shadow"],
            "outside": [str(home / "mine"), str(tmp_path / "project/f/mine"), "/etc/mine", "/usr/mine"],
            "port": listener.getsockname()[1],
            "socket": str(home / "agent"),
        }
        if request.param != "root" and os.geteuid() == 0:
            for path in [home, *home.rglob("*")]:
                os.chown(path, UID, UID)
        bench = Bench(request.param, tmp_path / "project", home, given)
        bench.write({"f/index.py": "def handler(event, context):\n    pass\n"})
        yield bench
    assert not list((home / ".cache/pyfc/build/shop").glob("*")), "a workshop was left"


def expect_nothing_reached(told: dict[str, Any], bench: Bench) -> None:
    text = json.dumps(told)
    for secret in ("my key", "npm-secret", "pip-secret", "index-secret", "of my environment", "root:"):
        assert secret not in text, secret
    assert not [path for path in bench.given["outside"] if os.path.lexists(path)]
    assert told["port"] != "done"
    assert told.get("socket") != "done"
    if bench.mode == "root":
        assert told["uid"] not in {0, os.geteuid()}
    allowed = (
        "PATH",
        "LANG",
        "TZ",
        "HOME",
        "TMPDIR",
        "PYTHON",
        "PEP517_",
        "_PYPROJECT_",
        "npm_",
        "NODE",
        "PWD",
        "INIT_CWD",
    )
    assert not [
        name for name in told["environment"] if not name.startswith((*allowed, "LC_", "COLOR", "EDITOR", "SHLVL", "_"))
    ]


def test_a_package_that_is_built_from_source_reaches_nothing_of_its_user(bench: Bench) -> None:
    source_distribution(bench.folder.parent / "packages", "curious", source_files("curious", bench.given))
    bench.write({"f/requirements.txt": "curious\n"})

    status, _, errors = bench.build("--yes")

    assert status == 0, errors
    module = ast.parse((bench.built[0] / "curious.py").read_text()).body[0]
    assert isinstance(module, ast.Assign)
    expect_nothing_reached(json.loads(ast.literal_eval(module.value)), bench)


@HAS_NPM
def test_an_install_script_of_npm_reaches_nothing_of_its_user(bench: Bench) -> None:
    files = {f"f/vendor/{name}": text for name, text in node_package("curious", bench.given).items()}
    bench.write({**files, "f/package.json": json.dumps({"dependencies": {"curious": "file:./vendor"}})})

    status, _, errors = bench.build("--yes")

    assert status == 0, errors
    expect_nothing_reached(json.loads((bench.built[0] / "node_modules/curious/told.json").read_text()), bench)


def test_nothing_of_a_package_runs_before_somebody_has_allowed_it(bench: Bench) -> None:
    source_distribution(bench.folder.parent / "packages", "curious", source_files("curious", bench.given))
    bench.write({"f/requirements.txt": "curious\n"})

    status, _, errors = bench.build()

    assert status == 2
    assert "f/requirements.txt: curious 1.0 runs code while it is installed (own_backend)" in errors
    assert "`pyfc build --yes`" in errors
    assert not bench.built
