"""The files that a project is read from: small ones of text, inside its boundary."""

from __future__ import annotations

import stat
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.errors import InvalidArgument, ProjectError

MOST = 1024 * 1024


def read_bytes(path: Path, boundary: Boundary, where: str = "", most: int = MOST) -> bytes:
    """A whole file of at most `most` bytes. Raises ProjectError at `where`, by default the file itself."""
    try:
        return boundary.read(path, most)
    except InvalidArgument as error:
        message = str(error) if where else str(error).removeprefix(f"{path} ")
        raise ProjectError(where=where or str(path), message=message) from error


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder; what cannot be looked at is none."""
    return stat.S_ISDIR(_mode(path, follows=True))


def require_folder(path: Path) -> None:
    """Raises ProjectError for what holds no project."""
    if not is_folder(path):
        raise ProjectError(where=str(path), message="is not a folder; give the folder that holds your functions")


def is_file(path: Path) -> bool:
    """Whether a path leads to a plain file; what cannot be looked at is none."""
    return stat.S_ISREG(_mode(path, follows=True))


def is_there(path: Path) -> bool:
    """Whether something has this name, also a link that leads nowhere."""
    return _mode(path, follows=False) != 0


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path leads to a folder or to something in it, by whatever links and names."""
    resolved = path.resolve()
    return any(_is_same(each, folder) for each in (resolved, *resolved.parents))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _mode(path: Path, *, follows: bool) -> int:
    try:
        return path.stat(follow_symlinks=follows).st_mode
    except (OSError, ValueError):
        return 0
