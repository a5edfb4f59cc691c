"""The dependencies of functions: installed by the real pip and npm, from wheels and folders that need no network."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support import Server, pyfc, template, wait_until, zipped

HANDLER = "import greeting\ndef handler(event, context):\n    return greeting.text()\n"


def wheel(folder: Path, name: str, version: str, text: str) -> None:
    """A wheel with one module, a test and a data file."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"def text():\n    return {text!r}\n",
        f"{name}/tests/test_it.py": "x = 1\n" * 1000,
        f"{name}/__init__.pyi": "def text() -> str: ...\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, content)


ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("offline")
def test_a_pyfc_that_lies_below_var_tmp_installs_and_leaves_nothing_in_tmp(tmp_path: Path) -> None:
    """In a cage /var/tmp is /tmp, which is another folder than the machine's."""
    folder = Path(tempfile.mkdtemp(prefix="pyfc-own-", dir="/var/tmp"))
    try:
        for name in ("pyfc", "runtimes"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        project = write(tmp_path / "project", {"f/index.py": HANDLER, "f/requirements.txt": "greeting==1.0\n"})

        server = Server(project, tmp_path / "data", PYTHONPATH=str(folder), PYTHONSAFEPATH="1")

        assert server.invoke("default/f").body == b"hello of 1.0"
        assert server.stop()[0] == 0
        assert not (Path("/tmp") / folder.name).exists()
    finally:
        shutil.rmtree(folder)


def ends_of_builds(server: Server) -> list[dict[str, Any]]:
    """What the console has told of builds beside the server."""
    return [each for each in server.records if {"warning", "built"} & {*each}]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all that pip can find; an empty cache."""
    wheels = tmp_path / "wheels"
    wheel(wheels, "greeting", "1.0", "hello of 1.0")
    wheel(wheels, "greeting", "2.0", "hello of 2.0")
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "npm_config_offline": "true",
        "npm_config_cache": str(tmp_path / "npm"),
    }.items():
        monkeypatch.setenv(name, value)
    return wheels


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("options", [(), ("--sandbox", "off")])
def test_a_served_function_gets_what_its_requirements_name(
    offline: Path, serve: Callable[..., Server], options: tuple[str, ...]
) -> None:
    files = {"f/index.py": HANDLER, "f/requirements.txt": "greeting==1.0\n"}
    server = serve(files, *options)

    assert server.invoke("default/f").body == b"hello of 1.0"
    assert not [note for note in server.ready["notes"] if "warning" in note]


def test_what_lies_in_the_folder_already_is_not_installed(offline: Path, serve: Callable[..., Server]) -> None:
    info = "f/greeting-9.dist-info/METADATA"
    files = {"f/index.py": HANDLER, "f/requirements.txt": "greeting\n", info: "Name: greeting\n"}
    server = serve({**files, "f/greeting.py": "def text():\n    return 'my own'\n"})

    assert server.invoke("default/f").body == b"my own"


@pytest.mark.long
def test_a_package_that_can_not_be_had_is_named_and_the_last_good_result_stands_in(
    offline: Path, tmp_path: Path
) -> None:
    folder = write(tmp_path / "app", {"f/index.py": HANDLER, "f/requirements.txt": "greeting==1.0\n"})
    for wanted, warns in (("greeting==1.0", False), ("nowhere-to-be-found", True)):
        (folder / "f" / "requirements.txt").write_text(wanted)
        server = Server(folder, tmp_path / "data")
        try:
            assert server.invoke("default/f").body == b"hello of 1.0"
            told = wait_until(partial(ends_of_builds, server), "the end")
            warnings = [each["warning"] for each in told if "warning" in each]
        finally:
            assert server.stop()[0] == 0
        assert bool(warnings) is warns
    assert "pip can not install 'nowhere-to-be-found'" in warnings[0]
    assert "what was built before is served" in warnings[0]


@pytest.mark.long
def test_a_changed_manifest_is_installed_while_it_is_developed(offline: Path, serve: Callable[..., Server]) -> None:
    server = serve({"f/index.py": HANDLER, "f/requirements.txt": "greeting==1.0\n"}, PYFC_RELOAD="1")
    assert server.invoke("default/f").body == b"hello of 1.0"

    (server.folder / "f" / "requirements.txt").write_text("greeting==2.0\n")

    wait_until(lambda: server.invoke("default/f").body == b"hello of 2.0", "the new package")


def test_build_tells_what_it_did_and_does_it_once(offline: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "app", {"f/index.py": HANDLER, "f/requirements.txt": "greeting\n"})
    write(folder, {"g/index.py": "def handler(event, context):\n    pass\n"})

    first, second = (pyfc("build", str(folder), "--explain") for _ in range(2))

    assert (first[0], second[0]) == (0, 0)
    assert re.search(r"default/f  requirements.txt: 1 package, \d+ KB, built in", first[1])
    assert "default/g  needs nothing" in first[1]
    assert "greeting" in first[1].split("PACKAGE")[1]
    assert "as it was built before" in second[1]


@pytest.mark.long
def test_a_lean_build_says_what_it_gains_and_serve_keeps_to_it(offline: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "app", {"f/requirements.txt": "greeting==2.0\n"})
    source = "import greeting, os\ndef handler(event, context):\n    return str(os.listdir(greeting.__path__[0]))\n"
    write(folder, {"f/index.py": source})

    status, told, _ = pyfc("build", str(folder), "--lean")

    assert status == 0
    assert re.search(r"lean: 1\d KB -> 1 KB, import \d+ -> \d+ ms", told), told
    server = Server(folder, tmp_path / "data")
    try:
        answer = server.invoke("default/f").body.decode()
    finally:
        server.stop()
    assert "__init__.py" in answer
    assert "tests" not in answer
    assert "__init__.pyi" not in answer


def test_a_failure_of_build_names_the_package_and_changes_nothing(offline: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "app", {"f/index.py": HANDLER, "f/requirements.txt": "nowhere-to-be-found\n"})

    status, _, errors = pyfc("build", str(folder))

    assert status == 2
    assert "f/requirements.txt: pip can not install 'nowhere-to-be-found'" in errors
    assert not list((tmp_path / "cache" / "pyfc" / "build" / "built").iterdir())


@pytest.mark.parametrize("line", ["RUN fun-install apt-get install libzbar0", "RUN apt install -y libzbar0"])
@pytest.mark.long
def test_what_a_funfile_wants_of_the_system_is_named_and_keeps_nothing_else_away(
    offline: Path, serve: Callable[..., Server], line: str
) -> None:
    funfile = f"RUNTIME python3\n# comment\n{line}\nRUN fun-install pip install greeting==2.0\n"
    server = serve({"f/index.py": HANDLER, "f/Funfile": funfile})

    assert server.invoke("default/f").body == b"hello of 2.0"
    told = "f/Funfile:3: packages of the system are not the function's to install (apt: 'libzbar0')"
    assert [note for note in server.ready["notes"] if "Funfile" in note] == [f"warning: {server.folder}/{told}"]
    assert "Funfile:4: 1 package" in pyfc("build", str(server.folder))[1]


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_node_modules_are_installed(offline: Path, tmp_path: Path) -> None:
    package = {"dependencies": {"greeting": "file:./vendor"}}
    folder = write(
        tmp_path / "app",
        {
            "f/index.js": "const { text } = require('greeting');\nexports.handler = async () => text();\n",
            "f/package.json": json.dumps(package),
            "f/vendor/package.json": json.dumps({"name": "greeting", "version": "1.0.0", "main": "main.js"}),
            "f/vendor/main.js": "exports.text = () => 'hello of npm';\n",
        },
    )
    server = Server(folder, tmp_path / "data")
    try:
        assert server.invoke("default/f").body == b"hello of npm", server.ready["notes"]
    finally:
        assert server.stop()[0] == 0
    assert not (folder / "f" / "node_modules").exists(), "the user's folder is left alone"


@pytest.mark.long
def test_wheels_are_for_the_interpreter_that_runs_the_function(offline: Path, tmp_path: Path) -> None:
    from pyfc.host.runtimes import Runtimes

    other = Runtimes().interpreter("python3.12")
    if other is None or not other.is_exact or sys.version_info[:2] == (3, 12):
        pytest.skip("there is no other Python here")
    source = (
        "import greeting, sys\ndef handler(event, context):\n    return greeting.text() + str(sys.version_info[:2])\n"
    )
    document = template({"f": {"Runtime": "python3.12", "CodeUri": "./f", "Timeout": 20}})
    folder = write(
        tmp_path / "app", {"f/index.py": source, "f/requirements.txt": "greeting==1.0", "template.yml": document}
    )
    server = Server(folder, tmp_path / "data")
    try:
        assert server.invoke("demo/f").body == b"hello of 1.0(3, 12)", server.ready["notes"]
        assert f"python3.12 is Python {other.version} ({other.path})" in server.ready["notes"]
    finally:
        assert server.stop() == (0, "")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_modules_that_fcs_runtimes_have_are_installed_when_they_are_used(offline: Path, tmp_path: Path) -> None:
    from pyfc.boundary import Boundary
    from pyfc.build.builtins import builtins_of
    from pyfc.build.manifest import Manifest

    def found(name: str) -> list[Manifest]:
        return builtins_of(folder / name, Boundary(folder))

    wheel(offline, "oss2", "2.19.1", "of the object store")
    source = "import oss2\ndef handler(event, context):\n    return oss2.text()\n"
    folder = write(tmp_path / "app", {"f/index.py": source, "g/index.js": "const raw = require('raw-body');\n"})
    write(folder, {"h/index.js": "require('raw-body')", "h/package.json": '{"dependencies": {"raw-body": "2"}}'})

    assert [(each.tool, each.packages) for each in found("f")] == [("pip", ("oss2==2.19.1",))]
    assert [(each.tool, each.packages) for each in found("g")] == [("npm", ("raw-body@2.5.2",))]
    assert found("h") == []
    for name in ("g", "h"):
        (folder / name / "index.js").unlink()
    server = Server(folder, tmp_path / "data")
    try:
        assert server.invoke("default/f").body == b"of the object store", server.ready["notes"]
    finally:
        assert server.stop()[0] == 0


def test_a_bootstrap_can_be_run_whatever_rights_it_has(tmp_path: Path) -> None:
    document = template({"f": {"Runtime": "custom", "EnvironmentVariables": {"PATH": "/nowhere"}}})
    folder = write(tmp_path / "app", {"bootstrap": "#!/bin/sh\necho started\nexit 4\n", "template.yml": document})
    server = Server(folder, tmp_path / "data")
    try:
        assert "exited with status 4" in server.invoke("demo/f").json["ErrorMessage"]
    finally:
        assert server.stop()[0] == 0


def test_the_lock_of_an_editor_is_no_part_of_the_code(serve: Callable[..., Server], tmp_path: Path) -> None:
    write(tmp_path / "project0", {"index.py": "def handler(event, context):\n    return event\n"})
    (tmp_path / "project0" / ".#index.py").symlink_to("ada@host.4711:1")  # Emacs: it leads to nothing

    server = serve({})

    assert server.invoke("default/index", b"x").body == b"x"


@pytest.mark.long
def test_functions_that_clients_make_have_fcs_built_in_modules_beside_their_layers(
    offline: Path, serve: Callable[..., Server]
) -> None:
    wheel(offline, "oss2", "2.19.1", "of the object store")
    source = "import {}\ndef handler(event, context):\n    return oss2.text() if event == b'use' else event\n"
    server = serve({})
    path = "/2016-08-15/services/s/functions"
    server.manage("POST", "/2016-08-15/services", {"serviceName": "s"})

    def code(*modules: str) -> dict[str, str]:
        return {"zipFile": zipped({"index.py": source.format(", ".join(modules))})}

    function = {"functionName": "f", "runtime": "python3", "handler": "index.handler", "code": code("oss2")}
    layer = {"code": {"zipFile": zipped({"python/own.py": ""})}, "compatibleRuntime": ["python3"]}
    arn = server.manage("POST", "/2016-08-15/layers/own/versions", layer).json["arn"]

    assert server.manage("POST", path, function).status == 200
    assert server.invoke("s/f", b"use").body == b"of the object store"
    assert server.manage("PUT", f"{path}/f", {"code": code("oss2", "own"), "layers": [arn]}).status == 200
    assert server.invoke("s/f", b"use").body == b"of the object store"
    assert server.manage("PUT", f"{path}/f", {"memorySize": 256}).status == 200
    assert server.invoke("s/f", b"use").body == b"of the object store"
    strange = zipped({"index.py": source.format("oss2"), "package.json": "[" * 100_000, "index.js": "require('co')"})
    assert server.manage("PUT", f"{path}/f", {"code": {"zipFile": strange}}).status == 200
    assert server.invoke("s/f", b"use").body == b"of the object store"
    assert server.manage("PUT", f"{path}/f", {"code": code("mns")}).status == 200, "what can not be had is no reason"
    assert server.invoke("s/f", b"x").json["errorType"] == "ImportModuleError"
    server.stop()
