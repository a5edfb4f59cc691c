"""Function logs: one file of JSON lines (lines.py) per function, rotated by size."""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, TextIO

from pyfc.observe.journal import Record
from pyfc.observe.lines import line

_log = logging.getLogger(__name__)
_OPEN_FILES = 64
_TAIL = 4 * 1024 * 1024
"""Bytes of a log that are read at once."""


class FunctionLogs:
    """Writes the journal's batches to `folder/SERVICE/FUNCTION.jsonl`. A full disk costs lines, counted in `lost`."""

    def __init__(self, folder: Path, file_size: int, file_count: int) -> None:
        self.folder = folder
        self.lost = 0
        self._file_size = file_size
        self._file_count = file_count
        self._files: dict[tuple[str, str], TextIO] = {}
        """Open files, the one used longest ago first."""

    def listen(self, batch: list[Record]) -> None:
        """A Journal listener."""
        lines: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for record in batch:
            lines[record.function.service, record.function.name].append(line(record))
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
        self._files[name] = file
        file.write(text)
        file.flush()
        if os.fstat(file.fileno()).st_size > self._file_size:
            self._files.pop(name).close()
            self._rotate(self._path(name))

    def _path(self, name: tuple[str, str]) -> Path:
        return self.folder / name[0] / f"{name[1]}.jsonl"

    def _open(self, name: tuple[str, str]) -> TextIO:
        if len(self._files) >= _OPEN_FILES:
            self._files.pop(next(iter(self._files))).close()
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")

    def _rotate(self, path: Path) -> None:
        """PATH becomes PATH.1, PATH.1 becomes PATH.2; the oldest is overwritten."""
        for number in range(self._file_count - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))


def tail(path: Path, offset: int | None, lines: int) -> tuple[list[dict[str, Any]], int]:
    """Records of a log file: its newest `lines`, or those after `offset`; and the offset of their end. A file that was
    rotated meanwhile is read from its beginning.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            is_whole = offset is not None
            start = (offset if offset <= size else 0) if offset is not None else max(0, size - _TAIL)
            file.seek(start)
            data = file.read(_TAIL)
    except FileNotFoundError:
        return [], 0
    end = data.rfind(b"\n") + 1
    texts = data[:end].splitlines()
    if not is_whole and start:
        texts = texts[1:]  # it begins in the middle of a line
    found = texts if is_whole else texts[-lines:] if lines else []
    return [json.loads(text) for text in found], start + end
