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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pyfc.cloud.sls import analysis, records, searching
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.indexing import logs, remove
from pyfc.cloud.sls.view import Snapshot, View
from pyfc.errors import Unavailable

_MEMORY = 1024 * 1024 * 1024
_LONGEST = 40
"""Seconds after which a request ends the process."""
Request = Mapping[str, Any]


def serve(data: Path, path: Path) -> None:
    """Until there are no more requests."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    view: View | None = None
    try:
        for line in sys.stdin.buffer:
            request = json.loads(line)
            if request["operation"] == "records":
                _tell(_looked_through(request))
                continue
            if view is None:
                view = View(logs(data), path)
            _tell(_searched(view, request))
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError):  # who writes the index makes it anew
            remove(path)
        raise SystemExit(f"pyfc: logs cannot be searched: {error}") from None


def _looked_through(request: Request) -> dict[str, Any]:
    return _run(lambda: records.found(Path(request["path"]), records.Wanted(**request["wanted"])))


def _searched(view: View, request: Request) -> dict[str, Any]:
    search = searching.Search(**request["search"])

    def run() -> dict[str, Any]:
        with view.snapshot(search.logstore, request["newest"]) as snapshot:
            found = _OPERATIONS[request["operation"]](snapshot, search, request)
            return found | {"is_complete": snapshot.is_complete}

    return _run(run)


def _run(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it finds, or the fault that is told instead."""
    signal.alarm(_LONGEST)  # whoever asked may have died, and a query may have no end
    try:
        return work()
    except Fault as fault:
        return _fault(fault.code, fault.message)
    except Unavailable as error:
        return _fault("ServerBusy", str(error))
    except MemoryError:
        return _fault("ParameterInvalid", "The query needs more memory than there is: search for less.")
    except sqlite3.OperationalError as error:  # of a query: a file that is damaged is another one
        return _fault("ParameterInvalid", f"The query cannot be run: {error}.")
    finally:
        signal.alarm(0)


def _fault(code: str, message: str) -> dict[str, Any]:
    return {"fault": [code, message]}


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _logs(snapshot: Snapshot, search: searching.Search, request: Request) -> dict[str, Any]:
    return {"logs": searching.page(
        snapshot, search, request["skipped"], request["most"], newest_first=request["newest_first"]
    )}  # fmt: skip


def _histogram(snapshot: Snapshot, search: searching.Search, request: Request) -> dict[str, Any]:
    return {"counts": searching.histogram(snapshot, search, request["width"])}


def _sql(snapshot: Snapshot, search: searching.Search, request: Request) -> dict[str, Any]:
    def before(seconds: int) -> Iterator[Mapping[str, str]]:
        begin, end = (max(each - seconds, 0) for each in (search.begin, search.end))
        return searching.found(snapshot, search._replace(begin=begin, end=end))

    rows, columns = analysis.run(request["sql"], searching.found(snapshot, search), search.indexed, before)
    return {"logs": rows, "columns": columns}


_OPERATIONS: Mapping[str, Callable[[Snapshot, searching.Search, Request], dict[str, Any]]] = {
    "logs": _logs, "histogram": _histogram, "sql": _sql,
}  # fmt: skip

if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
