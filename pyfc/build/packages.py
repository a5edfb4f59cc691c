"""What in a folder of code was put there by an installer, and what its author's own files import.

A name in the RECORD of a `*.dist-info` folder is an installed one (pip install -t); everything else is the author's.
Nothing is imported or run: files are read.
"""

from __future__ import annotations

import ast
import contextlib
import csv
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_MOST_FILES = 200
_LARGEST = 1024 * 1024
_SKIPPED = {".git", ".hg", ".svn", "__pycache__", ".venv"}


def is_no_part(name: str) -> bool:
    """Whether a file or folder of this name is no part of a function: version control, compiled files, editor locks."""
    return name in _SKIPPED or name.startswith(".#")


def installed(folder: Path) -> frozenset[str]:
    """The folders directly in `folder` that installed packages consist of."""
    names: set[str] = set()
    for record in folder.glob("*.dist-info/RECORD"):
        names.add(record.parent.name)
        with contextlib.suppress(OSError):
            names.update(_listed(record, record.stat().st_mtime_ns))
    return frozenset(name for name in names if name not in {"..", "bin"} and (folder / name).is_dir())


@lru_cache(maxsize=1024)
def _listed(record: Path, _changed: int) -> frozenset[str]:
    """What a RECORD lists, directly in its folder; read again when the file has changed. Raises OSError."""
    names: set[str] = set()
    with contextlib.suppress(UnicodeDecodeError, csv.Error), record.open(encoding="utf-8") as file:
        names.update(row[0].partition("/")[0] for row in csv.reader(file) if row and "/" in row[0])
    return frozenset(names)


def imported(folder: Path) -> list[str]:
    """The modules that the author's own files import when they are loaded, their own among themselves left out. What is
    linked to in `folder`, as what is installed, is not the author's (bundle.py).
    """
    others = frozenset(path.name for path in folder.iterdir() if path.is_symlink())
    own = {path.stem for path in folder.iterdir() if path.name not in others}
    found: set[str] = set()
    for path in own_files(folder, ".py", others):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, OSError):
            found.update(_imports(ast.parse(path.read_bytes()).body))
    return sorted(name for name in found if name.partition(".")[0] not in own)


def own_files(folder: Path, suffix: str, others: frozenset[str]) -> Iterator[Path]:
    """The author's own files: not many, and none that is huge. `others`: what in `folder` itself is not theirs."""
    left, count = [folder], 0
    while left:
        place = left.pop()
        for path in sorted(place.iterdir()):
            if is_no_part(path.name) or path.name == "node_modules" or (place == folder and path.name in others):
                continue
            if path.is_dir() and not path.is_symlink():
                left.append(path)
            elif path.suffix == suffix and path.is_file() and path.stat().st_size <= _LARGEST:
                count += 1
                if count > _MOST_FILES:
                    return
                yield path


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
            yield statement.module
        elif isinstance(statement, ast.If | ast.Try):
            yield from _imports(statement.body)
