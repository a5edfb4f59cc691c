"""Programs that functions of custom runtimes start and that are to be made of their folder, by Go or Maven.

A program that lies in the folder already was put there by its author and is not made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pyfc.boundary import Boundary
from pyfc.build.manifest import Manifest
from pyfc.errors import InvalidArgument
from pyfc.model.function import Function

_CODE = "/code/"
_LARGEST = 1024 * 1024
_MAIN = re.compile(rb"^\s*package\s+main\b", re.MULTILINE)


def started(function: Function, *, pulls: bool) -> str:
    """The path in its code of what a function of a custom runtime starts; '' if that is no part of it. `pulls`: the
    handler names it (go1).
    """
    command = function.program.command[0] if function.program.command else ""
    if command and "/" not in command:
        return ""  # a program on PATH
    path = PurePosixPath((command or (function.handler if pulls else "bootstrap")).removeprefix(_CODE))
    return str(path) if not path.is_absolute() and ".." not in path.parts and path.parts else ""


def programs(folder: Path, boundary: Boundary, starts: Sequence[str]) -> list[Manifest]:
    """What is to be made for `starts`, paths in `folder`. Raises InvalidArgument, OutsideProject."""
    wanted = tuple(name for name in dict.fromkeys(starts) if name and not (folder / name).exists())
    source = _source_of_go(folder, boundary) if wanted else ""
    found = [_manifest("go", source, wanted, folder, boundary)] if source else []
    if starts and (folder / "pom.xml").is_file() and not any(folder.glob("target/*.jar")):
        found.append(_manifest("maven", "pom.xml", ("target",), folder, boundary))
    return found


def _manifest(tool: str, source: str, names: tuple[str, ...], folder: Path, boundary: Boundary) -> Manifest:
    bound = boundary.root if boundary.root is not None and folder.is_relative_to(boundary.root) else None
    return Manifest(tool=tool, folder=folder, source=source, bound=bound, names=names, files=(folder,))


def _source_of_go(folder: Path, boundary: Boundary) -> str:
    """The file that makes the folder one of a Go program; '' if it is none."""
    try:
        is_program = any(_MAIN.search(boundary.read(path, _LARGEST)) for path in sorted(folder.glob("*.go")))
    except InvalidArgument:
        return ""
    if not is_program:
        return ""
    return "go.mod" if (folder / "go.mod").is_file() else "main.go"
