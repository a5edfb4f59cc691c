"""The process that indexes and searches: `python -m pyfc.cloud.sls.searcher DATA INDEX`.

It answers one request at a time, a line of JSON each, and indexes between them, for a part of the time only: the calls
of functions need the machine more. A server has one; what takes too long is ended with it, and another one is started.
It reads the file of the log service and has the index for itself.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyfc.cloud.sls import analysis, searching
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.indexing import Index

_MEMORY = 1024 * 1024 * 1024
_PATIENCE = 2.0
"""Seconds for which a search waits for what is not indexed yet."""
_LONGEST = 40
"""Seconds after which a request ends the process."""
_REST = 3.0
"""Times as long as it has indexed it rests, or does what it is asked for."""
Request = Mapping[str, Any]


def serve(data: Path, path: Path) -> None:
    """Until there are no more requests."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    index = Index(sqlite3.connect(f"{data.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None), path)
    try:
        _serve(index)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # the next process makes another one
        index.remove()
        raise


def _serve(index: Index) -> None:
    rest: float | None = 0.0
    waiting = b""
    while True:
        ready, _, _ = select.select([0], [], [], rest)
        if ready:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                _answer(index, line)
            rest = rest or 0.0
        else:
            began = time.monotonic()
            is_behind = index.step()
            rest = (time.monotonic() - began) * _REST if is_behind else None


def _answer(index: Index, line: bytes) -> None:
    request = json.loads(line)
    run = _OPERATIONS.get(request["operation"])
    if run is None:
        return  # it is told that there is something to index
    signal.alarm(_LONGEST)  # whoever asked may have died, and a query may have no end
    try:
        is_complete = _wait(index, request["newest"])
        answer = run(index, searching.Search(**request["search"]), request) | {"is_complete": is_complete}
        text = json.dumps(answer)
    except Fault as fault:
        text = json.dumps({"fault": [fault.code, fault.message]})
    except MemoryError:
        text = json.dumps(
            {"fault": ["ParameterInvalid", "The query needs more memory than there is: search for less."]}
        )
    except sqlite3.OperationalError as error:  # of a query: a file that is damaged is another one
        text = json.dumps({"fault": ["ParameterInvalid", f"The query cannot be run: {error}."]})
    finally:
        signal.alarm(0)
    sys.stdout.buffer.write(text.encode() + b"\n")
    sys.stdout.buffer.flush()


def _wait(index: Index, newest: int) -> bool:
    """Index what is there; whether all that was there when it was asked is."""
    end = time.monotonic() + _PATIENCE
    while index.seen() < newest and time.monotonic() < end and index.step():
        pass
    return index.seen() >= newest


def _logs(index: Index, search: searching.Search, request: Request) -> dict[str, Any]:
    return {"logs": searching.page(
        index, search, request["skipped"], request["most"], newest_first=request["newest_first"]
    )}  # fmt: skip


def _histogram(index: Index, search: searching.Search, request: Request) -> dict[str, Any]:
    return {"counts": searching.histogram(index, search, request["width"])}


def _sql(index: Index, search: searching.Search, request: Request) -> dict[str, Any]:
    rows, columns = analysis.run(request["sql"], searching.found(index, search), search.indexed)
    return {"logs": rows, "columns": columns}


_OPERATIONS: Mapping[str, Callable[[Index, searching.Search, Request], dict[str, Any]]] = {
    "logs": _logs, "histogram": _histogram, "sql": _sql,
}  # fmt: skip

if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
