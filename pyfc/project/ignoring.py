"""`.fcignore` and `.funignore`: what in a folder is no code, by the rules of `.gitignore`."""

from __future__ import annotations

import re
from pathlib import Path

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from pyfc.boundary import Boundary
from pyfc.errors import ProjectError
from pyfc.project.files import is_there, read_bytes

try:  # in linear time, whatever a pattern is made of
    import re2
except ImportError:
    re2 = None

NAMES = (".fcignore", ".funignore")
_MOST = 64 * 1024
_BACKEND = "re2" if re2 is not None else "simple"


def apply(folder: Path, boundary: Boundary) -> list[Path]:
    """Leave out what these files in a folder say, and return those that are there. Raises ProjectError."""
    found = [folder / name for name in NAMES if is_there(folder / name)]
    lines = [(path, number, line) for path in found for number, line in enumerate(_lines(path, boundary), 1)]
    for path, number, line in lines:
        try:
            GitIgnoreSpec.from_lines([line], backend="simple")
        except (GitIgnorePatternError, re.error, ValueError) as error:
            raise ProjectError(where=f"{path}:{number}", message=f"is no pattern: {error}") from error
    if lines:
        spec = GitIgnoreSpec.from_lines([line for _, _, line in lines], backend=_BACKEND)
        boundary.ignore(folder, lambda path: spec.check_file(path).include)
    return found


def _lines(path: Path, boundary: Boundary) -> list[str]:
    try:
        return read_bytes(path, boundary, most=_MOST).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ProjectError(where=str(path), message=f"can not be read: {error}") from error
