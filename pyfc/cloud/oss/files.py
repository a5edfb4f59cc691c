"""The folder of a bucket: where a key's file lies, and how it is read and replaced without following a link.

A key that is a path of the folder has its file there, so that people see it. Any other lies aside, in `.pyfc/aside`
under the digest of its key: one with empty parts, `.` or `..`, or with NUL, one longer than the disk allows, one whose
place is taken by a folder or a link. `.pyfc` also has what is being written. It lies in the bucket's folder, but for
folders of projects: these hold objects and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pyfc import nofollow
from pyfc.cloud.database import SideEffects
from pyfc.cloud.oss import saving
from pyfc.cloud.oss.model import Object, Seen
from pyfc.cloud.oss.saving import Named, Where
from pyfc.errors import InvalidArgument

OWN = ".pyfc"
"""The folder in a bucket that is no part of it."""
_ASIDE, _NEW, _PARTS = "aside", "new", "parts"
_TAKEN = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTEMPTY}
"""The place of a key is taken: a part of the path is a file or a link, or the place is a folder."""
_PIECE = 1024 * 1024
_LONGEST_NAME, _LONGEST_KEY = 255, 1023
_UNFINISHED = ("~", ".part", ".crdownload")
_DEEPEST = 64


def path_of(key: str) -> str | None:
    """The path of a key's file, None if it can only lie aside."""
    parts = key.split("/")
    if "\0" in key or parts[0] == OWN or len(parts) > _DEEPEST:
        return None
    if any(part in {"", ".", ".."} or len(part.encode()) > _LONGEST_NAME for part in parts):
        return None
    return key


def key_of(path: str) -> str | None:
    """The key of a file at this path of a bucket's folder; None for what is nobody's object: the store's own files,
    hidden ones, and what programs write before they rename it.
    """
    name = path.rpartition("/")[2]
    if name.startswith(".") or name.endswith(_UNFINISHED) or path.startswith(f"{OWN}/"):
        return None
    try:
        is_long = len(path.encode()) > _LONGEST_KEY
    except UnicodeEncodeError:  # its name is not UTF-8
        return None
    return None if is_long or path.startswith("\\") else path_of(path)


class Files:
    """The folder of one bucket. Everything raises OSError.

    Its own folders are held open: whoever may write to the bucket's folder could make links of them.
    """

    def __init__(self, root: Path, home: Path | None = None) -> None:
        """Makes the folder if there is none, and throws away what was being written when a server died. `home`: what
        `.pyfc` lies in, where that is not the bucket's folder.
        """
        self.root = root
        self._home = home or root
        for each in (root, self._home):
            each.mkdir(mode=0o755, parents=True, exist_ok=True)
        with nofollow.opened_folder(self._home) as folder:
            _make(OWN, folder, 0o700)
            with nofollow.opened_folder(OWN, folder) as own:
                for name in (_ASIDE, _NEW, _PARTS):
                    _make(name, own, 0o700)
                self._aside, self._new, self._parts = (
                    nofollow.open_folder(name, own) for name in (_ASIDE, _NEW, _PARTS)
                )
        for name in os.listdir(self._new):
            os.unlink(name, dir_fd=self._new)
        if self.root.stat().st_dev != os.fstat(self._new).st_dev:
            self._sweep()

    def _sweep(self) -> None:
        """Throw away what lay beside files of another disk when a server died."""
        with contextlib.suppress(InvalidArgument):
            for path in [each.path for each in nofollow.walk(self.root, {OWN})]:
                if saving.is_passing(path.rpartition("/")[2]):
                    saving.unlink(partial(self._above, path, makes=False))

    def close(self) -> None:
        """Let the folder go."""
        for descriptor in (self._aside, self._new, self._parts):
            os.close(descriptor)

    def create(self) -> tuple[str, int]:
        """A new file for what is to be written: its name, and a descriptor."""
        name = secrets.token_hex(16)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return name, os.open(name, flags, 0o644, dir_fd=self._new)

    def discard(self, new: str) -> None:
        """Remove what was written for nothing."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=self._new)

    @property
    def descriptor(self) -> int:
        """One of the folder's, open as long as this is."""
        return self._new

    def keep(
        self, new: str, descriptor: int, key: str, effects: SideEffects, *, is_durable: bool = True
    ) -> tuple[bool, Seen]:
        """In a write: make what was written, and is open, the file of a key, durably if told so. Whether it lies aside,
        and by what it is known.
        """
        path = path_of(key)
        if path is not None:
            try:
                effects.add(partial(self._prune, path))
                with self._above(path, makes=True) as (folder, name):
                    _expect_file(name, folder)
                    self._save(folder, name, partial(self._above, path, makes=False), effects, path)
                    now = self._place(new, descriptor, folder, name)
                    if is_durable:
                        os.fsync(folder)
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
            else:
                return False, now
        self._replace(new, self._aside, _digest(key), effects)
        if is_durable:
            os.fsync(self._aside)
        return True, seen(descriptor)

    def _replace(self, new: str, folder: int, name: str, effects: SideEffects) -> None:
        """Make what was written a file in a folder that stays open."""
        self._save(folder, name, lambda: contextlib.nullcontext((folder, name)), effects)
        os.replace(new, name, src_dir_fd=self._new, dst_dir_fd=folder)

    def _save(self, folder: int, name: str, where: Where, effects: SideEffects, path: str = "") -> None:
        """Before a file comes, is replaced or removed: if the write fails, what is there now is there again. `path`: of
        one in the bucket's folder.
        """
        saving.save(Named(folder, name, where), self._new, effects, partial(self._prune, path))

    def _place(self, new: str, descriptor: int, folder: int, name: str) -> Seen:
        try:
            os.replace(new, name, src_dir_fd=self._new, dst_dir_fd=folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            return seen(descriptor)
        return self._carry(new, descriptor, folder, name)

    def _carry(self, new: str, descriptor: int, folder: int, name: str) -> Seen:
        """The same where a project's folder is on another disk: it comes there under a name of its own first."""
        passing = saving.passing(new)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(passing, flags, 0o644, dir_fd=folder)
        try:
            with os.fdopen(os.dup(descriptor), "rb") as source, os.fdopen(os.dup(target), "wb") as copy:
                source.seek(0)
                shutil.copyfileobj(source, copy, _PIECE)
            os.fsync(target)
            os.replace(passing, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)  # at once: nobody syncs that disk later
            now = seen(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(passing, dir_fd=folder)
            raise
        finally:
            os.close(target)
        os.unlink(new, dir_fd=self._new)
        return now

    def keep_part(self, new: str, upload: str, number: int, effects: SideEffects) -> None:
        """In a write: make what was written a part of an upload."""
        self._replace(new, self._parts, f"{upload}-{number}", effects)

    def open_part(self, upload: str, number: int) -> int:
        """A descriptor of a part."""
        return nofollow.open_plain(f"{upload}-{number}", self._parts)

    def remove_parts(self, upload: str) -> None:
        """Remove all parts of an upload."""
        for name in os.listdir(self._parts):
            if name.startswith(f"{upload}-"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self._parts)

    def open(self, key: str, *, is_aside: bool) -> int:
        """A descriptor of a key's file."""
        if is_aside:
            return nofollow.open_plain(_digest(key), self._aside)
        return nofollow.open_below(self.root, self.root / key)

    @contextlib.contextmanager
    def writing(self, key: str, *, is_aside: bool) -> Iterator[int]:
        """A key's file, open for reading and writing."""
        if is_aside:
            descriptor = nofollow.open_plain(_digest(key), self._aside, os.O_RDWR)
        else:
            with self._above(key, makes=False) as (folder, name):
                descriptor = nofollow.open_plain(name, folder, os.O_RDWR)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def has_any(self) -> bool:
        """Whether there is a file in it that is an object, as far as one can see."""
        found = nofollow.walk(self.root, {OWN})
        try:
            return any(stat.S_ISREG(entry.status.st_mode) and key_of(entry.path) is not None for entry in found)
        except (OSError, InvalidArgument):
            return True

    def remove_if_empty(self) -> None:
        """Remove the folder, if nobody has put anything into it; one of a project stays."""
        with contextlib.suppress(OSError):
            for name in (_ASIDE, _NEW, _PARTS):
                (self._home / OWN / name).rmdir()
            (self._home / OWN).rmdir()
            self._home.rmdir()

    def cut(self, key: str, known: Object) -> None:
        """Make a file that has grown as its row says again."""
        with self.writing(key, is_aside=known.is_aside) as descriptor:
            os.ftruncate(descriptor, known.content.size)
            os.utime(descriptor, ns=(known.seen.modified, known.seen.modified))

    def remove(self, key: str, effects: SideEffects, *, is_aside: bool) -> None:
        """In a write: remove a key's file, and the folders above it that are empty then."""
        name = _digest(key)
        try:
            if is_aside:
                self._save(self._aside, name, lambda: contextlib.nullcontext((self._aside, name)), effects)
                os.unlink(name, dir_fd=self._aside)
                return
            with self._above(key, makes=False) as (folder, name):
                self._save(folder, name, partial(self._above, key, makes=True), effects, key)
                os.unlink(name, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        self._prune(key)

    def _prune(self, key: str) -> None:
        while "/" in key:
            key = key.rpartition("/")[0]
            try:
                with self._above(key, makes=False) as (folder, name):
                    os.rmdir(name, dir_fd=folder)
            except OSError:
                return

    def seen(self, key: str, *, is_aside: bool) -> Seen | None:
        """By what a key's file is known now; None if there is none."""
        try:
            descriptor = self.open(key, is_aside=is_aside)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return seen(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _above(self, path: str, *, makes: bool) -> Iterator[tuple[int, str]]:
        """The folder that a path lies in, and its name there. `makes`: folders that are missing."""
        *folders, name = path.split("/")
        with contextlib.ExitStack() as stack:
            above = stack.enter_context(nofollow.opened_folder(self.root))
            for each in folders:
                if makes:
                    _make(each, above, 0o755)
                above = stack.enter_context(nofollow.opened_folder(each, above))
            yield above, name


def _make(name: str, parent: int, mode: int) -> None:
    """Make a folder if it is missing."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _expect_file(name: str, folder: int) -> None:
    """Raises FileExistsError if the place is taken by anything but a plain file."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def seen(descriptor: int) -> Seen:
    """By what an open file is known."""
    status = os.fstat(descriptor)
    return Seen(status.st_mtime_ns, status.st_ino, status.st_size)
