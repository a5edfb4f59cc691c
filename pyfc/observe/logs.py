"""Function logs: one file of JSON lines per function, rotated by size.

{"time": "...Z", "requestId": "...", "instanceId": "...", "status": 200, "durationMs": 1.2, "memoryMb": 9.4,
 "cold": true, "log": "..."}                                     one line per call
{"time": "...Z", "requestId": "", "instanceId": "...", "log": "..."}      output outside of calls
"""

from __future__ import annotations

import functools
import json
import logging
import os
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from pyfc.observe.journal import CallRecord, OutputRecord, Record

_log = logging.getLogger(__name__)
_OPEN_FILES = 64


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
            lines[record.function.service, record.function.name].append(_line(record))
        for name, texts in lines.items():
            try:
                self._append(name, "".join(texts))
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


def _line(record: Record) -> str:
    if isinstance(record, OutputRecord):
        output = json.dumps(record.data.decode("utf-8", "replace"), ensure_ascii=False)
        return (
            f'{{"time": "{_time(record.time)}", "requestId": "{record.request_id}", '
            f'"instanceId": "{record.instance_id}", "log": {output}}}\n'
        )
    return f'{{"time": "{_time(record.time)}", {_call_fields(record)}}}\n'


def _call_fields(record: CallRecord) -> str:
    """Written by hand: this is the one piece of JSON that is made for every call."""
    result = record.result
    text = f'"requestId": "{record.call.request_id}", "status": {record.status}'
    if result is None:
        return f'{text}, "error": "{record.error}"'
    usage = result.usage
    text += (
        f', "instanceId": "{usage.instance_id}", "durationMs": {usage.duration * 1000:.3f}, '
        f'"memoryMb": {usage.peak_memory:.2f}, "cold": {"true" if usage.cold else "false"}'
    )
    if result.fault is not None:
        fault = {"kind": result.fault.kind.value, "message": result.fault.message}
        text += f', "fault": {json.dumps(fault, ensure_ascii=False)}'
    if result.log or result.startup:
        output = (result.startup + result.log).decode("utf-8", "replace")
        text += f', "log": {json.dumps(output, ensure_ascii=False)}'
    return text


@functools.lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _time(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"
