"""Unpacks archives nobody has looked at: every entry is checked before the first byte is written.

Refused, with the entry's name: absolute paths and `..` (zip-slip), links, devices and other special files, encrypted
entries, the same name twice, more bytes or more entries than allowed, unknown compression, broken archives. What was
unpacked before a failure is the caller's to remove.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pyfc.build.packages import is_no_part
from pyfc.errors import InvalidArgument

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


def unpack(stream: BinaryIO, name: str, folder: Path, maximum_size: int, maximum_files: int) -> None:
    """Unpack the zip file `stream`, called `name` in messages, into the empty `folder`. Raises InvalidArgument."""
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            _check(entries, name, maximum_size, maximum_files)
            for entry in entries:
                _extract(archive, entry, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise InvalidArgument(message=f"{name} is not a zip file that can be read: {error}") from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise InvalidArgument(message=f"{name}: an entry is both a file and a folder: {error.filename}") from error


def _check(entries: list[zipfile.ZipInfo], name: str, maximum_size: int, maximum_files: int) -> None:
    if len(entries) > maximum_files:
        raise InvalidArgument(message=f"{name} has {len(entries)} entries; at most {maximum_files} are allowed")
    total = sum(entry.file_size for entry in entries)
    if total > maximum_size:
        raise InvalidArgument(message=f"{name} unpacks to {total} bytes; at most {maximum_size} are allowed")
    seen: set[PurePosixPath] = set()
    for entry in entries:
        problem = _problem(entry)
        path = PurePosixPath(entry.filename)
        if problem is None and path in seen:
            problem = "is there twice"
        if problem is not None:
            raise InvalidArgument(message=f"{name}: entry '{entry.filename}' {problem}")
        seen.add(path)


def _problem(entry: zipfile.ZipInfo) -> str | None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]:
        return "leads out of the folder"
    kind = _KINDS.get(stat.S_IFMT(entry.external_attr >> 16))
    if kind is not None:
        return f"is {kind}; only files and folders are allowed"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    return None


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    path = folder / entry.filename
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target)
    path.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)


def pack(*folders: Path, only: str = "") -> BinaryIO:
    """The files of folders (or one file) as a zip file, without a name and at its beginning. Of several with the same
    name it has the last. Links are followed; times are left out, so that the same files make the same archive.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, folder in enumerate(folders, 1):
            later = {name for other in folders[number:] for name in os.listdir(other)}
            for path in _files(folder, only, later):
                info = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                info.external_attr = (stat.S_IFREG | stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                with path.open("rb") as source, archive.open(info, "w") as target:
                    shutil.copyfileobj(source, target)
    file.seek(0)
    return file


def _files(folder: Path, only: str, later: set[str]) -> Iterator[Path]:
    """Its files, or one of them, but for what in the folder itself has a name of `later`."""
    if only:
        yield folder / only
        return
    for root, folders, names in os.walk(folder, followlinks=True):
        left_out = later if Path(root) == folder else set()
        folders[:] = sorted(name for name in folders if not is_no_part(name) and name not in left_out)
        yield from (Path(root, name) for name in sorted(names) if not is_no_part(name) and name not in left_out)
