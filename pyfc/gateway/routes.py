"""The Starlette application: everything that is not a call. The index, the health check, what is
known of a call, a cold start explained, and the refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pyfc import __version__
from pyfc.errors import FunctionNotFound, Internal, NotFound, PathNotSupported, PyfcError
from pyfc.gateway.guard import Guard
from pyfc.model.names import Target, request_id
from pyfc.observe.recent import Recent
from pyfc.supervisor.explain import explain
from pyfc.supervisor.pool import Pool
from pyfc.supervisor.supervisor import Entry, Table


def application(table: Callable[[], Table], guard: Guard, recent: Recent) -> ASGIApp:
    """The ASGI application; `table` gives what is served at the moment, `recent` the newest calls."""

    async def index(_: Request) -> Response:
        entries = table().entries.values()
        document = {"pyfc": __version__, "functions": [describe(entry) for entry in entries]}
        return _json(200, json.dumps(document, indent=2).encode() + b"\n")

    async def health(_: Request) -> Response:
        return _json(200, b'{"status": "ok"}\n')

    async def call(request: Request) -> Response:
        found = recent.get(request.path_params["id"])
        if found is None:
            raise NotFound(message=f"there is no call {request.path_params['id']} among the newest 10,000")
        return _json(200, json.dumps(found).encode() + b"\n")

    async def explanation(request: Request) -> Response:
        service, function = request.path_params["service"], request.path_params["function"]
        entry = table().entries.get(Target(service, function))
        if entry is None or not isinstance(entry.route, Pool):
            raise FunctionNotFound(service=service, function=function)
        pool = entry.route
        return _json(200, json.dumps(await explain(pool.function, pool.birth, pool.launcher)).encode() + b"\n")

    async def unknown(request: Request) -> Response:
        path = unquote(request.scope["raw_path"].decode("latin-1"))
        return _error(PathNotSupported(method=request.method, path=path))

    async def failed(_: Request, error: Exception) -> Response:
        return _error(error if isinstance(error, PyfcError) else Internal(detail="see the server's log"))

    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]
    routes = [
        Route("/", index, methods=["GET"]),
        Route("/healthz", health, methods=["GET"]),
        Route("/pyfc/calls/{id}", call, methods=["GET"]),
        Route("/pyfc/functions/{service}/{function}/explain", explanation, methods=["POST"]),
        Route("/{path:path}", unknown, methods=methods),
    ]
    handlers: dict[Any, Any] = {PyfcError: failed, 405: failed, Exception: failed}
    return _Guarded(Starlette(routes=routes, exception_handlers=handlers), guard)


class _Guarded:
    """Refuses another site's pages and unknown hosts before anything else."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._guard.check(dict(scope["headers"]))
        except PyfcError as error:
            await _error(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def describe(entry: Entry) -> dict[str, Any]:
    """A function as the index shows it; `url` is the path at which it is called."""
    function, limits = entry.function, entry.function.limits
    is_http = any(trigger.type == "http" for trigger in entry.triggers)
    if is_http:
        path = f"/2016-08-15/proxy/{function.service}/{function.name}/"
    else:
        path = f"/2016-08-15/services/{function.service}/functions/{function.name}/invocations"
    return {
        "service": function.service,
        "function": function.name,
        "runtime": function.runtime,
        "handler": function.handler,
        "memorySize": limits.memory_size,
        "timeout": limits.timeout,
        "instanceConcurrency": limits.instance_concurrency,
        "triggers": [trigger.type for trigger in entry.triggers],
        "served": function.code is not None,
        "url": path,
        **({"newest": entry.newest.fault.message} if entry.newest is not None and entry.newest.fault else {}),
        **(entry.route.describe() if isinstance(entry.route, Pool) else {}),
    }


def _json(status: int, body: bytes) -> Response:
    headers = {"X-Fc-Request-Id": request_id()}
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def _error(error: PyfcError) -> Response:
    return _json(error.status, error.document())
