"""Finds the programs that run the code of functions: which Node.js is `nodejs12` here?

FC's runtime names carry versions that come and go; a machine has what it has. A name gets the installed interpreter of
its version, or the nearest one, and a line says so.
"""

from __future__ import annotations

import functools
import glob
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_VERSION = re.compile(r"\d+(?:\.\d+)*")
_PROBE_TIME = 10.0
_MANAGED = (
    "~/.pyenv/versions/*/bin",
    "~/.local/share/uv/python/*/bin",
    "~/.nvm/versions/node/*/bin",
    "~/.local/share/fnm/node-versions/*/installation/bin",
)
"""Where pyenv, uv, nvm and fnm put interpreters."""
OWN = "{own}"
"""Stands for the interpreter that runs pyfc."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A program on this machine."""

    path: str
    version: str
    """As it tells itself."""
    is_exact: bool
    """Whether it has the version that was asked for."""


def candidates(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The programs that `patterns` can mean for any of the runtime names: on PATH, and where version managers put
    theirs.
    """
    versions = list(dict.fromkeys(_wanted(name) for name in names))
    folders = [
        folder for pattern in _MANAGED for folder in sorted(glob.glob(os.path.expanduser(pattern)), reverse=True)
    ]
    found: list[str] = []
    for pattern in patterns:
        if pattern == OWN:
            found.append(sys.executable)
            continue
        for version in versions if "{version}" in pattern else [""]:
            found += _called(pattern.format(version=version), folders)
    return list(dict.fromkeys(found))


def _called(name: str, folders: Sequence[str]) -> list[str]:
    """The programs of a name on PATH and in `folders`."""
    on_path = shutil.which(name) if any(_may_have(folder, name) for folder in os.get_exec_path()) else None
    paths = [on_path, *(shutil.which(name, path=folder) for folder in folders if _may_have(folder, name))]
    return [os.path.realpath(path) for path in paths if path is not None]


def _may_have(folder: str, name: str) -> bool:
    """Whether to look for a program there: a start asks for a hundred, of which a machine has few."""
    try:
        return name in _listed(folder, os.stat(folder or os.curdir).st_mtime_ns)
    except FileNotFoundError:
        return False
    except OSError:  # it may be one that can be entered, but not read
        return True


@functools.lru_cache
def _listed(folder: str, _changed: int) -> frozenset[str]:
    """The names in a folder that was changed then."""
    return frozenset(os.listdir(folder or os.curdir))


def choose(name: str, patterns: Sequence[str], names: Sequence[str], oldest: str) -> Interpreter | None:
    """The interpreter for functions of runtime `name`, none below version `oldest`: the first of the right version,
    else the one whose version differs least, the newer of two.
    """
    wanted = _numbers(_wanted(name))
    best: Interpreter | None = None
    distance: tuple[float, ...] = ()
    for path in candidates(patterns, names):
        version = version_of(path)
        numbers = _numbers(version)
        if not numbers or numbers < _numbers(oldest):
            continue
        if numbers[: len(wanted)] == wanted:
            return Interpreter(path, version, is_exact=True)
        difference = _distance(wanted, numbers)
        if best is None or difference < distance:
            best, distance = Interpreter(path, version, is_exact=False), difference
    return best


def _distance(wanted: tuple[int, ...], numbers: tuple[int, ...]) -> tuple[float, ...]:
    """How far `numbers` are from what is wanted, part by part; the newer of two that are equally far comes first."""
    far = [abs(number - other) for number, other in zip(numbers, wanted, strict=False)]
    return (*far, *(-number for number in numbers))


def _wanted(name: str) -> str:
    """The version in a runtime's name: `3.10` of `python3.10`; '' for one that leaves it open, as `python3` does."""
    found = _VERSION.search(name)
    text = found.group() if found is not None else ""
    return "" if name == "python3" else text


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


@functools.cache
def version_of(path: str) -> str:
    """The version that a program tells; '' if it tells none, or fails, as a version manager's shim does for a version
    that is not in use: it names the version all the same.
    """
    if path == sys.executable:
        return platform.python_version()
    try:
        told = subprocess.run(  # noqa: S603  a program that the user has on PATH
            [path, "--version"], capture_output=True, text=True, timeout=_PROBE_TIME, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(told.stdout or told.stderr) if told.returncode == 0 else None
    return found.group() if found is not None else ""


def prefix_of(path: str) -> str:
    """The folder that a program needs to see to run: its installation."""
    return os.path.dirname(os.path.dirname(os.path.realpath(path)))
