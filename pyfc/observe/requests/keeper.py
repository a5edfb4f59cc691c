"""The process that keeps records of requests: `python -m pyfc.observe.requests.keeper FILE RETENTION SIZE`.

Not the one that indexes logs: that works for seconds at a step and rests as long, and records must be in the file
within a second. It takes frames (4 bytes of length, big-endian, then MessagePack) from its input:
["export", Destination], ["keep", rows, left out] and ["find", Wanted], and answers the last in the same form:
{"records", "leftOut", "spans"} or {"error"}. It ends at the end of its input, when it has written what came; so the
end of the server loses nothing of what it was sent.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from pyfc.errors import PyfcError
from pyfc.observe.requests.table import Limits, Records, Wanted

_LENGTH = 4
_log = logging.getLogger(__name__)


def frame(message: Any) -> bytes:
    """As one side sends it to the other."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(_LENGTH, "big") + data


def size_of(head: bytes) -> int:
    """Bytes that follow the head of a frame, which has 4."""
    return int.from_bytes(head, "big")


class Exports(Protocol):
    """What exports spans (traces/exporter.py)."""

    exported: int
    dropped: int

    def offer(self, records: Iterable[Mapping[str, Any]]) -> None:
        """See Exporter."""

    def close(self) -> None:
        """See Exporter."""


class Keeper:
    """Does what frames say."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._records: Records | None = None
        self._problem = ""
        self._exporter: Exports | None = None

    def do(self, message: list[Any]) -> bytes:
        """The answer, b"" for none."""
        if message[0] == "export":
            from pyfc.observe.traces.exporter import exporter_to  # noqa: PLC0415  10 MB that only who exports needs

            self._exporter = exporter_to(message[1])
            return b""
        if message[0] == "keep" and self._exporter is not None:
            self._exporter.offer(row[-1] for row in message[1])
        return self._kept(message)

    def _kept(self, message: list[Any]) -> bytes:
        try:
            self._records = self._records or Records(self._path, self._limits)
            if message[0] == "keep":
                self._records.keep(message[1], message[2])
                self._problem = ""
                return b""
            found, left_out = self._records.find(Wanted(*message[1]))
            exporter = self._exporter
            spans = {"exported": exporter.exported, "dropped": exporter.dropped} if exporter is not None else None
            return frame({"records": found, "leftOut": left_out, "spans": spans})
        except (sqlite3.Error, PyfcError, OSError) as error:
            self._failed(error)
            return frame({"error": str(error)}) if message[0] == "find" else b""

    def _failed(self, error: Exception) -> None:
        if str(error) != self._problem:
            self._problem = str(error)
            _log.warning("records of requests are lost: %s", error)
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if damaged:  # what is there is put aside, and a new file begun
            if self._records is not None:
                self._records.close()
            self._records = None
            for end in ("-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)
            self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))

    def close(self) -> None:
        """Close the file, and export what waits."""
        if self._exporter is not None:
            self._exporter.close()
        if self._records is not None:
            self._records.close()


def serve(keeper: Keeper, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    """Until there is nobody to keep records for."""
    while len(head := incoming.read(_LENGTH)) == _LENGTH:
        size = size_of(head)
        data = incoming.read(size)
        if len(data) < size:
            break  # the server was killed while it sent this
        answer = keeper.do(msgspec.msgpack.decode(data))
        if answer:
            outgoing.write(answer)
            outgoing.flush()
    keeper.close()


if __name__ == "__main__":
    os.umask(0o077)  # no other user reads it
    os.nice(19)
    logging.basicConfig(format="%(message)s")
    limits = Limits(float(sys.argv[2]), int(sys.argv[3]))
    serve(Keeper(Path(sys.argv[1]), limits), sys.stdin.buffer, sys.stdout.buffer)
