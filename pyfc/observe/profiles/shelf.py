"""Profiles on disk, in the data folder: a file per call, named by its request id."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

_NAME = re.compile(r"[0-9a-f-]{36}\Z")
"""A request id, which this server has made."""
_ENDING, _UNFINISHED = ".json", ".part"


class _Kept(NamedTuple):
    time: float
    size: int


class Shelf:
    """The files below `folder`: none older than `retention` seconds, and at most `size` bytes of them. Several threads
    must not use it at once.
    """

    def __init__(self, folder: Path, retention: float, size: int) -> None:
        self._folder = folder
        self._retention = retention
        self._size = size
        self._kept: dict[str, _Kept] = {}
        """By request id, the oldest first."""
        for path in folder.glob(f"*{_UNFINISHED}"):
            path.unlink(missing_ok=True)  # of a server that was killed
        found = []
        for path in folder.glob(f"*{_ENDING}"):
            if _NAME.match(path.stem):
                stat = path.stat()
                found.append((stat.st_mtime, path.stem, stat.st_size))
        for when, name, size_of_one in sorted(found):
            self._kept[name] = _Kept(when, size_of_one)

    def __contains__(self, name: object) -> bool:
        """Whether there is a profile of the call with this request id."""
        kept = self._kept.get(str(name))
        return kept is not None and kept.time >= time.time() - self._retention

    def keep(self, name: str, document: dict[str, Any]) -> None:
        """Of a call by its request id; a profile of an earlier run of it goes. Raises OSError, ValueError."""
        if not _NAME.match(name):
            raise ValueError("no request id of this server")
        data = msgspec.json.encode(document)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        unfinished = self._folder / f"{name}{_UNFINISHED}"
        try:
            unfinished.write_bytes(data)
            unfinished.replace(self._path(name))
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise
        self._kept.pop(name, None)
        self._kept[name] = _Kept(time.time(), len(data))
        self._prune()

    def _prune(self) -> None:
        left = sum(each.size for each in self._kept.values())
        oldest = time.time() - self._retention
        for name, kept in list(self._kept.items()):
            if kept.time >= oldest and left <= self._size:
                return
            del self._kept[name]
            left -= kept.size
            self._path(name).unlink(missing_ok=True)

    def get(self, name: str) -> bytes | None:
        """The document; None if there is none."""
        if name not in self:
            return None
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_ENDING}"
