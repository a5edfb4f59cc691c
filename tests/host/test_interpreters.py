"""Which program runs functions of a runtime."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pyfc.host import interpreters


def _program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def shims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is first on PATH; the home beside it holds no interpreters yet."""
    folder = tmp_path / "shims"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def test_a_shim_that_names_a_version_and_fails_is_no_interpreter(shims: Path) -> None:
    _program(shims / "python3.9", "echo \"pyenv: the 'python3.9' command exists in: 3.9.18\" >&2; exit 127")
    _program(shims / "python3.10", "echo Python 3.10.13")
    names = ["python3.7", "python3.9", "python3.10"]

    nearest = interpreters.choose("python3.7", ["python{version}"], names, "3.9")

    assert nearest == interpreters.Interpreter(str(shims / "python3.10"), "3.10.13", is_exact=False)


def test_an_installed_version_behind_a_shim_that_fails_is_found(shims: Path) -> None:
    real = shims.parent / ".pyenv/versions/3.9.18/bin/python3.9"
    _program(shims / "python3.9", "echo 'python3.9: command not found' >&2; exit 127")
    _program(real, "echo Python 3.9.18")

    chosen = interpreters.choose("python3.9", ["python{version}"], ["python3.9"], "3.9")

    assert chosen == interpreters.Interpreter(str(real), "3.9.18", is_exact=True)


def test_a_program_that_comes_later_is_found_and_one_that_goes_is_not(shims: Path) -> None:
    before = interpreters.candidates(["tool"], [])
    _program(shims / "tool", "exit 0")
    os.utime(shims, (0, 0))  # changed at another time than it was seen to be, however fast this is
    found = interpreters.candidates(["tool"], [])
    (shims / "tool").unlink()

    assert (before, found, interpreters.candidates(["tool"], [])) == ([], [str(shims / "tool")], [])


def test_a_folder_that_does_not_have_a_program_is_not_searched_for_it(
    shims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(shims / "tool", "exit 0")
    looked: list[str] = []
    which = shutil.which

    def counted(name: str, path: str | None = None) -> str | None:
        looked.append(name)
        return which(name, path=path)

    monkeypatch.setattr(shutil, "which", counted)

    assert interpreters.candidates(["none", "tool"], []) == [str(shims / "tool")]
    assert looked == ["tool"]
