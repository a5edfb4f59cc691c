"""What functions have logged, from their files: the newest records, or those that a search is for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.records import Wanted
from pyfc.cloud.sls.searchers import Searcher
from pyfc.errors import InvalidArgument, Unavailable
from pyfc.observe.logs import tail


class LogFiles:
    """The folder of the functions' logs."""

    def __init__(self, folder: Path, searcher: Searcher) -> None:
        self._folder = folder
        self._searcher = searcher

    async def records(self, service: str, function: str, wanted: Wanted) -> dict[str, Any]:
        """`records` of a function, the `offset` of their end, and `is_complete`: whether all were looked through; the
        rows of an answer and its `columns` if the query has SQL.
        Raises InvalidArgument for a query that is not understood, Unavailable.
        """
        path = self._folder / service / f"{function}.jsonl"
        if wanted == Wanted(lines=wanted.lines, offset=wanted.offset):
            found, end = await asyncio.to_thread(tail, path, wanted.offset, wanted.lines)
            return {"records": found, "offset": end, "is_complete": True}
        try:
            return await self._searcher.look_through({"path": str(path), "wanted": wanted._asdict()})
        except Fault as fault:
            kind = InvalidArgument if fault.status == 400 else Unavailable
            raise kind(message=f"the logs of {service}/{function}: {fault.message}") from None
