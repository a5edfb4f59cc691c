"""The process that indexes: `python -m pyfc.cloud.sls.indexer DATA INDEX`.

A server has one, from the first logs on. It has the lowest priority there is, for processor and disk, and rests as long
as it works: the calls of functions need the machine more. When more comes than it can take in it lags, searches say so,
and it catches up. What it is sent says that there is something new; it ends when nobody can send it anything any more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import select
import sqlite3
import sys
import time
from pathlib import Path

import psutil

from pyfc.cloud.sls.indexing import Index, logs, remove

_MEMORY = 1024 * 1024 * 1024
_REST = 1.0
"""Times as long as it has worked it rests."""
_PAUSE = 1.0
"""Seconds until it tries again what has failed."""
_log = logging.getLogger(__name__)


def serve(data: Path, path: Path) -> None:
    """Until there is nobody to index for."""
    _stand_back()
    index: Index | None = None
    problem = ""
    while True:
        began = time.monotonic()
        pause = 0.0
        try:
            index = index or Index(logs(data), path)
            is_behind, found = index.step(), ""
        except sqlite3.DatabaseError as error:
            is_behind, pause, found = True, _PAUSE, str(error)
            if not isinstance(error, sqlite3.OperationalError):  # it is damaged, and no disk full
                index = None
                remove(path)
        if found and found != problem:
            _log.warning("logs are not indexed, which is tried again: %s", found)
        problem = found
        if is_behind:
            time.sleep(max((time.monotonic() - began) * _REST, pause))
        if _has_ended(0.0 if is_behind else None):
            return


def _stand_back() -> None:
    """With the lowest priority, and little memory; what a system does not know or does not allow is left out."""
    os.umask(0o077)  # no other user reads the index
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.nice(19)
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError, AttributeError, psutil.Error):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


def _has_ended(patience: float | None) -> bool:
    """Wait for something new; whether nobody can tell of it any more."""
    ready, _, _ = select.select([0], [], [], patience)
    return bool(ready) and not os.read(0, 65536)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
