"""What belongs to a project, and the one way in which its files are found, followed and opened.

1. A project is the nearest folder upward that holds `.git`, else the folder itself. What leads out of it is refused:
   CodeUri, files that a template names, links. Who clones a repository gives its functions that repository, not ~/.ssh.
2. Links inside are followed, and what was opened is asked where it lies: a path that changes meanwhile gains nothing.
3. What can be no code (a link that leads nowhere or in a circle, a pipe, a device, what may not be read) is left out
   and named. It stops nothing.
4. What the project itself says to be no code (`.fcignore`, `.funignore`) is no part of any walk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pyfc import nofollow
from pyfc.errors import InvalidArgument, OutsideProject

MOST_ENTRIES = 100_000
_DEEPEST, _LONGEST = 100, 3000
"""Folders in each other, and bytes of a path, of what is copied."""
_SHOWN = 20
_SKIPPED = {".git", ".hg", ".svn", "__pycache__", ".venv"}
_KINDS = {
    stat.S_IFIFO: "is a named pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}
_ABSENT = {
    errno.EACCES: "may not be read",
    errno.EPERM: "may not be read",
    errno.ENOENT: "leads nowhere",
    errno.ENOTDIR: "leads nowhere",
    errno.ELOOP: "is a link in a circle",
    errno.ENXIO: "can not be read",
    errno.ENODEV: "can not be read",
    errno.ENAMETOOLONG: "has too long a name",
}
"""What is wrong with one file; any other error is the machine's, and no reason to go on without the file."""


def is_no_part(name: str) -> bool:
    """Whether a file or folder of this name is no part of a function: version control, compiled files, editor locks."""
    return name in _SKIPPED or name.startswith(".#")


def root_of(folder: Path) -> Path:
    """The project that `folder` is in. A home, or what is above one, is a project only for who serves it itself."""
    real = Path(os.path.realpath(folder))
    home = Path(os.path.realpath(Path("~").expanduser()))
    for place in (real, *real.parents):
        if place != real and home.is_relative_to(place):
            break
        if _holds_repository(place, real):
            return place
    return real


def _holds_repository(place: Path, folder: Path) -> bool:
    """Whether `.git` is there, as a folder, file or link, and is not somebody else's (as one in /tmp may be)."""
    try:
        return os.lstat(place / ".git").st_uid in {os.geteuid(), folder.stat().st_uid}
    except OSError:
        return False


class Found(NamedTuple):
    """A file or folder of a project."""

    path: str
    """From the folder that is walked."""
    descriptor: int
    """Open for reading until the walk goes on."""
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Whether it holds others, which come next."""
        return stat.S_ISDIR(self.status.st_mode)


class Boundary:
    """The one folder that what is read must lie in; None for no bounds (--allow-outside). `refuses`: whether a link
    that leads out of it is an error; else it is left out.
    """

    def __init__(self, root: Path | None, *, refuses: bool = True) -> None:
        self.refuses = refuses
        self.root = Path(os.path.realpath(root)) if root is not None else None
        self.followed: dict[Path, Path] = {}
        """Links that were followed, and where they led."""
        self._left_out: dict[str, None] = {}
        self._ignored: list[tuple[Path, Callable[[str], bool | None]]] = []
        """Folders with rules of what in them is no code, those further up first."""

    @classmethod
    def of(cls, folder: Path, *, allows_outside: bool = False) -> Boundary:
        """That of the project that `folder` is in."""
        return cls(None if allows_outside else root_of(folder))

    @property
    def left_out(self) -> list[str]:
        """What was left out, in words."""
        found = list(self._left_out)
        more = [f"and {len(found) - _SHOWN} more are left out"] if len(found) > _SHOWN else []
        return found[:_SHOWN] + more

    def ignore(self, folder: Path, decide: Callable[[str], bool | None]) -> None:
        """Leave out of every walk what `decide` says true of: it is given the path from `folder`, of a folder with a
        slash at its end, and None means that it does not say. Of several that say, the one furthest down counts.
        """
        real = Path(os.path.realpath(folder))
        self._ignored = [each for each in self._ignored if each[0] != real] + [(real, decide)]
        self._ignored.sort(key=lambda each: len(each[0].parts))

    def is_ignored(self, path: Path, *, is_folder: bool) -> bool:
        """Whether a file or folder at a path without links was said to be no code."""
        found = False
        for folder, decide in self._ignored:
            if path.is_relative_to(folder) and path != folder:
                said = decide(str(path.relative_to(folder)) + ("/" if is_folder else ""))
                found = found if said is None else said
        return found

    def names(self, folder: Path) -> frozenset[str]:
        """What lies in a folder but for what was said to be no code. Raises OSError."""
        found = frozenset(each.name for each in folder.iterdir())
        if not self.ignores:
            return found
        real = Path(os.path.realpath(folder))
        return frozenset(name for name in found if not self.is_ignored(real / name, is_folder=(real / name).is_dir()))

    @property
    def ignores(self) -> bool:
        """Whether anything was said to be no code."""
        return bool(self._ignored)

    def leave_out(self, path: Path, why: str) -> None:
        """Note that something is left out."""
        self._left_out[f"{_shown(path)} {why}: it is left out"] = None

    def check(self, path: Path) -> Path:
        """The path without links, which are known to be followed from then on. Raises OutsideProject, InvalidArgument
        for what can be no path.
        """
        try:
            real = Path(os.path.realpath(path))
        except ValueError as error:
            raise InvalidArgument(message=f"{_shown(path)} can be no path: {error}") from error
        self._check(path, real)
        if real != Path(os.path.normpath(path)):
            self.followed[path] = real
        return real

    def _check(self, path: Path, real: Path) -> None:
        if self.root is not None and not real.is_relative_to(self.root):
            raise OutsideProject(path=_shown(path), root=self.root)

    @contextlib.contextmanager
    def opened(self, path: Path) -> Iterator[tuple[int, os.stat_result]]:
        """A file or folder, open for reading, and its status. Raises InvalidArgument, OutsideProject."""
        descriptor = self._open(path)
        try:
            yield descriptor, os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def read(self, path: Path, most: int) -> bytes:
        """The contents of a file of at most `most` bytes. Raises InvalidArgument, OutsideProject."""
        with self.opened(path) as (descriptor, status):
            if stat.S_ISDIR(status.st_mode):
                raise InvalidArgument(message=f"{_shown(path)} is a folder; it must be a file")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(most + 1)
        if len(data) > most:
            raise InvalidArgument(message=f"{_shown(path)} has more than {most} bytes")
        return data

    def walk(
        self,
        folder: Path,
        *,
        skips: Callable[[str], bool] = lambda _: False,
        suffix: str = "",
        apart: Path | None = None,
        most: int = MOST_ENTRIES,
    ) -> Iterator[Found]:
        """What of `folder` is code, a folder before what lies in it: without the paths that `skips` names, without
        files of another suffix, virtual environments, and the folder `apart`. Raises InvalidArgument for more than
        `most` files and folders, OutsideProject.
        """
        status = apart.stat() if apart is not None and apart.exists() else None
        walk = _Walk(self, folder, skips, suffix, status, most)
        with self.opened(folder) as (descriptor, itself):
            yield from walk.inside(descriptor, "", [itself])

    def _open(self, path: Path) -> int:
        try:
            found = nofollow.follow(path)
        except OSError as error:
            raise InvalidArgument(message=f"{_shown(path)} can not be read: {error.strerror}") from error
        except ValueError as error:
            raise InvalidArgument(message=f"{_shown(path)} can be no path: {error}") from error
        try:
            self._check(path, nofollow.location(found))
            kind = _KINDS.get(stat.S_IFMT(os.fstat(found).st_mode))
            if kind is not None:
                raise InvalidArgument(message=f"{_shown(path)} {kind}; it must be a file or folder")
            return nofollow.reading(found)
        except OSError as error:
            raise InvalidArgument(message=f"{_shown(path)} can not be read: {error.strerror}") from error
        finally:
            os.close(found)

    def follow(self, path: Path, name: str, parent: int) -> int | None:
        """A descriptor of what a link at `path` leads to, as `nofollow.follow` gives it; None if that is a virtual
        environment. Raises OSError, OutsideProject.
        """
        found = nofollow.follow(name, parent)
        try:
            if _is_environment(found):
                os.close(found)
                return None
            real = nofollow.location(found)
            self._check(path, real)
        except BaseException:
            os.close(found)
            raise
        self.followed[path] = real
        return found


class _Walk:
    """One walk through a folder."""

    def __init__(
        self,
        boundary: Boundary,
        folder: Path,
        skips: Callable[[str], bool],
        suffix: str,
        apart: os.stat_result | None,
        most: int,
    ) -> None:
        self._boundary = boundary
        self._folder = folder
        self._skips = skips
        self._suffix = suffix
        self._apart = apart
        self._most = most
        self._count = 0
        self._real = Path(os.path.realpath(folder)) if boundary.ignores else None

    def inside(self, parent: int, above: str, around: list[os.stat_result]) -> Iterator[Found]:
        """What lies in the folder that is open as `parent`; `around` is the folder itself and those above it."""
        for name in sorted(os.listdir(parent)):
            path = above + name
            if is_no_part(name) or self._skips(path) or not self._is_shallow(path, name, around):
                continue
            descriptor = self._opened(parent, name, path)
            if descriptor is None:
                continue
            try:
                found = Found(path, descriptor, os.fstat(descriptor))
                if self._is_ignored(found):
                    continue
                if not found.is_folder:
                    yield self._counted(found)
                elif not self._is_left(found, around):
                    yield self._counted(found)
                    yield from self.inside(descriptor, f"{path}/", [*around, found.status])
            finally:
                os.close(descriptor)

    def _is_ignored(self, found: Found) -> bool:
        return self._real is not None and self._boundary.is_ignored(self._real / found.path, is_folder=found.is_folder)

    def _counted(self, found: Found) -> Found:
        self._count += 1
        if self._count > self._most:
            place = _shown(self._folder / found.path)
            raise InvalidArgument(message=f"the code has more than {self._most} files and folders, at {place}")
        return found

    def _is_shallow(self, path: str, name: str, around: list[os.stat_result]) -> bool:
        """Whether a name can be kept: it is text, and does not lie too deep."""
        why = ""
        if len(around) > _DEEPEST or len(os.fsencode(path)) > _LONGEST:
            why = "lies too deep"
        elif not _is_text(name):
            why = "is no UTF-8"
        if why:
            self._boundary.leave_out(self._folder / path, why)
        return not why

    def _opened(self, parent: int, name: str, path: str) -> int | None:
        """A descriptor that reads a file or folder; None for what is left out."""
        try:
            return self._open(parent, name, path)
        except OutsideProject:
            if self._boundary.refuses:
                raise
            self._boundary.leave_out(self._folder / path, "leads out of the project")
        except InvalidArgument:  # it has become something else since it was looked at
            self._boundary.leave_out(self._folder / path, "is no plain file")
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            self._boundary.leave_out(self._folder / path, _ABSENT[error.errno])
        return None

    def _open(self, parent: int, name: str, path: str) -> int | None:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            if not self._is_wanted(status, path):
                return None
            return _plain_or_folder(parent, name, status)
        found = self._boundary.follow(self._folder / path, name, parent)
        if found is None:
            return None
        try:
            return nofollow.reading(found) if self._is_wanted(os.fstat(found), path) else None
        finally:
            os.close(found)

    def _is_wanted(self, status: os.stat_result, path: str) -> bool:
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is not None:
            self._boundary.leave_out(self._folder / path, kind)
        return kind is None and (stat.S_ISDIR(status.st_mode) or path.endswith(self._suffix))

    def _is_left(self, found: Found, around: list[os.stat_result]) -> bool:
        """Whether a folder is none of the code's."""
        if any(os.path.samestat(found.status, each) for each in around):
            self._boundary.leave_out(self._folder / found.path, "is a link to a folder that contains it")
            return True
        is_apart = self._apart is not None and os.path.samestat(found.status, self._apart)
        return is_apart or _is_environment(found.descriptor)


def _plain_or_folder(parent: int, name: str, status: os.stat_result) -> int:
    if not stat.S_ISDIR(status.st_mode):
        return nofollow.open_plain(name, parent)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def _is_environment(descriptor: int) -> bool:
    """Whether this is a folder that holds a virtual environment of Python."""
    try:
        os.stat("pyvenv.cfg", dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return False
    return True


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: Path) -> str:
    """A path in a message: as it is, unless something in it is not to be printed."""
    text = str(path)
    return text if text.isprintable() else repr(text)
