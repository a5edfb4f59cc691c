"""What in a folder of code was put there by an installer, and what its author's own files import.

A name in the RECORD of a `*.dist-info` folder is an installed one (pip install -t); everything else is the author's.
Nothing is imported or run: files are read.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pyfc.boundary import Boundary, is_no_part
from pyfc.errors import InvalidArgument
from pyfc.nofollow import open_plain

_MOST_FILES = 200
_LARGEST = 1024 * 1024


def installed(folder: Path) -> frozenset[str]:
    """The folders directly in `folder` that installed packages consist of."""
    names: set[str] = set()
    for record in folder.glob("*.dist-info/RECORD"):
        names.add(record.parent.name)
        with contextlib.suppress(OSError, InvalidArgument):
            names.update(_listed(record, record.stat().st_mtime_ns))
    return frozenset(name for name in names if not _is_no_package(name) and os.path.isdir(folder / name))


def _is_no_package(name: str) -> bool:
    return name in {"", ".", "..", "bin"} or is_no_part(name)


@lru_cache(maxsize=1024)
def _listed(record: Path, _changed: int) -> frozenset[str]:
    """What a RECORD lists, directly in its folder; read again when the file has changed. Raises OSError,
    InvalidArgument.
    """
    names: set[str] = set()
    with contextlib.suppress(UnicodeDecodeError, csv.Error), os.fdopen(open_plain(record), encoding="utf-8") as file:
        names.update(row[0].partition("/")[0] for row in csv.reader(file) if row and "/" in row[0])
    return frozenset(names)


def imported(folder: Path) -> list[str]:
    """The modules that the author's own files import when they are loaded, their own among themselves left out. What is
    linked to in `folder`, as what is installed, is not the author's (apart.py).
    """
    others = frozenset(path.name for path in folder.iterdir() if path.is_symlink())
    own = {path.stem for path in folder.iterdir() if path.name not in others}
    found: set[str] = set()
    for data in own_texts(folder, ".py", others, Boundary(folder, refuses=False)):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            found.update(_imports(ast.parse(data).body))
    return sorted(name for name in found if name.partition(".")[0] not in own)


def own_texts(folder: Path, suffix: str, others: frozenset[str], boundary: Boundary) -> Iterator[bytes]:
    """The author's own files: not many, and none that is huge. `others`: what in `folder` itself is not theirs. Raises
    InvalidArgument, OutsideProject, OSError.
    """
    count = 0

    def is_others(path: str) -> bool:
        return path in others or path.rpartition("/")[2] == "node_modules"

    for found in boundary.walk(folder, skips=is_others, suffix=suffix):
        if not found.is_folder and found.status.st_size <= _LARGEST:
            count += 1
            if count > _MOST_FILES:
                return
            with open(found.descriptor, "rb", closefd=False) as file:
                yield file.read(_LARGEST)


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
            yield statement.module
        elif isinstance(statement, ast.If | ast.Try):
            yield from _imports(statement.body)
