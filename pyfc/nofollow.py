"""Folders that somebody else writes (a worker, an installer, the author of a project), used without following links.

1. The path of the folder itself is the server's own; only what lies in it is foreign.
2. Every step below it goes by a descriptor of the folder above: a name that becomes a link meanwhile is not followed.
3. What is neither a plain file nor a folder is never opened. A file with a second name may be anybody's: `seal` refuses
   it as well.
4. The depth of a folder costs neither descriptors nor stack without bound.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyfc.errors import InvalidArgument

_DEEPEST = 200
"""Folders in each other; each holds a descriptor during a walk."""
_PIECE = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Entry(NamedTuple):
    """Something in a foreign folder, as it was when it was seen."""

    parent: int
    """Descriptor of the folder it lies in; open until the walk goes on."""
    name: str
    path: str
    """From the folder that is walked."""
    status: os.stat_result
    """Of the entry itself, also if that is a link."""


@contextlib.contextmanager
def opened_folder(path: str | Path, parent: int | None = None) -> Iterator[int]:
    """A descriptor of a folder that is no link. Raises OSError."""
    descriptor = os.open(path, _FOLDER, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def walk(folder: Path) -> Iterator[Entry]:
    """Everything in `folder`, a folder before what lies in it. Raises InvalidArgument if folders are nested too deep,
    OSError if one can not be read.
    """
    with opened_folder(folder) as root:
        yield from _walk(root, "", 0)


def _walk(parent: int, above: str, depth: int) -> Iterator[Entry]:
    if depth > _DEEPEST:
        raise InvalidArgument(message=f"more than {_DEEPEST} folders lie in each other, at {above[:200]!r}")
    for name in sorted(os.listdir(parent)):
        entry = Entry(parent, name, f"{above}{name}", os.stat(name, dir_fd=parent, follow_symlinks=False))
        yield entry
        if stat.S_ISDIR(entry.status.st_mode):
            with opened_folder(name, parent) as inside:
                yield from _walk(inside, f"{entry.path}/", depth + 1)


def open_plain(name: str | Path, parent: int | None = None, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a plain file, not of a link, pipe, socket or device. Raises InvalidArgument or OSError."""
    descriptor = os.open(name, flags | _PLAIN, dir_fd=parent)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise InvalidArgument(message=f"{os.fspath(name)!r} is no plain file")


def seal(folder: Path, folder_mode: int, file_mode: int) -> None:
    """Give `folder` and all in it these rights. Raises InvalidArgument, with nothing changed, if anything in it is
    neither a folder nor a plain file of a single name.
    """
    for entry in walk(folder):
        _expect_plain(entry)
    for entry in walk(folder):
        if not stat.S_ISDIR(entry.status.st_mode):
            _set_mode(open_plain(entry.name, entry.parent), file_mode)
        else:
            _set_mode(os.open(entry.name, _FOLDER, dir_fd=entry.parent), folder_mode)
    _set_mode(os.open(folder, _FOLDER), folder_mode)


def _expect_plain(entry: Entry) -> None:
    mode = entry.status.st_mode
    if not stat.S_ISDIR(mode) and not (stat.S_ISREG(mode) and entry.status.st_nlink == 1):
        raise InvalidArgument(message=f"{entry.path[:200]!r} is neither a folder nor a plain file")


def copy_plain(source: Path, target: Path, most: int) -> None:
    """Make `target`, a new folder, a copy of `source` that everybody may read. Whoever still holds a file of `source`
    open can not change it. Raises InvalidArgument if there is anything but folders and plain files of a single name, or
    more than `most` bytes; OSError. What has been copied by then stays.
    """
    target.mkdir()
    for entry in walk(source):
        _expect_plain(entry)
        if stat.S_ISDIR(entry.status.st_mode):
            (target / entry.path).mkdir()
            continue
        descriptor = open_plain(entry.name, entry.parent)
        try:
            most = _copy(descriptor, target / entry.path, most)
        finally:
            os.close(descriptor)
    seal(target, 0o755, 0o644)


def _copy(descriptor: int, target: Path, most: int) -> int:
    """How many bytes may still come."""
    if os.fstat(descriptor).st_nlink != 1:
        raise InvalidArgument(message=f"{target.name[:200]!r} has a second name")
    with target.open("xb") as file:
        while piece := os.read(descriptor, _PIECE):
            most -= len(piece)
            if most < 0:
                raise InvalidArgument(message="there is more than may be copied")
            file.write(piece)
    return most


def _set_mode(descriptor: int, mode: int) -> None:
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a link itself, or a folder with all in it, whatever rights and depth it has; nothing happens if it
    is not there. Raises OSError for what stays.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return
    except OSError:  # a folder: EISDIR on Linux, EPERM elsewhere
        _make_ours(path.name, path.parent)
        with opened_folder(path) as root:
            _empty(root)
        path.rmdir()


def _empty(root: int) -> None:
    """Folders in folders come up to `root` and are emptied there, so a deep one costs no more than a flat one."""
    failure: OSError | None = None
    waiting = [*os.listdir(root)]
    while waiting:
        name = waiting.pop()
        try:
            if not _unlinked(name, root):
                waiting += _flattened(name, root)
                os.rmdir(name, dir_fd=root)
        except FileNotFoundError:
            continue
        except OSError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def _unlinked(name: str, parent: int) -> bool:
    """Whether that was no folder, and is gone."""
    if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        return False
    os.unlink(name, dir_fd=parent)
    return True


def _flattened(name: str, root: int) -> list[str]:
    """Empty a folder in `root` of everything but other folders, which get names in `root`: these."""
    _make_ours(name, root)
    found = []
    with opened_folder(name, root) as inside:
        for each in os.listdir(inside):
            if not _unlinked(each, inside):
                _make_ours(each, inside)
                found.append(f".gone-{uuid.uuid4().hex}")
                os.rename(each, found[-1], src_dir_fd=inside, dst_dir_fd=root)
    return found


def _make_ours(name: str, parent: int | Path) -> None:
    """Give the owner all rights to a folder that may allow nothing, not even to be opened."""
    with contextlib.ExitStack() as stack:
        above = parent if isinstance(parent, int) else stack.enter_context(opened_folder(parent.resolve()))
        if sys.platform == "linux":
            descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            try:
                os.chmod(f"/proc/self/fd/{descriptor}", 0o700)  # fchmod refuses a descriptor that can not read
            finally:
                os.close(descriptor)
        else:
            os.chmod(name, 0o700, dir_fd=above, follow_symlinks=False)
