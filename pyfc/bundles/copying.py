"""Copies code: while hashing it, so that the hash is that of the copy, or over what is there already."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pyfc import nofollow
from pyfc.boundary import Boundary, Found
from pyfc.build.commands import stand_in
from pyfc.errors import NO_ROOM, InvalidArgument


class CodeLimits(NamedTuple):
    """How much a function's code may be, unpacked."""

    size: int
    """Bytes."""
    files: int
    """With the folders."""


_SHARED = frozenset({"bin", "node_modules"})
"""Folders that several builds may have, each with what the others lack."""

_PACKAGES = "node_modules/"
_COMMANDS = "node_modules/.bin/"


class Copy:
    """One copy, in the folder `root`. A data folder among the files is no part of it."""

    def __init__(self, root: Path, data_folder: Path, limits: CodeLimits) -> None:
        self.size = 0
        self._root = root
        self._entries: list[str] = []
        self._data_folder = data_folder
        self._limits = limits

    def folder(
        self, boundary: Boundary, source: Path, target: Path, left_out: frozenset[str] = frozenset()
    ) -> frozenset[str]:
        """Copy what lies in a folder but for the names in `left_out`, and return the names in it that were copied.
        Raises InvalidArgument, OutsideProject, OSError.
        """
        names = set()
        most = self._limits.files - len(self._entries)
        for each in boundary.walk(source, skips=left_out.__contains__, apart=self._data_folder, most=most):
            names.add(each.path.partition("/")[0])
            if each.is_folder:
                (target / each.path).mkdir(exist_ok=_is_shared(each.path))
            else:
                self._found(boundary, source, each, target / each.path)
        return frozenset(names)

    def built(self, folders: Sequence[Path], target: Path, own: frozenset[str]) -> frozenset[str]:
        """Copy what was built for a folder of code that has the names `own`, as far as neither that nor a folder before
        has it, and return the names that were copied. Raises InvalidArgument, OutsideProject, OSError.
        """
        names: set[str] = set()
        taken = set(own)
        for number, each in enumerate(folders):
            with readable(each):
                parts = _parts(each)
                apart = {path for path in parts if path.startswith(_PACKAGES) and not path.startswith(_COMMANDS)}
                if "node_modules" not in names:
                    apart = set()
                names |= self.folder(Boundary(each), each, target, frozenset(taken | apart))
                if apart:
                    self._beside(each, target, f".{number}", apart - taken)
                taken |= parts
        return frozenset(names)

    def _beside(self, source: Path, target: Path, name: str, packages: set[str]) -> None:
        """Copy the packages of npm that a folder has into one of their own, so that they find each other and nothing of
        other versions, and let links in node_modules lead to these `packages`.
        """
        place = target / "node_modules" / name / "node_modules"
        place.mkdir(parents=True)
        self.folder(Boundary(source), source / "node_modules", place, frozenset({".bin"}))
        for path in sorted(packages):
            (target / path).parent.mkdir(exist_ok=True)
            (target / path).symlink_to(os.path.relpath(place / path.removeprefix(_PACKAGES), (target / path).parent))

    def file(self, boundary: Boundary, source: Path, target: Path) -> None:
        """Copy one file. Raises InvalidArgument, OutsideProject, OSError."""
        with boundary.opened(source) as (descriptor, status):
            if not stat.S_ISREG(status.st_mode):
                raise InvalidArgument(message=f"{source} is neither a file nor a folder: it can not be code")
            with open(descriptor, "rb", closefd=False) as reader:
                self._write(source, reader, status.st_mode, target)

    def _found(self, boundary: Boundary, source: Path, found: Found, target: Path) -> None:
        """Copy a file that the walk through `source` has found."""
        real = boundary.followed.get(source / found.path)
        command = stand_in(source, found.path, real) if real is not None else None
        if command is not None:
            self._write(source / found.path, io.BytesIO(command), 0o755, target)
            return
        with open(found.descriptor, "rb", closefd=False) as reader:
            self._write(source / found.path, reader, found.status.st_mode, target)

    def _write(self, source: Path, reader: BinaryIO, mode: int, target: Path) -> None:
        digest = hashlib.sha256()
        with target.open("xb") as writer:
            while chunk := reader.read(1024 * 1024):
                digest.update(chunk)
                writer.write(chunk)
                self.size += len(chunk)
                self._check_size(source)
        target.chmod(0o755 if mode & 0o111 else 0o644)
        name = target.relative_to(self._root)
        self._entries.append(f"{name}\0{mode & 0o111 != 0}\0{digest.hexdigest()}")

    def _check_size(self, source: Path) -> None:
        if self.size > self._limits.size:
            raise InvalidArgument(message=f"the code is larger than {self._limits.size} bytes, at {source}")

    def digest(self) -> str:
        """The digest of everything copied: names, executable bits, contents."""
        return hashlib.sha256("\n".join(self._entries).encode()).hexdigest()


def _is_shared(path: str) -> bool:
    """Whether what lies in this folder is several packages', not one's."""
    first, *rest = path.split("/")
    return first in _SHARED and (not rest or (len(rest) == 1 and rest[0].startswith(("@", ".bin"))))


def _parts(folder: Path) -> set[str]:
    """What of a build is whole or not there: packages, commands, and all else that lies in it."""
    found, left = set(), [""]
    while left:
        below = left.pop()
        for name in os.listdir(folder / below):
            path = f"{below}/{name}" if below else name
            if _is_shared(path) and (folder / path).is_dir():
                left.append(path)
            else:
                found.add(path)
    return found


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """What cannot be read inside is its author's to mend. Raises InvalidArgument."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:  # it is the copy that cannot be written
            raise
        raise InvalidArgument(message=f"{error.filename or path} can not be read: {error.strerror}") from error


def lay_over(source: Path, target: Path) -> None:
    """Copy a folder over another: of entries with the same name, folders become one and others are replaced."""
    for entry in nofollow.walk(source):
        there, is_folder = target / entry.path, stat.S_ISDIR(entry.status.st_mode)
        if not (is_folder and there.is_dir() and not there.is_symlink()):
            nofollow.remove(there)
        if is_folder:
            there.mkdir(exist_ok=True)
            continue
        if stat.S_ISLNK(entry.status.st_mode):
            there.symlink_to(os.readlink(entry.name, dir_fd=entry.parent))
            continue
        with (
            open(nofollow.open_plain(entry.name, entry.parent), "rb") as reader,
            there.open("xb") as writer,
        ):
            shutil.copyfileobj(reader, writer)
        there.chmod(stat.S_IMODE(entry.status.st_mode))
