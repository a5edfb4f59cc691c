"""Which folders `pyfc dev` watches: those that the copy of the code goes through, with links followed as it does.

Folders are watched one by one, since who watches a whole tree follows every link in it, also one to `/`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pyfc import nofollow
from pyfc.boundary import Boundary
from pyfc.errors import InvalidArgument
from pyfc.project.files import is_folder
from pyfc.project.interface import Project

SKIPPED = {".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".idea", ".vscode"}
_NO_FILES = "/"
"""No name ends like this, so a walk finds folders only."""
_GRAIN = 0.02
"""Seconds by which the times of files may lie behind the clock: they are those of the kernel's last tick."""


class Watched(NamedTuple):
    """What is watched."""

    folders: frozenset[Path]
    """By their real paths."""
    links: Mapping[Path, Path]
    """Links in the code that were followed, and where they led."""
    anchors: Mapping[Path, tuple[int, int] | None]
    """What these paths were: the folder itself, its code, and links. Nobody tells when that is exchanged."""

    def is_exchanged(self) -> bool:
        """Whether a folder has gone, come or become another one, or a link leads elsewhere."""
        return any(_identity(path) != known for path, known in self.anchors.items())

    def concerns(self, path: Path) -> bool:
        """Whether a change at `path` may change what is to be watched: a folder or a link that is there, or was."""
        if path.is_symlink() or is_folder(path) or path in self.folders:
            return True
        return not os.path.lexists(path) and any(anchor.name == path.name for anchor in self.anchors)

    def leads_to(self, path: Path) -> bool:
        """Whether some code has what lies at `path` by a link."""
        return any(path.is_relative_to(target) for target in self.links.values())

    def saved_since(self, moment: float, is_of_interest: Callable[[str], bool]) -> bool:
        """Whether something in the folders has come, gone or changed since then, in seconds since the epoch."""
        return any(_has_changed(folder, moment - _GRAIN, is_of_interest) for folder in self.folders)


def look(project: Project, data_folder: Path, most: int) -> Watched:
    """What is to be watched for `project`; `most`: files and folders of one function that are looked at."""
    boundary = Boundary(project.boundary.root, refuses=False)
    root = Path(os.path.realpath(project.root))
    codes = {each.code for each in project.functions if each.code is not None}
    folders = {root, *(Path(os.path.realpath(path)).parent for path in project.files)}
    if project.source is None:
        folders.update(_below(root, data_folder))
    for code in codes:
        folders.update(_of_code(code, boundary, data_folder, most))
    links = boundary.followed
    folders.update(target.parent for target in itertools.filterfalse(is_folder, links.values()))
    anchors = {path: _identity(path) for path in (project.root, *codes, *links, *project.boundary.followed)}
    found_folders = frozenset(filter(is_folder, folders))
    return Watched(found_folders or frozenset({_nearest(root)}), links, anchors)


def _of_code(code: Path, boundary: Boundary, data_folder: Path, most: int) -> Iterator[Path]:
    """The folders that the copy of some code goes through."""
    real = Path(os.path.realpath(code))
    if not is_folder(real):
        yield real.parent
        return
    yield real
    with contextlib.suppress(InvalidArgument, OSError):  # the copy says what is wrong with it
        for found in boundary.walk(code, skips=_is_skipped, suffix=_NO_FILES, apart=data_folder, most=most):
            yield nofollow.location(found.descriptor)


def _below(root: Path, data_folder: Path) -> Iterable[Path]:
    """The folders of a bare folder that may become functions."""
    with contextlib.suppress(OSError):
        for path in root.iterdir():
            if not _is_skipped(path.name) and is_folder(path) and path != data_folder:
                yield path


def _nearest(path: Path) -> Path:
    """The first folder upward that is there."""
    return next(each for each in (path, *path.parents) if is_folder(each))


def _is_skipped(path: str) -> bool:
    return path.rpartition("/")[2] in SKIPPED


def _has_changed(folder: Path, moment: float, is_of_interest: Callable[[str], bool]) -> bool:
    """By the time of a change of the inode, which no program sets back: that of a folder tells what has gone."""
    try:
        if folder.stat().st_ctime >= moment:
            return True
        with os.scandir(folder) as entries:
            return any(
                is_of_interest(each.path) and each.stat(follow_symlinks=False).st_ctime >= moment for each in entries
            )
    except OSError:  # it has gone meanwhile
        return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
