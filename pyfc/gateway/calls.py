"""`/pyfc/calls`: records of calls, for `pyfc requests` and `pyfc why`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pyfc.calls.table import Table
from pyfc.errors import FunctionNotFound, InvalidArgument, NotFound
from pyfc.gateway.management import json_response
from pyfc.gateway.metrics import seconds_of
from pyfc.model.names import Target, whole
from pyfc.observe.profiles.shelf import Shelf
from pyfc.observe.recent import KEPT, Recent
from pyfc.observe.requests.requests import Requests
from pyfc.observe.requests.table import MOST, Wanted

_USUAL = 50
_OF_RUN = ("time", "status", "attempt", "errorType", "durationMs", "instanceId", "cold")


class Calls:
    """The paths of calls."""

    def __init__(self, requests: Requests, recent: Recent, profiles: Shelf, table: Callable[[], Table]) -> None:
        """`recent` has the newest calls, with a record or without."""
        self._profiles = profiles
        self._requests = requests
        self._recent = recent
        self._table = table

    async def one(self, request: Request) -> Response:
        """What is known of a call: its newest run, and of its others (an asynchronous one has several) the outcomes."""
        name = request.path_params["id"]
        runs = (await self._requests.find(Wanted(id=name))).records
        found: dict[str, Any] | None = runs[0] if runs else self._recent.get(name)
        if found is None:
            raise NotFound(message=f"there is no record of a call {name}, and it is not among the newest {KEPT:,}")
        if len(runs) > 1:
            found["runs"] = [{key: run[key] for key in _OF_RUN if key in run} for run in reversed(runs)]
        return json_response(self._joined(found))

    def _joined(self, call: dict[str, Any]) -> dict[str, Any]:
        """With whether there is a profile of it."""
        return {**call, "profile": True} if call["requestId"] in self._profiles else call

    async def profile(self, request: Request) -> Response:
        """What a slow call was busy with, in speedscope's format."""
        name = request.path_params["id"]
        data = await asyncio.to_thread(self._profiles.get, name)
        if data is None:
            raise NotFound(message=f"there is no profile of a call {name}")
        return Response(data, media_type="application/json")

    async def search(self, request: Request) -> Response:
        """Records of calls, the newest or the slowest first. Raises FunctionNotFound where there are none, too."""
        if not self._requests.is_kept:
            raise NotFound(message="no records are kept: the server was started with `observe` off")
        wanted = _wanted(request)
        found = await self._requests.find(wanted)
        if (
            wanted.function
            and not found.records
            and Target(wanted.service, wanted.function) not in self._table().entries
        ):
            raise FunctionNotFound(service=wanted.service, function=wanted.function)
        told = {} if found.spans is None else {"spans": found.spans}
        return json_response({"calls": [*map(self._joined, found.records)], "leftOut": found.left_out, **told})


def _wanted(request: Request) -> Wanted:
    """Raises InvalidArgument."""
    query = request.query_params
    service, slash, function = query.get("function", "").partition("/")
    if slash and not (service and function):
        raise InvalidArgument(message="function must be SERVICE/FUNCTION, or SERVICE for all of a service")
    return Wanted(
        service=service,
        function=function,
        since=time.time() - seconds_of(query.get("seconds", "")),
        status=_number(query.get("status", "0"), "status", 0, 599),
        error=query.get("error", ""),
        slowest=query.get("slowest", "") in {"1", "true"},
        limit=_number(query.get("limit", str(_USUAL)), "limit", 1, MOST),
    )


def _number(text: str, name: str, least: int, most: int) -> int:
    found = whole(text)
    if found is None or not least <= found <= most:
        raise InvalidArgument(message=f"{name} is {text[:100]!r}: it must be a number from {least} to {most}")
    return found
