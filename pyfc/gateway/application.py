"""The Starlette application: everything that is not a call. FC's management API in its versions, packages up and down,
and what is pyfc's own: the index, the health check, what is known of a call, a cold start explained.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from pyfc.calls.paths import HEALTH, NEWER, OLDER, OURS, SCRAPED, event_path, is_newer, trigger_path
from pyfc.calls.table import Entry, newest, version_of
from pyfc.cloud.interface import Door
from pyfc.cloud.oss.writing import measure
from pyfc.cloud.sls.records import Wanted
from pyfc.dispatch.sources import Described
from pyfc.errors import AccessDenied, FunctionNotFound, NotFound, PathNotSupported, PyfcError
from pyfc.gateway import api2021, metrics, openapi, overview
from pyfc.gateway.api2016 import account, asynchronous, domains, functions, scaling, services, triggers, versions
from pyfc.gateway.api2016.asynchronous import document
from pyfc.gateway.api2023 import account as newer_account
from pyfc.gateway.api2023 import asynchronous as newer_asynchronous
from pyfc.gateway.api2023 import functions as newer_functions
from pyfc.gateway.api2023 import scaling as newer_scaling
from pyfc.gateway.api2023 import sessions
from pyfc.gateway.calls import Calls
from pyfc.gateway.costs import Costs
from pyfc.gateway.events import EventDoor
from pyfc.gateway.failures import failed
from pyfc.gateway.guard import Guard, host_name
from pyfc.gateway.management import Api, Endpoint, authenticate, error_response, json_response, routes
from pyfc.gateway.shell import Shells
from pyfc.model.asynchronous import Ran
from pyfc.model.hosts import is_loopback, own_host
from pyfc.model.names import Target, request_id, whole
from pyfc.observe.recent import Recent
from pyfc.queues.interface import Filter
from pyfc.sandbox.sandbox import Sandbox
from pyfc.supervisor.draft import Dormant
from pyfc.supervisor.explain import explain
from pyfc.supervisor.pool import Pool
from pyfc.triggers.http import as_text
from pyfc.version import VERSION

_OLDER: tuple[Endpoint, ...] = (
    *services.ENDPOINTS, *functions.ENDPOINTS, *triggers.ENDPOINTS, *versions.ENDPOINTS, *scaling.ENDPOINTS,
    *domains.ENDPOINTS, *account.ENDPOINTS, *account.OWN, *asynchronous.ENDPOINTS,
)  # fmt: skip
_NEWER: tuple[Endpoint, ...] = (
    *newer_functions.ENDPOINTS, *newer_scaling.ENDPOINTS, *newer_account.ENDPOINTS, *newer_asynchronous.ENDPOINTS,
    *sessions.ENDPOINTS,
)  # fmt: skip
_OTHERS = {each.operation for each in api2021.ENDPOINTS}
_MIDDLE = (*(each for each in _OLDER if each.operation not in _OTHERS), *api2021.ENDPOINTS)
APIS = {OLDER[0]: _OLDER, OLDER[1]: _MIDDLE, NEWER: _NEWER}
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]
_CHUNK = 1024 * 1024
_LINES = 100
"""Records of a log that are shown unless another number is asked for."""
_DIGITS = 18
_MOST_TIMES = 100
"""Next times of a trigger that are told."""
Handler = Callable[[Request], Awaitable[Response]]


def application(
    api: Api, guard: Guard, recent: Recent, sandbox: Sandbox, doors: Sequence[Door], events: EventDoor
) -> ASGIApp:
    """The ASGI application; `recent` has the newest calls, `doors` answer as the cloud's services."""
    own, costs, calls = _Own(api), Costs(api), Calls(api.requests, recent, api.profiles, api.table)
    scraped = metrics.Scraped(api, is_local=is_loopback(api.settings.host))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, PyfcError)
        return error_response(error, request_id(), is_newer=is_newer(request.scope["path"]))

    found: list[BaseRoute] = [
        Route("/", own.index, methods=["GET"]),
        Route(HEALTH, own.health, methods=["GET"]),
        *(Route(path, scraped.answer, methods=["GET"]) for path in SCRAPED),
        Route(OURS + "/functions", own.managed(own.functions), methods=["GET"]),
        Route(OURS + "/calls", own.managed(calls.search), methods=["GET"]),
        Route(OURS + "/calls/{id}", own.managed(calls.one), methods=["GET"]),
        Route(OURS + "/calls/{id}/profile", own.managed(calls.profile), methods=["GET"]),
        Route(OURS + "/logs/{service}/{function}", own.managed(own.logs), methods=["GET"]),
        Route(OURS + "/metrics", own.managed(own.metrics), methods=["GET"]),
        Route(OURS + "/overview", own.managed(own.overview), methods=["GET"]),
        Route(OURS + "/events", events.listed(own.managed(own.events)), methods=["GET"]),
        Route(OURS + "/events", events.publish, methods=["POST"]),
        Route(OURS + "/events", events.refuse, methods=_METHODS),
        Route(OURS + "/events/{service}/{function}/{trigger}", events.publish_to, methods=["POST"]),
        Route(OURS + "/events/{id}", own.managed(own.event), methods=["GET", "POST", "DELETE"]),
        Route(OURS + "/events/{id}/code", own.managed(own.event_code), methods=["GET"]),
        Route(OURS + "/events/{id}/layers", own.managed(own.event_layers), methods=["GET"]),
        Route(OURS + "/triggers", own.managed(own.triggers), methods=["GET"]),
        Route(OURS + "/buckets/{bucket}/events", own.managed(own.bucket_events), methods=["GET"]),
        Route(OURS + "/console", own.console, methods=["POST", "DELETE"]),
        Route(OURS + "/openapi.json", own.described, methods=["GET"]),
        Route(OURS + "/functions/{service}/{function}/explain", own.managed(own.explanation), methods=["POST"]),
        Route(OURS + "/bill", own.managed(costs.bill), methods=["GET", "POST"]),
        Route(OURS + "/functions/{service}/{function}/tune", own.managed(costs.tune), methods=["POST"]),
        Route(OURS + "/code/{service}/{function}/{qualifier}", own.linked(own.code), methods=["GET"]),
        Route(OURS + "/layers/{layer}/{version}", own.linked(own.layer), methods=["GET"]),
    ]
    found += _of_apis(api, Shells(api, sandbox))
    found.append(Route("/{path:path}", own.unknown, methods=_METHODS))
    handlers: dict[Any, Any] = {PyfcError: refused, 405: own.unknown}
    app = Starlette(routes=found)
    app.router.redirect_slashes = False
    app.middleware_stack = ExceptionMiddleware(app.router, handlers)  # other errors are _Guarded's
    return _Guarded(app, guard, api, doors)


def _of_apis(api: Api, shells: Shells) -> Iterator[BaseRoute]:
    """The paths of FC's API, in all its versions."""
    for prefix, endpoints in APIS.items():
        yield from routes(api, prefix, endpoints)
        service = "" if prefix == NEWER else "/services/{service}"
        path = f"{prefix}{service}/functions/{{function}}/instances/{{instance}}/exec"
        yield WebSocketRoute(path, shells.serve)


class _Own:
    """Paths that are not of FC's API."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def managed(self, handler: Handler) -> Handler:
        """For who may manage only."""

        async def checked(request: Request) -> Response:
            authenticate(self._api, request)
            return await handler(request)

        return checked

    def linked(self, handler: Handler) -> Handler:
        """For who has a signed URL."""

        async def checked(request: Request) -> Response:
            authenticate(self._api, request, is_trigger=True)
            return await handler(request)

        return checked

    async def index(self, _: Request) -> Response:
        """What answers here."""
        return json_response({"pyfc": VERSION, "functions": "GET /pyfc/functions, signed: `pyfc list` does that"})

    async def health(self, _: Request) -> Response:
        """For who looks after the server."""
        if self._api.problems():  # which ones is in the log: anybody may ask here
            return json_response({"status": "failing"}, 503)
        return json_response({"status": "ok"})

    async def described(self, _: Request) -> Response:
        """The APIs, in OpenAPI's words."""
        return json_response(openapi.description(APIS))

    async def functions(self, _: Request) -> Response:
        """Everything that is served."""
        entries = newest(self._api.table())
        return json_response({"functions": [{**describe(entry), **self._built(entry)} for entry in entries]})

    def _built(self, entry: Entry) -> dict[str, Any]:
        code = entry.function.code
        return self._api.builds(code.source) if code is not None and code.source else {}

    async def logs(self, request: Request) -> Response:
        """A function's log: its newest records, or what came after an offset; all of them or what a search is for."""
        names, query = request.path_params, request.query_params
        await self._api.functions.function(names["service"], names["function"])
        lines = whole(query.get("lines", ""))
        wanted = Wanted(
            query=query.get("query", ""),
            since=float(whole(query.get("since", ""), _DIGITS) or 0),
            request=query.get("request", ""),
            lines=_LINES if lines is None else lines,
            offset=whole(query.get("offset", ""), _DIGITS),
        )
        found = await self._api.logs.records(names["service"], names["function"], wanted)
        columns = {"columns": found["columns"]} if "columns" in found else {}
        return json_response(
            {"records": found["records"], "offset": found["offset"], "complete": found["is_complete"], **columns}
        )

    async def metrics(self, request: Request) -> Response:
        """What calls have cost since a time."""
        query = request.query_params
        service, _, function = query.get("function", "").partition("/")
        api, qualifier = self._api, query.get("qualifier", "")
        found = await metrics.document(
            api.metrics, api.table(), query.get("seconds", ""), (service, function), qualifier
        )  # fmt: skip
        return json_response(found)

    async def overview(self, request: Request) -> Response:
        """What every function has done lately and does now."""
        return json_response(await overview.document(self._api, request.query_params.get("seconds", "")))

    async def events(self, request: Request) -> Response:
        """Asynchronous calls: those that were given up, or all there are a record of."""
        query = request.query_params
        service, _, function = query.get("function", "").partition("/")
        found = await self._api.records.list(
            Filter(
                service=service,
                function=function,
                only_kept=query.get("all", "") != "true",
                after=whole(query.get("after", ""), _DIGITS) or 0,
            )
        )
        depth = await self._api.records.depth()
        rows = [{**document(each, payload=False), "number": each.number} for each in found]
        return json_response({"events": rows, "depth": depth._asdict()})

    async def event(self, request: Request) -> Response:
        """One of them: shown, tried again (POST), or forgotten (DELETE)."""
        records, name = self._api.records, request.path_params["id"]
        found = await records.find("", "", name)
        if found is None:
            raise NotFound(message=f"there is no record of a call {name}")
        if request.method == "POST":
            await records.retry(found)
        elif request.method == "DELETE":
            await records.drop(found)
        payload, is_base64 = as_text(found.payload)
        more = {
            "invocationPayload": payload,
            "isBase64Encoded": is_base64,
            "http": found.http,
            "log": found.log.decode("utf-8", "replace"),
            "version": found.version,
            "condition": found.condition,
            "error": found.error,
        }
        return json_response({**document(found, payload=True), **more})

    async def console(self, request: Request) -> Response:
        """A link that logs in at the console, or the end of all."""
        key = authenticate(self._api, request)
        if key is not None and not key.may_manage:
            raise AccessDenied(message="a function logs in nobody at the console, whatever it may do")
        console = self._api.console
        is_end = request.method == "DELETE"
        return json_response(console.revoke() if is_end else console.link(request.query_params.get("role", "")))

    async def event_code(self, request: Request) -> Response:
        """The code that ran an event last, also if it has been replaced since."""
        ran = await self._ran(request)
        return await _file(await self._api.operations.bundles.packed(ran.code, ran.packages))

    async def event_layers(self, request: Request) -> Response:
        """The layers that it had then, as one archive."""
        return await _file(await self._api.operations.bundles.packed((await self._ran(request)).layers))

    async def triggers(self, request: Request) -> Response:
        """Every trigger, how it is and what it has done; with `next`, when it fires so many next times."""
        wanted = min(whole(request.query_params.get("next", "")) or 0, _MOST_TIMES)
        rows = [_trigger(each, self._api.sources.upcoming(each.key, wanted)) for each in self._api.sources.describe()]
        return json_response({"triggers": rows})

    async def bucket_events(self, request: Request) -> Response:
        """What has happened in a bucket lately. Raises NotFound."""
        bucket, index = request.path_params["bucket"], self._api.buckets
        if bucket not in index.buckets:
            raise NotFound(message=f"there is no bucket {bucket[:100]!r}")
        told = ("event", "time", "key", "size")
        return json_response(
            {"events": [{name: getattr(each, name) for name in told} for each in index.outbox.recent(bucket)]}
        )

    async def _ran(self, request: Request) -> Ran:
        """What has run an event last, or would if it never ran. Raises NotFound."""
        name, table = request.path_params["id"], self._api.table()
        found = await self._api.records.find("", "", name)
        if found is not None and found.version:
            return Ran.read(found.version)
        target = version_of(table, found.target) if found is not None else None
        if target is None:
            raise NotFound(message=f"there is no code of a call {name}")
        return Ran.of(table.entries[target].function)

    async def explanation(self, request: Request) -> Response:
        """A cold start, taken apart."""
        service, function = request.path_params["service"], request.path_params["function"]
        entry = self._api.table().entries.get(Target(service, function))
        route = entry.route.rouse() if entry is not None and isinstance(entry.route, Dormant) else entry and entry.route
        if not isinstance(route, Pool):
            raise FunctionNotFound(service=service, function=function)
        return json_response(await explain(route.function, route.population.birth, route.population.launcher))

    async def code(self, request: Request) -> Response:
        """A function's package."""
        names = request.path_params
        stream, _ = await self._api.functions.code(names["service"], names["function"], names["qualifier"])
        return await _file(stream)

    async def layer(self, request: Request) -> Response:
        """A layer's package."""
        record = await self._api.layers.get(request.path_params["layer"], request.path_params["version"])
        return await _file(await self._api.operations.bundles.archive(record.value.code))

    async def unknown(self, request: Request, _: Exception | None = None) -> Response:
        """Nothing has this path."""
        path = unquote(request.scope["raw_path"].decode("latin-1"))
        error = PathNotSupported(method=request.method, path=path)
        return error_response(error, request_id(), is_newer=is_newer(path))


class _Guarded:
    """Refuses another site's pages and unknown hosts before anything else; answers also what went wrong in here."""

    def __init__(self, app: ASGIApp, guard: Guard, api: Api, doors: Sequence[Door]) -> None:
        self._app = app
        self._guard = guard
        self._api = api
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What can be answered no more is left to uvicorn, which ends the connection of an answer without an end."""
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._answer(scope, receive, noted)
        except (ClientDisconnect, WebSocketDisconnect):
            return
        except Exception as error:
            number = request_id()
            wrong = failed(number, f"{scope.get('method', scope['type'])} {scope['path']}", error)
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1011, "reason": str(wrong)[:100]})
            elif not has_begun:
                answer = error_response(wrong, number, is_newer=is_newer(scope["path"]))
                answer.headers["Connection"] = "close"
                await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        try:
            door = self._door(scope, headers) if scope["type"] == "http" else None
            if door is not None:
                await door(scope, receive, send)
                return
            self._guard.check(headers)
        except PyfcError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:100]})
            else:
                await error_response(error, request_id())(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _door(self, scope: Scope, headers: dict[bytes, bytes]) -> Door | None:
        """The service that answers, if one does. Raises AccessDenied for pages of other sites where nobody has to sign:
        then nothing else protects what it keeps.
        """
        host = host_name(headers.get(b"host", b"").decode("latin-1"))
        door = next((each for each in self._doors if each.takes(scope, host, headers)), None)
        if door is not None and door.is_open:
            if door.names(host):
                self._guard.check_page(headers)
            else:
                self._guard.check(headers)
        return door


def describe(entry: Entry) -> dict[str, Any]:
    """A function as the index shows it; `url` is the path at which it is called, `host` that of its own address."""
    function, limits = entry.function, entry.function.limits
    is_http = any(trigger.type == "http" for trigger in entry.triggers)
    if is_http:
        path = f"{trigger_path(function.service, function.name)}/"
    else:
        path = event_path(function.service, function.name)
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
        **({"host": own_host(function.service, function.name)} if is_http else {}),
        **({"leftOut": dict(function.left_out)} if function.left_out else {}),
        **({"newest": entry.newest.fault.message} if entry.newest is not None and entry.newest.fault else {}),
        **(entry.route.describe() if isinstance(entry.route, Pool) else {}),
    }


def _trigger(described: Described, upcoming: Sequence[float]) -> dict[str, Any]:
    """A trigger as the index shows it; times are seconds since the epoch."""
    trigger, state, past = described.trigger, described.state, described.past
    return {
        "service": trigger.service,
        "function": trigger.function,
        "trigger": trigger.name,
        "type": trigger.type,
        "qualifier": trigger.qualifier,
        "declared": trigger.is_declared,
        "state": described.word,
        "last": past.last or None,
        "next": state.next if state is not None else None,
        "fired": past.count,
        "error": state.error if state is not None else "",
        "upcoming": list(upcoming),
    }


async def _file(stream: BinaryIO) -> Response:
    """A zip file, with its checksum as an object store tells it."""

    async def chunks() -> AsyncIterator[bytes]:
        with stream:
            while chunk := await run_in_threadpool(stream.read, _CHUNK):
                yield chunk

    content = await run_in_threadpool(measure, stream.fileno())
    told = {"Content-Length": str(content.size), "x-oss-hash-crc64ecma": str(content.crc)}
    headers = {"X-Fc-Request-Id": request_id(), **told}
    return StreamingResponse(chunks(), media_type="application/zip", headers=headers)
