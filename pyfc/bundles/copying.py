"""Copies code: while hashing it, so that the hash is that of the copy, or over what is there already."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator
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
                (target / each.path).mkdir()
            else:
                self._found(boundary, source, each, target / each.path)
        return frozenset(names)

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


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """What can not be read inside is its author's to mend. Raises InvalidArgument."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:  # it is the copy that can not be written
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
