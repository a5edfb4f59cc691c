"""Function logs: one file of JSON lines (lines.py) per function, rotated by size."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from pyfc.errors import Unavailable
from pyfc.observe.journal import Record
from pyfc.observe.lines import line

_log = logging.getLogger(__name__)
_OPEN_FILES = 64
_TAIL = 4 * 1024 * 1024
"""Bytes of a log that are read at once."""
_BLOCK = 256 * 1024
"""Bytes that are read at once on the way back."""


class FunctionLogs:
    """Writes the journal's batches to `folder/SERVICE/FUNCTION.jsonl`. A full disk costs lines, counted in `lost`."""

    def __init__(self, folder: Path, file_size: int, file_count: int) -> None:
        self.folder = folder
        self.lost = 0
        self.places: dict[tuple[str, str], tuple[int, int]] = {}
        """Where a function's newest batch begins: the file's inode, and the offset."""
        self._file_size = file_size
        self._file_count = file_count
        self._files: dict[tuple[str, str], FileIO] = {}
        """Open files, the one used longest ago first."""

    def listen(self, batch: list[Record]) -> None:
        """A Journal listener."""
        lines: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for record in batch:
            lines[record.function.service, record.function.name].append(line(record))
        self.places = {}
        for name, texts in lines.items():
            try:
                self._append(name, "\n".join(texts) + "\n")
            except OSError as error:
                if not self.lost:
                    _log.warning("function logs can not be written and are lost: %s", error)
                self.lost += len(texts)

    def close(self) -> None:
        """Close every file."""
        while self._files:
            self._files.popitem()[1].close()

    def _append(self, name: tuple[str, str], text: str) -> None:
        file = self._files.pop(name, None) or self._open(name)
        data = text.encode("utf-8", "backslashreplace")
        try:
            _write(file, data)
        except OSError:
            file.close()
            raise
        status = os.fstat(file.fileno())
        self.places[name] = (status.st_ino, status.st_size - len(data))
        if status.st_size <= self._file_size:
            self._files[name] = file
        else:
            file.close()
            self._rotate(self._path(name))

    def _path(self, name: tuple[str, str]) -> Path:
        return self.folder / name[0] / f"{name[1]}.jsonl"

    def _open(self, name: tuple[str, str]) -> FileIO:
        if len(self._files) >= _OPEN_FILES:
            self._files.pop(next(iter(self._files))).close()
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = _opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        if file.seek(0, os.SEEK_END) and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
            file.write(b"\n")  # what was torn there costs its own line
        return file

    def _rotate(self, path: Path) -> None:
        """PATH becomes PATH.1, PATH.1 becomes PATH.2; the oldest is overwritten."""
        for number in range(self._file_count - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))


def tail(path: Path, offset: int | None, lines: int) -> tuple[list[dict[str, Any]], int]:
    """Records of a log file: its newest `lines`, or those after `offset`; and the offset of their end. A file that was
    rotated meanwhile is read from its beginning. What is no record costs its own line. Raises Unavailable.
    """
    try:
        with _opened(path, os.O_RDONLY) as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL) if offset is None else offset if offset <= size else 0
            file.seek(start)
            data = file.read(_TAIL)
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise Unavailable(message=f"the log {path} can not be read: {error.strerror}") from error
    texts, end = _lines(data)
    if offset is None:
        begun = 1 if start else 0  # it may begin in the middle of a line
        found = list(_records(texts[begun:]))
        return found[-lines:] if lines else [], start + end
    return list(_records(texts)), start + end


def with_inode(path: Path, inode: int) -> Path | None:
    """Which file has that inode: a log file, or one of those that it was before it was rotated; None: it is gone."""
    for number in itertools.count():
        each = path.with_name(f"{path.name}.{number}") if number else path
        try:
            if each.lstat().st_ino == inode:
                return each
        except OSError:
            if number:
                return None
    return None


def backwards(path: Path, end: int) -> Iterator[dict[str, Any]]:
    """Records of a log file before an offset, the newest first, then those of the files that it was before it was
    rotated. Raises Unavailable.
    """
    for number in itertools.count():
        older = path.with_name(f"{path.name}.{number}") if number else path
        try:
            with _opened(older, os.O_RDONLY) as file:
                size = file.seek(0, os.SEEK_END)
                yield from _records(_backwards(file, size if number else min(end, size)))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(message=f"the log {older} cannot be read: {error.strerror}") from error


def _backwards(file: FileIO, end: int) -> Iterator[bytes]:
    """The lines of a file before a place, the last one first."""
    rest = b""
    while end:
        begin = max(0, end - _BLOCK)
        first, *lines = (os.pread(file.fileno(), end - begin, begin) + rest).split(b"\n")
        yield from reversed(lines)
        rest, end = first, begin
    yield rest


def _lines(data: bytes) -> tuple[list[bytes], int]:
    """The lines of what was read that are whole, and the place of their end."""
    end = data.rfind(b"\n") + 1
    if not end and len(data) == _TAIL:
        end = len(data)  # in the middle of a line that is too long: what follows is none of its own either
    return data[:end].split(b"\n"), end


def _records(texts: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    return (record for text in texts if (record := _record(text)) is not None)


def _record(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _write(file: FileIO, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _opened(path: Path, flags: int) -> FileIO:
    """A file, if it is one: nothing else is waited for. Raises OSError."""
    file = FileIO(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666), "r+" if flags & os.O_RDWR else "r")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return file
