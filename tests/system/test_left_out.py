"""What a function needs and cannot be had keeps nothing else away: by the real pip and npm."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from test_build import ends_of_builds, offline, wheel, write
from test_builds import Index

from packages import Registry, node_archive
from pyfc.build.manifest import manifests
from support import Server, pyfc, template, wait_until

HANDLER = """import greeting
def handler(event, context):
    import later
    return greeting.text() + later.text()
"""
NODE = "const b = require('b');\nexports.handler = (event, context, callback) => callback(null, b + require('gone'));\n"
RUNS = f"{sys.version_info[0]}.{sys.version_info[1]}"
__all__ = ["offline"]


@pytest.fixture
def folder(offline: Path, tmp_path: Path) -> Path:
    """A function that needs a package that there is, and one that comes later."""
    files = {"f/index.py": HANDLER, "f/requirements.txt": "-r more.txt\ngreeting==1.0\n", "f/more.txt": "later>=1\n"}
    return write(tmp_path / "app", files)


@pytest.mark.long
def test_a_package_that_is_not_there_is_named_and_had_when_it_comes(folder: Path, offline: Path) -> None:
    server = Server(folder, folder.parent / "data")
    try:
        told = server.invoke("default/f").json
        assert told["errorMessage"] == (
            "No module named 'later'; of its packages these could not be had: later (`pyfc list` says why)"
        )
        listed = pyfc("list", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))[1]
        assert "default/f: it has to do without later: " in listed
        assert "f/requirements.txt: pip can not install 'later" in listed
        assert "default/f: what it needs was installed in " in listed
        assert "could not be had: later" in server.log("default", "f")
        [end] = wait_until(partial(ends_of_builds, server), "the end")
        assert end["warning"].endswith("; later is left out")
    finally:
        assert server.stop()[0] == 0
    wheel(offline, "later", "1.0", ", later")

    server = Server(folder, folder.parent / "data")
    try:
        wait_until(lambda: server.invoke("default/f").body == b"hello of 1.0, later", "the package")
        assert "leftOut" not in server.functions()[0]
    finally:
        assert server.stop()[0] == 0


@pytest.mark.long
def test_what_could_be_had_serves_while_the_rest_is_tried_again(
    folder: Path, offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pyfc("build", str(folder))[0] == 1
    index = Index(offline)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    server = Server(folder, folder.parent / "data")
    try:
        wait_until(lambda: index.asked, "pip to ask")
        note = "default/f: what was left out is tried again, and what could be had serves meanwhile"
        assert note in server.ready["notes"]
        assert "could not be had: later" in server.invoke("default/f").json["errorMessage"]
        assert server.functions()[0]["buildingSeconds"] >= 0
        assert list(server.functions()[0]["leftOut"]) == ["later"]
    finally:
        index.close()
        assert server.stop()[0] == 0


@pytest.mark.long
def test_a_build_ends_with_1_if_something_is_left_out(folder: Path, tmp_path: Path) -> None:
    first, second = (pyfc("build", str(folder)) for _ in range(2))

    for status, told, errors in (first, second):
        assert status == 1
        assert "default/f  requirements.txt: 1 package" in told
        assert "warning: later is left out: " in errors


@pytest.mark.long
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_version_that_is_gone_keeps_no_other_package_of_npm_away(offline: Path, serve: Callable[..., Server]) -> None:
    needed = {"b": "file:./b", "gone": "9.9.9"}
    server = serve(
        {
            "f/index.js": NODE,
            "f/package.json": json.dumps({"dependencies": needed}),
            "f/b/package.json": json.dumps({"name": "b", "version": "1.0.0", "main": "main.js"}),
            "f/b/main.js": "module.exports = 'b';\n",
        }
    )

    answer = server.invoke("default/f").json["errorMessage"]
    assert answer.startswith("Cannot find module 'gone'")
    assert answer.endswith("; of its packages these could not be had: gone (`pyfc list` says why)")
    [listed] = server.functions()
    assert list(listed["leftOut"]) == ["gone"]


@pytest.fixture
def registry(offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The user's, which has the package `b`."""
    node_archive(tmp_path / "registry", "b", {"package.json": '{"name": "b", "version": "1.0.0"}', "index.js": ""})
    found = Registry(tmp_path / "registry")
    monkeypatch.setenv("npm_config_offline", "false")
    monkeypatch.setenv("npm_config_registry", f"http://{found.host}/")
    monkeypatch.setenv(f"npm_config_//{found.host}/:_authToken", "npm-secret")
    yield found
    found.close()


GONE = "http://127.0.0.1:9"
PACKAGE = '{"dependencies": {"b": "^1.0.0"}}'


def npm_lock(address: str) -> str:
    package = {"version": "1.0.0", "resolved": address}
    packages = {"": {"dependencies": {"b": "^1.0.0"}}, "node_modules/b": package}
    return json.dumps({"lockfileVersion": 3, "requires": True, "packages": packages})


def yarn_lock(address: str) -> str:
    return f'# yarn lockfile v1\n\n\nb@^1.0.0:\n  version "1.0.0"\n  resolved "{address}"\n'


@pytest.mark.long
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.parametrize(
    ("path", "is_kept"), [("/files/b-1.0.0.tgz", True), ("/elsewhere/b.tgz", False)], ids=["mirrored", "gone"]
)
@pytest.mark.parametrize(("name", "lock"), [("package-lock.json", npm_lock), ("yarn.lock", yarn_lock)])
def test_a_lock_whose_addresses_are_gone_keeps_nothing_away(
    registry: Registry, tmp_path: Path, name: str, lock: Callable[[str], str], path: str, is_kept: bool
) -> None:
    files = {"index.js": NODE, "package.json": PACKAGE, name: lock(f"{GONE}{path}")}
    folder = write(tmp_path / "app", files)

    status, told, errors = pyfc("build", str(folder))

    assert (status, errors) == (0, "")
    assert "package.json: 1 package" in told
    assert "/files/b-1.0.0.tgz" in registry.asked
    assert ("/b" not in registry.asked) is is_kept, "what is locked is had from the user's registry if that has it"


def test_a_lock_is_part_of_what_a_result_depends_on(tmp_path: Path) -> None:
    write(tmp_path, {"package.json": PACKAGE})
    before = manifests(tmp_path)[0].digest()

    digests = {before}
    for name in ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock"):
        write(tmp_path, {name: "{}"})
        digests.add(manifests(tmp_path)[0].digest())
    assert len(digests) == 4


def test_a_module_that_was_compiled_for_another_python_is_told_to_be_one(serve: Callable[..., Server]) -> None:
    files = {
        "template.yml": template({"f": {}}, "s"),
        "index.py": "from fast.core import text\ndef handler(event, context): return text\n",
        "fast/__init__.py": "",
        "fast/core.cpython-26m-x86_64-linux-gnu.so": "",
        "requirements.txt": "",
    }

    told = serve(files).invoke("s/f").json["errorMessage"]

    file = "fast/core.cpython-26m-x86_64-linux-gnu.so"
    assert told.endswith(f"No module named 'fast.core'; {file} was compiled for another Python than this, {RUNS}")
