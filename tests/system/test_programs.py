"""Programs that functions of custom runtimes start and that are made of their folder, by Go or Maven."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pyfc.boundary import Boundary
from pyfc.build.programs import programs, started
from pyfc.model.function import Function, Limits, Program
from support import Server, pyfc, template

GO = """package main

import (
	"io"
	"net/http"
)

func main() {
	http.HandleFunc("/invoke", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(append([]byte("made of Go: "), body...))
	})
	http.ListenAndServe(":9000", nil)
}
"""


def function(*command: str, handler: str = "index.handler") -> Function:
    program = Program(command=command)
    return Function(service="s", name="f", runtime="custom", handler=handler, limits=Limits(), program=program)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ((), "bootstrap"),
        (("./main",), "main"),
        (("target/main", "-v"), "target/main"),
        (("/code/server",), "server"),
        (("java", "-jar", "target/x.jar"), ""),
        (("/usr/bin/env", "python3"), ""),
        (("../outside",), ""),
    ],
)
def test_what_a_function_starts_is_found_in_its_command(command: tuple[str, ...], expected: str) -> None:
    assert started(function(*command), pulls=False) == expected


def test_a_go1_function_starts_its_handler() -> None:
    assert started(function(handler="main"), pulls=True) == "main"


def test_a_program_is_made_only_where_there_is_something_to_make_it_of_and_none_lies_there(tmp_path: Path) -> None:
    def found(*starts: str) -> list[tuple[str, str, tuple[str, ...]]]:
        return [(each.tool, each.source, each.names) for each in programs(tmp_path, Boundary(tmp_path), starts)]

    assert found("main") == []
    (tmp_path / "lib.go").write_text("package lib\n")
    assert found("main") == [], "it is no program"
    (tmp_path / "main.go").write_text("// what it does\n\npackage main\n")
    assert found("main", "", "main") == [("go", "main.go", ("main",))]
    (tmp_path / "go.mod").write_text("module it\n")
    assert found("main") == [("go", "go.mod", ("main",))]
    assert found() == [], "the function is none that starts programs"
    (tmp_path / "main").write_text("")
    assert found("main") == []
    (tmp_path / "pom.xml").write_text("<project/>")
    assert found("") == [("maven", "pom.xml", ("target",))]
    (tmp_path / "target").mkdir()
    (tmp_path / "target/it.jar").write_text("")
    assert found("") == []


@pytest.mark.long
@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_a_program_of_go_is_made_and_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GOPROXY", "off")
    given = {"Runtime": "custom", "CodeUri": "./f", "CustomRuntimeConfig": {"Command": ["./bin/main"]}}
    (tmp_path / "app/f").mkdir(parents=True)
    (tmp_path / "app/f/main.go").write_text(GO)
    (tmp_path / "app/template.yml").write_text(template({"f": given}))
    status, told, errors = pyfc("build", str(tmp_path / "app"))
    assert (status, "demo/f  main.go: 1 package" in told) == (0, True), errors

    server = Server(tmp_path / "app", tmp_path / "data")
    try:
        assert server.invoke("demo/f", b"it").body == b"made of Go: it"
    finally:
        assert server.stop()[0] == 0
    assert sorted(path.name for path in (tmp_path / "app/f").iterdir()) == ["main.go"], "the folder is left alone"


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_what_go_can_not_make_is_told_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GOPROXY", "off")
    given = {"Runtime": "go1", "Handler": "main", "CodeUri": "./f"}
    (tmp_path / "app/f").mkdir(parents=True)
    (tmp_path / "app/f/main.go").write_text('package main\n\nimport "example.invalid/nowhere"\n')
    (tmp_path / "app/template.yml").write_text(template({"f": given}))

    status, _, errors = pyfc("build", str(tmp_path / "app"))

    assert status == 2
    assert "f/main.go: go mod failed:" in errors
    assert "example.invalid/nowhere" in errors


@pytest.fixture
def maven_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the function s/f, which Maven has to make; nobody has allowed its plugins to run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "app/f").mkdir(parents=True)
    (tmp_path / "app/f/pom.xml").write_text("<project/>")
    (tmp_path / "app/template.yml").write_text(template({"f": {"Runtime": "custom", "CodeUri": "./f"}}, "s"))
    return tmp_path / "app"


@pytest.mark.skipif(shutil.which("mvn") is None or shutil.which("java") is None, reason="needs Maven")
def test_plugins_of_maven_run_only_if_the_user_lets_them(maven_app: Path) -> None:
    status, _, errors = pyfc("build", str(maven_app))

    assert status == 2
    assert "f/pom.xml: Maven's plugins runs code while it is installed (mvn package), and nobody has allowed" in errors


@pytest.mark.skipif(shutil.which("mvn") is None or shutil.which("java") is None, reason="needs Maven")
def test_a_call_of_a_program_that_could_not_be_made_says_so(maven_app: Path) -> None:
    (maven_app / "f/bootstrap").write_text("#!/bin/sh\necho no archive\nexit 3\n")

    server = Server(maven_app, maven_app.parent / "data")
    try:
        answer = server.invoke("s/f")
        assert (answer.status, answer.json["ErrorCode"]) == (412, "CAExited")
        assert answer.json["ErrorMessage"] == (
            "the custom runtime exited with status 3 before it listened; what it needs could not be built "
            "(`pyfc list` says why)\nLogs:\nno archive"
        )
        listed = pyfc("list", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))[1]
        assert "s/f: what it needs could not be built: " in listed
        assert "Maven's plugins runs code while it is installed" in listed
    finally:
        assert server.stop()[0] == 0
