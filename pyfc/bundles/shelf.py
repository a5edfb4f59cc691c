"""Folders that bear the digest of what is in them, read-only. A folder is built beside and renamed into place: it is
whole or not there. What comes into it, and from where, is for others to know.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from pyfc import nofollow
from pyfc.bundles.copying import CodeLimits, Copy
from pyfc.errors import keeping

_NEW = ".new-"
_BOOTSTRAP = "bootstrap"
_READ_ONLY = 0o555
"""For whatever user the worker runs as."""


class Shelf:
    """The folders of one kind, in `data_folder`/`name`."""

    def __init__(self, data_folder: Path, name: str, limits: CodeLimits) -> None:
        self.limits = limits
        self._data_folder = data_folder.resolve()
        self._place = data_folder / name
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._place.chmod(0o755)
        remove(*self._place.glob(_NEW + "*"))

    def folder(self, digest: str) -> Path:
        """Where the folder with this digest lies, if it is there."""
        return self._place / digest

    def has(self, digest: str) -> bool:
        """Whether the folder with this digest is there."""
        return self.folder(digest).is_dir()

    def copy(self, folder: Path) -> Copy:
        """A copy into a folder that is being filled."""
        return Copy(folder, self._data_folder, self.limits)

    def build(self, fill: Callable[[Path], str]) -> str:
        """Let `fill` fill a new folder, and give it the digest it returns as its name. Raises StorageFull."""
        with keeping():
            return self._built(fill)

    def _built(self, fill: Callable[[Path], str]) -> str:
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._place))
        try:
            digest = fill(new)
            if self.folder(digest).exists():
                remove(new)
            else:
                _protect(new)
                _put_in_place(new, self.folder(digest))
        except BaseException:
            remove(new)
            raise
        return digest

    def taken_away(self, kept: set[str]) -> list[Path]:
        """The folders of all other digests, under names by which nobody finds them."""
        return taken_away(self._place, kept)


def taken_away(place: Path, kept: set[str]) -> list[Path]:
    """What lies in `place` and whose name does not begin with a digest in `kept`, under names by which nobody finds
    it.
    """
    unwanted = [each for each in place.iterdir() if each.name.partition("-")[0] not in kept]
    return [each.rename(each.with_name(_NEW + uuid.uuid4().hex)) for each in unwanted]


def remove(*paths: Path) -> None:
    """Remove files and folders, read-only ones included; nothing happens if they are not there."""
    for path in paths:
        nofollow.remove(path)


def _protect(folder: Path) -> None:
    """FC's /code is read-only; the program of a custom runtime can be run, whatever its archive or editor has left (as
    `fun` and `s` see to when they deploy).
    """
    for entry in nofollow.walk(folder):
        mode = entry.status.st_mode
        if stat.S_ISREG(mode):
            rights = 0o555 if entry.path == _BOOTSTRAP else mode & 0o555
            nofollow.set_mode(nofollow.open_plain(entry.name, entry.parent), rights)
        elif stat.S_ISDIR(mode):
            nofollow.set_mode(nofollow.open_folder(entry.name, entry.parent), _READ_ONLY)
    nofollow.set_mode(nofollow.open_folder(folder), _READ_ONLY)


def _put_in_place(new: Path, target: Path) -> None:
    """Give a finished folder its name, unless another thread has just done so with the same contents."""
    try:
        os.rename(new, target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        remove(new)
