"""The log of a function: its newest records, what a search finds, and what comes while somebody looks (SSE)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pyfc.console.page import Asked, Page, Shown
from pyfc.console.pages.functions import one
from pyfc.errors import InvalidArgument, PyfcError, Unavailable
from pyfc.model.names import whole

STREAM = "functions/{service}/{function}/logs/stream"
_LINES = 200
_BATCH = 1000
"""Records that are sent in one piece."""
_PAUSE = 0.5
"""Seconds between two looks at the log."""
_SILENCE = 15.0
"""Seconds after which a connection is shown to be alive."""
_LONGEST = 8 * 3600.0
"""Seconds for which one connection is served; browsers come again."""
_MOST = 16
"""Who may follow logs at the same time."""
_RANGES = {"15m": 900, "1h": 3600, "1d": 86400, "7d": 604800}


def logs(asked: Asked) -> Shown:
    """See module."""
    function = one(asked)
    query, since = asked.query.get("q", "").strip(), asked.query.get("since", "")
    seconds = _RANGES.get(since, 0)
    search: dict[str, Any] = {"query": query, "request": asked.query.get("request", "")}
    if seconds:
        search["since"] = int(time.time() - seconds)
    found: dict[str, Any] = {"records": [], "columns": None, "offset": None, "complete": True}
    problem = ""
    try:
        found = asked.client.logs(function["service"], function["function"], lines=_LINES, **search)
    except PyfcError as error:
        if not query:
            raise
        problem = str(error)
    values = {
        "function": function,
        "records": found["records"],
        "columns": found["columns"],
        "offset": found["offset"],
        "complete": found["complete"],
        "problem": problem,
        "q": query,
        "since": since if seconds else "",
        "request": search["request"],
        "ranges": _RANGES,
        "follows": asked.query.get("follow", "") == "1" and found["columns"] is None,
        "tab": "logs",
    }
    return Shown("logs.html", values)


_following: set[object] = set()


def stream(asked: Asked, last: str, environment: Environment) -> StreamingResponse:
    """What comes from now on, or after `last` (the id of the last event that a browser has). Raises InvalidArgument,
    Unavailable.
    """
    offset = whole(last or asked.query.get("offset", ""), 18)
    if offset is None:
        raise InvalidArgument(message="offset must be a number")
    if len(_following) >= _MOST:
        raise Unavailable(message=f"{_MOST} pages follow logs already: close one")
    pieces = _pieces(asked, offset, environment)
    return StreamingResponse(pieces, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _pieces(asked: Asked, offset: int, environment: Environment) -> AsyncIterator[str]:
    template = environment.get_template("records.html")
    service, function = asked.path["service"], asked.path["function"]
    search: dict[str, Any] = {"query": asked.query.get("q", ""), "request": asked.query.get("request", "")}
    me, began, told = object(), time.monotonic(), time.monotonic()
    _following.add(me)
    try:
        yield ": here\n\n"
        while time.monotonic() - began < _LONGEST:
            try:
                found = await run_in_threadpool(partial(asked.client.logs, service, function, offset=offset, **search))
            except PyfcError:
                return  # the browser comes again, and is told then if there is nothing any more
            offset = found["offset"] if isinstance(found["offset"], int) else offset
            for begin in range(0, len(found["records"]), _BATCH):
                batch = found["records"][begin : begin + _BATCH]
                text = template.render(records=batch, t=asked.text, base=f"/console/s/{asked.session.place}/")
                yield f"id: {offset}\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
                told = time.monotonic()
            if time.monotonic() - told > _SILENCE:
                told = time.monotonic()
                yield ": still here\n\n"
            await asyncio.sleep(_PAUSE)
    finally:
        _following.discard(me)


PAGES = (Page("functions/{service}/{function}/logs", logs, "functions"),)
