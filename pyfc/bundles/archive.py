"""Unpacks archives nobody has looked at: every entry is checked before the first byte is written.

Refused, with the entry's name: absolute paths and `..` (zip-slip), links that lead out (links.py), devices and other
special files, encrypted entries, the same name twice, more bytes or more entries than allowed, unknown compression,
broken archives. What was unpacked before a failure is the caller's to remove.
"""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pyfc.boundary import Boundary, Found
from pyfc.bundles.copying import CodeLimits
from pyfc.bundles.links import LONGEST, Parts, problem_of
from pyfc.errors import InvalidArgument

_SHOWN = 300
"""Characters of a name in a message."""
_LONGEST_NAME, _LONGEST_PATH, _DEEPEST = 255, 3000, 180
_UNNAMEABLE = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}
"""What other file systems say of names."""
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, ValueError,
    OverflowError, RuntimeError,
)  # fmt: skip
"""What zipfile and the decompressors raise for archives that are damaged."""
_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


def unpack(stream: BinaryIO, name: str, folder: Path, limits: CodeLimits) -> None:
    """Unpack the zip file `stream`, called `name` in messages, into the empty `folder`. Raises InvalidArgument."""
    try:
        with zipfile.ZipFile(stream) as archive:
            _unpack(archive, name, folder, limits)
    except _BROKEN as error:
        raise InvalidArgument(message=f"{name} is not a zip file that can be read: {error}") from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise InvalidArgument(message=f"{name}: an entry is both a file and a folder: {error.filename}") from error
    except OSError as error:
        if error.errno is None:  # bz2 has no error of its own
            raise InvalidArgument(message=f"{name} is not a zip file that can be read: {error}") from error
        if error.errno not in _UNNAMEABLE:
            raise
        raise InvalidArgument(message=f"{name}: an entry can not be unpacked here: {error.strerror}") from error


def _unpack(archive: zipfile.ZipFile, name: str, folder: Path, limits: CodeLimits) -> None:
    entries = [each for each in archive.infolist() if not _is_top(each)]
    _check(entries, name, limits)
    links = _links(archive, entries, name)
    for entry in entries:
        if not _is_link(entry):
            _extract(archive, entry, folder)
    for path, target in links.items():  # at the end, so that nothing is written through one
        _link(folder.joinpath(*path), target)


def _is_top(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is the folder itself, which some programs put into archives."""
    return entry.is_dir() and not PurePosixPath(entry.filename).parts


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(entry.external_attr >> 16)


def _links(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], name: str) -> dict[Parts, str]:
    """The links of an archive, and what they lead to. Raises InvalidArgument."""
    found: dict[Parts, str] = {}
    for entry in filter(_is_link, entries):
        with archive.open(entry) as source:
            target = source.read(LONGEST + 1)
        if not target or len(target) > LONGEST or b"\0" in target:
            raise InvalidArgument(message=f"{name}: entry '{entry.filename[:_SHOWN]}' is a link that leads nowhere")
        found[PurePosixPath(entry.filename).parts] = os.fsdecode(target)
    for entry in entries if found else ():
        problem = problem_of(PurePosixPath(entry.filename).parts, found)
        if problem is not None:
            raise InvalidArgument(message=f"{name}: entry '{entry.filename[:_SHOWN]}' {problem}")
    return found


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _check(entries: list[zipfile.ZipInfo], name: str, limits: CodeLimits) -> None:
    if len(entries) > limits.files:
        raise InvalidArgument(message=f"{name} has {len(entries)} entries; at most {limits.files} are allowed")
    total = sum(entry.file_size for entry in entries)
    if total > limits.size:
        raise InvalidArgument(message=f"{name} unpacks to {total} bytes; at most {limits.size} are allowed")
    seen: set[PurePosixPath] = set()
    for entry in entries:
        problem = _problem(entry)
        path = PurePosixPath(entry.filename)
        if problem is None and path in seen:
            problem = "is there twice"
        if problem is not None:
            raise InvalidArgument(message=f"{name}: entry '{entry.filename[:_SHOWN]}' {problem}")
        seen.add(path)


def _problem(entry: zipfile.ZipInfo) -> str | None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]:
        return "leads out of the folder"
    kind = _KINDS.get(stat.S_IFMT(entry.external_attr >> 16))
    if kind is not None:
        return f"is {kind}; only files, folders and links are allowed"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    return _length_problem(entry.filename)


def _length_problem(name: str) -> str | None:
    """What no disk could hold."""
    parts = name.split("/")
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts):
        return f"has a name of more than {_LONGEST_NAME} bytes in it"
    if len(os.fsencode(name)) > _LONGEST_PATH:
        return f"has a path of more than {_LONGEST_PATH} bytes"
    return f"lies in more than {_DEEPEST} folders" if len(parts) > _DEEPEST else None


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    path = folder / entry.filename
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target)
    path.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)


def pack(*folders: Path, boundary: Boundary | None = None, maximum_size: int | None = None) -> BinaryIO:
    """The files of folders (or one file) as a zip file, without a name and at its beginning. Of several with the same
    name it has the last. Times are left out, so that the same files make the same archive. What is read lies in
    `boundary`; without one, what leads out of the folder is left out. Raises InvalidArgument, also for more than
    `maximum_size` bytes, OSError.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            size = 0
            for number, folder in enumerate(folders, 1):
                later = frozenset(name for other in folders[number:] for name in os.listdir(other))
                for found in _files(folder, boundary or Boundary(folder, refuses=False), later):
                    size += found.status.st_size
                    _check_size(size, maximum_size, folder / found.path)
                    _pack_one(archive, found)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _check_size(size: int, maximum: int | None, place: Path) -> None:
    if maximum is not None and size > maximum:
        raise InvalidArgument(message=f"the code is larger than {maximum} bytes, at {place}")


def _pack_one(archive: zipfile.ZipFile, found: Found) -> None:
    info = zipfile.ZipInfo(found.path)
    info.external_attr = (stat.S_IFREG | stat.S_IMODE(found.status.st_mode) | stat.S_IWUSR) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size = found.status.st_size
    with open(found.descriptor, "rb", closefd=False) as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target)


def _files(path: Path, boundary: Boundary, later: frozenset[str]) -> Iterator[Found]:
    """The files of a folder but for what in the folder itself has a name of `later`; or the file itself."""
    with boundary.opened(path) as (descriptor, status):
        if not stat.S_ISDIR(status.st_mode):
            yield Found(path.name, descriptor, status)
            return
    yield from (found for found in boundary.walk(path, skips=later.__contains__) if not found.is_folder)
