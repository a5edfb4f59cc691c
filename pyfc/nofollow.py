"""Folders that somebody else writes (a worker, an installer, the author of a project), used without following links.

1. The path of the folder itself is the server's own; only what lies in it is foreign.
2. Every step below it goes by a descriptor of the folder above: a name that becomes a link meanwhile is not followed.
3. What is neither a plain file nor a folder is never opened. A file with a second name may be anybody's: `seal` refuses
   it as well.
4. The depth of a folder costs neither descriptors nor stack without bound.
5. Where a link has to be followed (boundary.py), what was opened is asked where it lies; the path is not asked before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import sys
import uuid
from collections import Counter
from collections.abc import Container, Iterator, Mapping
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
    descriptor = open_folder(path, parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_folder(path: str | Path, parent: int | None = None) -> int:
    """A descriptor of a folder that is no link, for the caller to close. Raises OSError."""
    return os.open(path, _FOLDER, dir_fd=parent)


def walk(folder: Path, skipped: Container[str] = ()) -> Iterator[Entry]:
    """Everything in `folder`, a folder before what lies in it, but for what has a name in `skipped`. Raises
    InvalidArgument if folders are nested too deep, OSError if one cannot be read.
    """
    with opened_folder(folder) as root:
        yield from _walk(root, "", 0, skipped)


def _walk(parent: int, above: str, depth: int, skipped: Container[str]) -> Iterator[Entry]:
    if depth > _DEEPEST:
        raise InvalidArgument(message=f"more than {_DEEPEST} folders lie in each other, at {above[:200]!r}")
    for name in sorted(each for each in os.listdir(parent) if each not in skipped):
        entry = Entry(parent, name, f"{above}{name}", os.stat(name, dir_fd=parent, follow_symlinks=False))
        yield entry
        if stat.S_ISDIR(entry.status.st_mode):
            with opened_folder(name, parent) as inside:
                yield from _walk(inside, f"{entry.path}/", depth + 1, skipped)


def open_plain(name: str | Path, parent: int | None = None, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a plain file, not of a link, pipe, socket or device. Raises InvalidArgument or OSError."""
    descriptor = os.open(name, flags | _PLAIN, dir_fd=parent)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise InvalidArgument(message=f"{os.fspath(name)!r} is no plain file")


def read_plain(path: Path, most: int) -> bytes:
    """At most so many bytes of a plain file. Raises InvalidArgument or OSError."""
    with open(open_plain(path), "rb") as file:
        return file.read(most)


def open_below(root: Path, path: Path) -> int:
    """A descriptor of a plain file somewhere in `root`, whose folders on the way are no links either. Raises
    InvalidArgument or OSError.
    """
    with _folder_of(root, path) as (above, name):
        return open_plain(name, above)


def move(root: Path, path: Path, target: Path) -> None:
    """Rename something in `root`, whose folders on the way are no links, to a place of the server's own. Raises
    InvalidArgument or OSError.
    """
    with _folder_of(root, path) as (above, name):
        os.rename(name, target, src_dir_fd=above)


@contextlib.contextmanager
def _folder_of(root: Path, path: Path) -> Iterator[tuple[int, str]]:
    """The folder that `path` lies in, and its name there."""
    straight = Path(os.path.normpath(path))
    parts = straight.relative_to(root).parts if straight.is_relative_to(root) else ()
    if not parts:
        raise InvalidArgument(message=f"{str(path)[:200]!r} is no file in {root}")
    with contextlib.ExitStack() as stack:
        above = stack.enter_context(opened_folder(root))
        for part in parts[:-1]:
            above = stack.enter_context(opened_folder(part, above))
        yield above, parts[-1]


def follow(name: str | Path, parent: int | None = None) -> int:
    """A descriptor of whatever a path leads to, links followed: ask `location` where that is, and `reading` for its
    contents. On Linux opening it has no effect on a pipe or device. Raises OSError.
    """
    flags = os.O_PATH if sys.platform == "linux" else os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
    return os.open(name, flags | os.O_CLOEXEC, dir_fd=parent)


def location(descriptor: int) -> Path:
    """Where an open file or folder lies, by a path without links. Raises OSError."""
    if sys.platform == "linux":
        path = os.readlink(f"/proc/self/fd/{descriptor}")
    else:
        path = os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    return Path(path)


def reading(descriptor: int) -> int:
    """A descriptor that reads what `follow` has found, a plain file or folder. Raises OSError."""
    if sys.platform != "linux":
        return os.dup(descriptor)
    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def seal(folder: Path, folder_mode: int, file_mode: int) -> None:
    """Give `folder` and all in it these rights. Raises InvalidArgument, with nothing changed, if anything in it is
    neither a folder nor a plain file of a single name.
    """
    for entry in walk(folder):
        _expect_plain(entry)
    for entry in walk(folder):
        if not stat.S_ISDIR(entry.status.st_mode):
            set_mode(open_plain(entry.name, entry.parent), file_mode)
        else:
            set_mode(open_folder(entry.name, entry.parent), folder_mode)
    set_mode(open_folder(folder), folder_mode)


def _expect_plain(entry: Entry) -> None:
    mode = entry.status.st_mode
    if not stat.S_ISDIR(mode) and not (stat.S_ISREG(mode) and entry.status.st_nlink == 1):
        raise InvalidArgument(message=f"{entry.path[:200]!r} is neither a folder nor a plain file")


def copy_plain(source: Path, target: Path, most: int) -> None:
    """Make `target`, a new folder, a copy of `source` that everybody may read. Whoever still holds a file of `source`
    open cannot change it. Raises InvalidArgument if there is anything but folders and plain files of a single name, or
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


def adopt(folder: Path) -> None:
    """Make `folder`, which its writers have left for good, the server's own: owner, and rights without any that are
    special. Raises InvalidArgument, with nothing changed, for anything but folders, plain files all of whose names lie
    in it, and relative links that lead to a place in it.
    """
    _judge(folder)
    for entry in walk(folder):
        if stat.S_ISLNK(entry.status.st_mode):
            os.chown(entry.name, os.geteuid(), os.getegid(), dir_fd=entry.parent, follow_symlinks=False)
        elif stat.S_ISDIR(entry.status.st_mode):
            _take(os.open(entry.name, _FOLDER, dir_fd=entry.parent), 0o755)
        else:
            _take(open_plain(entry.name, entry.parent), 0o755 if entry.status.st_mode & 0o111 else 0o644)
    _take(os.open(folder, _FOLDER), 0o755)


def _judge(folder: Path) -> None:
    names: Counter[tuple[int, int]] = Counter()
    counts: dict[tuple[int, int], int] = {}
    links: dict[str, str] = {}
    for entry in walk(folder):
        if stat.S_ISLNK(entry.status.st_mode):
            links[entry.path] = os.readlink(entry.name, dir_fd=entry.parent)
        elif stat.S_ISREG(entry.status.st_mode):
            key = (entry.status.st_dev, entry.status.st_ino)
            names[key] += 1
            counts[key] = entry.status.st_nlink
        elif not stat.S_ISDIR(entry.status.st_mode):
            raise InvalidArgument(message=f"{entry.path[:200]!r} is neither a folder nor a plain file")
    if names != counts:
        raise InvalidArgument(message="a file in it has another name outside of it")
    for path, target in links.items():
        if not _stays_inside(path, target, links):
            raise InvalidArgument(message=f"{path[:200]!r} is a link that leads out of it")


def _stays_inside(path: str, target: str, links: Mapping[str, str]) -> bool:
    """Whether a link at `path` leads to a place in the folder, by no other link on the way."""
    if target.startswith("/"):
        return False
    at = path.split("/")[:-1]
    for part in target.split("/"):
        if "/".join(at) in links:
            return False
        if part == "..":
            if not at:
                return False
            at.pop()
        elif part not in {"", "."}:
            at.append(part)
    return True


def _take(descriptor: int, mode: int) -> None:
    try:
        os.fchown(descriptor, os.geteuid(), os.getegid())
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def copy(source: Path, target: Path, skipped: Container[str] = (), owner: int = -1) -> list[str]:
    """Copy the folders and plain files in `source`, and the relative links that stay in it, to the folder `target`; the
    copies belong to `owner`. Names in `skipped` are left out wherever they stand. What else was left out.
    """
    left_out: list[str] = []
    links: dict[str, str] = {}
    for entry in walk(source, skipped):
        place = target / entry.path
        try:
            if stat.S_ISLNK(entry.status.st_mode):
                links[entry.path] = os.readlink(entry.name, dir_fd=entry.parent)
            elif stat.S_ISDIR(entry.status.st_mode):
                place.mkdir(exist_ok=True)
                os.chown(place, owner, owner)
            else:
                _copy_plain(entry.name, entry.parent, place, owner)
        except (OSError, InvalidArgument):
            left_out.append(entry.path)
    for path, to in links.items():
        if _stays_inside(path, to, links):
            (target / path).symlink_to(to)
            os.chown(target / path, owner, owner, follow_symlinks=False)
        else:
            left_out.append(path)
    return left_out


def copy_file(source: Path, target: Path, owner: int = -1) -> None:
    """Copy a plain file, to belong to `owner`. Raises InvalidArgument for anything else, a link too; OSError."""
    _copy_plain(source, None, target, owner)


def _copy_plain(name: str | Path, parent: int | None, place: Path, owner: int) -> None:
    with open(open_plain(name, parent), "rb") as file, place.open("xb") as made:
        shutil.copyfileobj(file, made)
        os.fchmod(made.fileno(), 0o755 if os.fstat(file.fileno()).st_mode & 0o111 else 0o644)
        os.fchown(made.fileno(), owner, owner)


def size(folder: Path) -> int:
    """Bytes on disk of what lies in a folder that may change meanwhile; what goes away is not counted."""
    total = 0
    waiting = [os.open(folder, _FOLDER)]
    while waiting:
        root = waiting.pop()
        try:
            for name in os.listdir(root):
                with contextlib.suppress(OSError):
                    status = os.stat(name, dir_fd=root, follow_symlinks=False)
                    total += status.st_blocks * 512
                    if stat.S_ISDIR(status.st_mode) and len(waiting) < _DEEPEST:
                        waiting.append(os.open(name, _FOLDER, dir_fd=root))
        finally:
            os.close(root)
    return total


def set_mode(descriptor: int, mode: int) -> None:
    """Give what is open these rights, and close it. Raises OSError."""
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


def empty(folder: Path) -> None:
    """Remove what lies in `folder`, as `remove` does."""
    with opened_folder(folder) as root:
        _empty(root)


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
                os.chmod(f"/proc/self/fd/{descriptor}", 0o700)  # fchmod refuses a descriptor that cannot read
            finally:
                os.close(descriptor)
        else:
            os.chmod(name, 0o700, dir_fd=above, follow_symlinks=False)
