"""Which program runs functions of a runtime."""

from __future__ import annotations

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
