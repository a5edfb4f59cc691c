"""Copies code while hashing it, so that the hash is that of the copy."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pyfc.build.packages import is_no_part
from pyfc.errors import InvalidArgument


class Copy:
    """One copy, in the folder `root`. A data folder among the files is no part of it."""

    def __init__(self, root: Path, data_folder: Path, maximum_size: int, maximum_files: int) -> None:
        self.size = 0
        self._root = root
        self._entries: list[str] = []
        self._data_folder = data_folder
        self._maximum_size = maximum_size
        self._maximum_files = maximum_files

    def folder(
        self,
        source: Path,
        target: Path,
        above: frozenset[Path] = frozenset(),
        left_out: frozenset[str] = frozenset(),
    ) -> None:
        """Copy a folder but for the names in `left_out`; links are followed, but not in circles."""
        real = source.resolve()
        if real in above:
            raise InvalidArgument(message=f"{source} is a link to a folder that contains it")
        for entry in sorted(os.scandir(source), key=lambda item: item.name):
            path = Path(entry.path)
            if entry.name in left_out or self._skipped(entry, path):
                continue
            if entry.is_dir():
                (target / entry.name).mkdir()
                self.folder(path, target / entry.name, above | {real})
            else:
                self.file(path, target / entry.name)

    def _skipped(self, entry: os.DirEntry[str], path: Path) -> bool:
        if is_no_part(entry.name):
            return True
        return entry.is_dir() and ((path / "pyvenv.cfg").exists() or path.resolve() == self._data_folder)

    def file(self, source: Path, target: Path) -> None:
        """Copy one file."""
        digest = hashlib.sha256()
        with open(source, "rb", opener=_open_without_waiting) as reader, target.open("xb") as writer:
            mode = os.fstat(reader.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise InvalidArgument(message=f"{source} is neither a file nor a folder: it can not be code")
            while chunk := reader.read(1024 * 1024):
                digest.update(chunk)
                writer.write(chunk)
                self.size += len(chunk)
                self._check_size(source)
        target.chmod(0o755 if mode & 0o111 else 0o644)
        name = target.relative_to(self._root)
        self._entries.append(f"{name}\0{mode & 0o111 != 0}\0{digest.hexdigest()}")
        if len(self._entries) > self._maximum_files:
            raise InvalidArgument(message=f"the code has more than {self._maximum_files} files, at {source}")

    def _check_size(self, source: Path) -> None:
        if self.size > self._maximum_size:
            raise InvalidArgument(message=f"the code is larger than {self._maximum_size} bytes, at {source}")

    def digest(self) -> str:
        """The digest of everything copied: names, executable bits, contents."""
        return hashlib.sha256("\n".join(self._entries).encode("utf-8", "surrogateescape")).hexdigest()


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """What can not be read inside is its author's to mend. Raises InvalidArgument."""
    try:
        yield
    except OSError as error:
        raise InvalidArgument(message=f"{error.filename or path} can not be read: {error.strerror}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    """A named pipe among the files must not make the server wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
