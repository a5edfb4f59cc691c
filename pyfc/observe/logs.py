"""Function logs: one file of JSON lines per function, rotated by size.

{"time": "...Z", "requestId": "...", "instanceId": "...", "status": 200, "durationMs": 1.2, "memoryMb": 9.4,
 "cold": true, "log": "..."}                                     one line per call
{"time": "...Z", "requestId": "", "instanceId": "...", "log": "..."}      output outside of calls
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyfc.observe.journal import CallRecord, Record

_log = logging.getLogger(__name__)


class FunctionLogs:
    """Writes the journal's batches to `folder/SERVICE/FUNCTION.jsonl`. A full disk costs lines, counted in `lost`."""

    def __init__(self, folder: Path, file_size: int, file_count: int) -> None:
        self.folder = folder
        self.lost = 0
        self._file_size = file_size
        self._file_count = file_count

    def listen(self, batch: list[Record]) -> None:
        """A Journal listener."""
        lines: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for record in batch:
            lines[record.function.service, record.function.name].append(_line(record))
        for (service, function), texts in lines.items():
            try:
                self._append(self.folder / service / f"{function}.jsonl", texts)
            except OSError as error:
                if not self.lost:
                    _log.warning("function logs can not be written and are lost: %s", error)
                self.lost += len(texts)

    def _append(self, path: Path, lines: list[str]) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
            size = file.tell()
        if size > self._file_size:
            self._rotate(path)

    def _rotate(self, path: Path) -> None:
        """PATH becomes PATH.1, PATH.1 becomes PATH.2; the oldest is overwritten."""
        for number in range(self._file_count - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))


def _line(record: Record) -> str:
    entry: dict[str, Any] = {"time": _time(record.time)}
    if isinstance(record, CallRecord):
        entry |= {"requestId": record.call.request_id, "status": record.status}
        result = record.result
        if result is None:
            entry["error"] = record.error
        else:
            usage = result.usage
            entry |= {
                "instanceId": usage.instance_id,
                "durationMs": round(usage.duration * 1000, 3),
                "memoryMb": round(usage.peak_memory, 2),
                "cold": usage.cold,
            }
            if result.fault is not None:
                entry["fault"] = {"kind": result.fault.kind.value, "message": result.fault.message}
            output = result.startup + result.log
            if output:
                entry["log"] = output.decode("utf-8", "replace")
    else:
        entry |= {"requestId": record.request_id, "instanceId": record.instance_id}
        entry["log"] = record.data.decode("utf-8", "replace")
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
