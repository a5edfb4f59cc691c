"""A process that searches: `python -m pyfc.cloud.sls.searcher DATA INDEX`.

It answers one request at a time, a line of JSON each. What takes too long is ended with it. It reads the file of the
log service, and the index, which another process writes.
"""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyfc.cloud.sls import analysis, searching
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.indexing import remove
from pyfc.cloud.sls.view import Snapshot, View

_MEMORY = 1024 * 1024 * 1024
_LONGEST = 40
"""Seconds after which a request ends the process."""
Request = Mapping[str, Any]


def serve(data: Path, path: Path) -> None:
    """Until there are no more requests."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    logs = sqlite3.connect(f"{data.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        view = View(logs, path)
        for line in sys.stdin.buffer:
            _answer(view, line)
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError):  # who writes the index makes it anew
            remove(path)
        raise SystemExit(f"pyfc: logs cannot be searched: {error}") from None


def _answer(view: View, line: bytes) -> None:
    request = json.loads(line)
    search = searching.Search(**request["search"])
    run = _OPERATIONS[request["operation"]]
    signal.alarm(_LONGEST)  # whoever asked may have died, and a query may have no end
    try:
        with view.snapshot(search.logstore, request["newest"]) as snapshot:
            answer = run(snapshot, search, request) | {"is_complete": snapshot.is_complete}
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


def _logs(snapshot: Snapshot, search: searching.Search, request: Request) -> dict[str, Any]:
    return {"logs": searching.page(
        snapshot, search, request["skipped"], request["most"], newest_first=request["newest_first"]
    )}  # fmt: skip


def _histogram(snapshot: Snapshot, search: searching.Search, request: Request) -> dict[str, Any]:
    return {"counts": searching.histogram(snapshot, search, request["width"])}


def _sql(snapshot: Snapshot, search: searching.Search, request: Request) -> dict[str, Any]:
    rows, columns = analysis.run(request["sql"], searching.found(snapshot, search), search.indexed)
    return {"logs": rows, "columns": columns}


_OPERATIONS: Mapping[str, Callable[[Snapshot, searching.Search, Request], dict[str, Any]]] = {
    "logs": _logs, "histogram": _histogram, "sql": _sql,
}  # fmt: skip

if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
