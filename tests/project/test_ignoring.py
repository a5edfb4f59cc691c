"""`.fcignore` and `.funignore`: what in a project is no code."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pyfc.boundary import Boundary
from pyfc.errors import ProjectError
from pyfc.project import ignoring
from pyfc.project.load import load


def walked(boundary: Boundary, folder: Path) -> set[str]:
    return {found.path for found in boundary.walk(folder) if not found.is_folder}


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("name", [".fcignore", ".funignore"])
def test_what_an_ignore_file_names_is_no_part_of_the_code(tmp_path: Path, name: str) -> None:
    write(tmp_path, "index.py", "data/large.bin", "a.pem", "keep.pem", "sub/b.pem", "sub/data/x", "logs", "sub/logs/y")
    (tmp_path / name).write_text("# a comment\ndata/\n*.pem\n!keep.pem\n/logs\n")
    boundary = Boundary(tmp_path)

    assert ignoring.apply(tmp_path, boundary) == [tmp_path / name]

    assert walked(boundary, tmp_path) == {"index.py", "keep.pem", "sub/logs/y", name}
    assert walked(boundary, tmp_path / "sub") == {"logs/y"}
    assert boundary.names(tmp_path) == {"index.py", "keep.pem", "sub", name}


def test_the_rules_of_the_code_folder_win_over_those_beside_the_template(tmp_path: Path) -> None:
    write(tmp_path, "code/a.log", "code/b.log", "code/index.py")
    (tmp_path / "s.yaml").write_text(
        "resources: {a: {component: fc3, props: {functionName: f, runtime: python3, handler: i.h, code: ./code}}}"
    )
    (tmp_path / ".fcignore").write_text("*.log\n")
    (tmp_path / "code" / ".funignore").write_text("!b.log\n")

    project = load(tmp_path)

    assert walked(project.boundary, tmp_path / "code") == {"index.py", "b.log", ".funignore"}
    assert project.files[1:] == [tmp_path / ".fcignore", tmp_path / "code" / ".funignore"]


def test_a_pattern_that_can_not_be_read_is_shown_with_its_line(tmp_path: Path) -> None:
    (tmp_path / ".fcignore").write_text("*.log\n[z-a]\n")
    with pytest.raises(ProjectError, match=r"\.fcignore:2: is no pattern"):
        load(tmp_path)

    (tmp_path / ".fcignore").write_bytes(b"\xff\n")
    with pytest.raises(ProjectError, match=r"\.fcignore: can not be read"):
        load(tmp_path)


def test_a_pattern_made_to_take_long_does_not(tmp_path: Path) -> None:
    write(tmp_path, *("a" * 120 + str(number) for number in range(20)))
    (tmp_path / ".fcignore").write_text("*a" * 40 + "b\n")
    began = time.monotonic()

    boundary = load(tmp_path).boundary

    assert len(walked(boundary, tmp_path)) == 21
    assert time.monotonic() - began < 5
