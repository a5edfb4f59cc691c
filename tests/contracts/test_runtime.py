"""What every folder under runtimes/ promises; a new folder is tested by being there."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

from pyfc.host.runtimes import ROOT, Runtime, Runtimes, found
from pyfc.project.load import load
from support import Server, template

RUNTIMES = list(found())
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    chosen: Runtime = request.param
    return chosen


def test_every_folder_with_files_is_a_runtime() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders == {runtime.name for runtime in RUNTIMES}


def test_its_keys_are_explained_and_its_launcher_is_there(runtime: Runtime) -> None:
    table = tomllib.loads((runtime.folder / "runtime.toml").read_text(encoding="utf-8"))

    for key in table:
        assert f"`{key}`" in README, f"runtimes/README.md does not explain {key}"
    assert importlib.import_module(f"pyfc.workers.launchers.{runtime.start}")
    assert (runtime.folder / runtime.zygote).is_file()


def test_a_refused_name_says_what_to_do_and_is_not_served() -> None:
    runtimes = Runtimes()

    assert runtimes.get("custom-container") is None
    assert "customRuntimeConfig.command" in runtimes.why_not("custom-container")
    assert runtimes.get("python3.12") is not None
    assert "python3" in runtimes.why_not("cobol")


def test_a_version_that_has_ended_runs_on_a_newer_one_and_mistakes_are_named_with_their_line(tmp_path: Path) -> None:
    functions = {name: {"Runtime": "python2.7", "Handler": f"{name}.handler"} for name in ("fits", "old")}
    (tmp_path / "template.yml").write_text(template(functions))
    (tmp_path / "fits.py").write_text("def handler(event, context):\n    return event\n")
    (tmp_path / "old.py").write_text("def handler(event, context):\n    print event\n")

    server = Server(tmp_path, tmp_path / "data")
    try:
        told = [note for note in server.ready["notes"] if note.startswith("python2.7 is Python 3.")]
        assert len(told) == 1
        assert "Python 2 ended in 2020" in told[0]
        assert server.invoke("demo/fits", b"same").body == b"same"
        failed = server.invoke("demo/old").json
        assert failed["errorType"] == "SyntaxError"
        assert failed["stackTrace"][-1] == ['File "/code/old.py"', "line 2", "in <module>", "print event"]
    finally:
        server.stop()


def test_a_handler_in_python_may_be_a_path_from_the_folder_of_the_code(tmp_path: Path) -> None:
    handlers = {"here": "./main.handler", "below": "./src/main.handler", "plain": "src/main.handler"}
    (tmp_path / "template.yml").write_text(template({name: {"Handler": text} for name, text in handlers.items()}))
    (tmp_path / "src").mkdir()
    for folder, text in ((tmp_path, "top"), (tmp_path / "src", "src")):
        (folder / "main.py").write_text(f"def handler(event, context):\n    return {text!r}\n")

    server = Server(tmp_path, tmp_path / "data")
    try:
        assert {name: server.invoke(f"demo/{name}").body for name in handlers} == {
            "here": b"top",
            "below": b"src",
            "plain": b"src",
        }
    finally:
        server.stop()


def test_its_template_is_a_project_of_an_event_and_an_http_function_that_work(runtime: Runtime, tmp_path: Path) -> None:
    if not runtime.is_required and Runtimes().get(runtime.names[0]) is None:
        pytest.skip(Runtimes().why_not(runtime.names[0]))
    folder = runtime.folder / "template"
    project = load(folder)
    assert (project.unsupported, project.warnings) == ([], [])
    assert [declaration.function.name for declaration in project.functions] == ["hello", "web"]

    server = Server(folder, tmp_path)
    try:
        assert server.invoke("demo/hello", b'{"name": "ada"}').json["greeting"] == "Hello, ada!"
        assert server.request("GET", "/2016-08-15/proxy/demo/web/any/path?x=1").status == 200
    finally:
        assert server.stop()[0] == 0
