"""What is installed from the package is whole: it serves away from the checkout, with nothing of it in reach."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import Server

ROOT = Path(__file__).parents[1]
SHIPPED = ("pyfc", "runtimes", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built of a copy of what git has: a build leaves files beside its sources."""
    folder = tmp_path_factory.mktemp("packaging")
    listed = subprocess.run(
        ["git", "ls-files", "-z", *SHIPPED], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
        target.chmod((ROOT / name).stat().st_mode)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(folder), str(folder / "source")], check=True, timeout=300)
    [found] = folder.glob("pyfc-*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the package, and borrows what it depends on from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    [packages] = (folder / "env").glob("lib/python3*/site-packages")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, timeout=300)
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n")  # its own, which has no .pth of pyfc's followed
    return python


@pytest.fixture
def server(python: Path, tmp_path: Path) -> Iterator[Server]:
    """The installed pyfc, serving a project that the installed pyfc has made."""
    made = [python, "-m", "pyfc", "init", "first"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    started = Server(tmp_path / "first", tmp_path / "data", command=["serve", "."], python=str(python))
    yield started
    assert started.stop()[0] == 0


def test_the_package_holds_what_it_needs_and_nothing_of_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for needed in ("pyfc/py.typed", "pyfc/billing/tables/2020.toml", "pyfc/_runtimes/python/bootstrap.py",
                   "pyfc/_runtimes/nodejs/bootstrap.js", "pyfc/_runtimes/python/template/.vscode/launch.json",
                   "pyfc/_runtimes/ruby/wire.rb", "pyfc/_runtimes/php/worker.php"):  # fmt: skip
        assert needed in names
    assert not [name for name in names if "tests/" in name or "__pycache__" in name or name.startswith("benchmarks")]


def test_the_installed_package_is_another_one_than_the_checkout(python: Path, tmp_path: Path) -> None:
    found = subprocess.run(
        [python, "-c", "import pyfc; print(pyfc.__file__)"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout

    assert found.startswith(str(python.parents[1]))


def test_the_installed_package_makes_a_project_and_serves_it(server: Server) -> None:
    event = server.request("POST", "/2016-08-15/services/demo/functions/hello/invocations", b'{"name": "ada"}')
    web = server.request("GET", "/2016-08-15/proxy/demo/web/any/path")

    assert b"ada" in event.body
    assert web.status == 200
