"""The API gateway: `http://GROUP.apigw.localhost` and `/pyfc/api/GROUP/STAGE/...` lead to the functions of APIs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pyfc.calls.paths import OURS, serving
from pyfc.calls.table import Entry, Table
from pyfc.cloud.request import body_of
from pyfc.errors import AccessDenied, PyfcError, ResourceExhausted
from pyfc.gateway.guard import Guard, host_name
from pyfc.model.hosts import APIGATEWAY
from pyfc.model.invocation import Invocation, Kind, Result, invoke
from pyfc.model.names import request_id
from pyfc.observe.journal import CallRecord, Journal
from pyfc.triggers.apigateway import TYPE, Api, ApiError, ApiRequest, Apis, answer_of, event_of
from pyfc.triggers.http import Response as Answer

_PATH = f"{OURS}/api/"


class ApiDoor:
    """The APIs of one server. A Door (cloud/interface.py)."""

    is_open = False
    """Pages of other sites may call APIs that are for everybody; of others they are refused here."""

    def __init__(
        self, table: Callable[[], Table], journal: Journal, guard: Guard, maximum: int, *, is_local: bool
    ) -> None:
        """`maximum`: bytes of a body. `is_local`: nobody else can reach us, so APIs that are for apps answer too."""
        self._table = table
        self._journal = journal
        self._guard = guard
        self._maximum = maximum
        self._is_local = is_local
        self._known: Table | None = None
        self._apis = Apis(())

    def takes(self, scope: Scope, host: str, headers: Mapping[bytes, bytes]) -> bool:
        """See Door."""
        return self.names(host) or scope["path"].startswith(_PATH)

    def names(self, host: str) -> bool:
        """See Door."""
        return host.endswith(APIGATEWAY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See Door."""
        number = request_id()
        try:
            answer = await self._answer(Request(scope, receive), number)
        except ApiError as error:
            answer = _error(error, number)
        await answer(scope, receive, send)

    async def _answer(self, request: Request, number: str) -> Response:
        group, stage, path = _asked(request)
        body = await body_of(request.stream(), self._maximum)
        if body is None:
            raise ApiError("I413RL", "Request body too Large")
        asked = ApiRequest(
            request.method, path, request.scope["query_string"].decode("latin-1"), _headers(request), body,
            request.client.host if request.client is not None else "", request.scope["scheme"], number,
        )  # fmt: skip
        api, values = self._current().find(group, stage, asked)
        self._check_caller(api, request)
        call = Invocation(number, api.target, Kind.EVENT, event_of(api, values, asked))
        return _response(await self._call(api, call), number, has_body=request.method != "HEAD")

    def _current(self) -> Apis:
        """What is served now."""
        table = self._table()
        if table is not self._known:
            triggers = [each for entry in table.entries.values() for each in entry.triggers if each.type == TYPE]
            self._known, self._apis = table, Apis(triggers)
        return self._apis

    def _check_caller(self, api: Api, request: Request) -> None:
        """Raises ApiError for who may not call an API that is not for everybody: this server knows no apps."""
        if api.is_anonymous:
            return
        try:
            self._guard.check_page(dict(request.scope["headers"]))
        except AccessDenied as error:
            raise ApiError("A400IK", f"Invalid AppKey: {error}") from None
        if not self._is_local:
            raise ApiError("A400IK", "Invalid AppKey: on this server APIs with ANONYMOUS authentication answer only")

    async def _call(self, api: Api, call: Invocation) -> Answer:
        """What the function answers. Raises ApiError."""
        try:
            entry, _ = serving(self._table(), api.target, {})
        except PyfcError as error:
            raise ApiError("D502FC", f"FunctionCompute: {error}") from None
        result: Result | None = None
        status = 502
        problem = ""
        try:
            async with asyncio.timeout(api.timeout):
                result = await invoke(entry.route, call)
            answer = _answered(result)
            status = answer.status
        except TimeoutError:
            status, problem = 504, "D504TO"
            raise ApiError("D504TO", f"Backend service request timeout: {api.timeout:g} s") from None
        except PyfcError as error:
            code = "D503BB" if isinstance(error, ResourceExhausted) else "D502FC"
            status, problem = (503 if code == "D503BB" else 502), error.code
            raise ApiError(code, f"FunctionCompute: {error}") from None
        finally:
            self._record(entry, call, status, result, problem)
        return answer

    def _record(self, entry: Entry, call: Invocation, status: int, result: Result | None, problem: str) -> None:
        self._journal.add(CallRecord(time.time(), entry.function, call, status, result, problem))


def _answered(result: Result) -> Answer:
    if result.fault is not None:
        raise ApiError("D502FC", f"FunctionCompute: {result.fault.kind.error_type}: {result.fault.message}")
    return answer_of(bytes(result.body))


def _asked(request: Request) -> tuple[str, str, str]:
    """Group, stage and path (percent-encoded) that a request names. Stage: '' for none."""
    host = host_name(request.headers.get("host", ""))
    path = request.scope["raw_path"].decode("latin-1")
    if host.endswith(APIGATEWAY):
        return host.removesuffix(APIGATEWAY), request.headers.get("x-ca-stage", ""), path
    group, _, rest = path.removeprefix(_PATH).partition("/")
    stage, _, rest = rest.partition("/")
    return group, stage, f"/{rest}"


def _headers(request: Request) -> dict[str, str]:
    """Those of one name are joined."""
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _response(answer: Answer, number: str, *, has_body: bool) -> Response:
    made = Response(bytes(answer.body) if has_body else b"", answer.status)
    own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    made.raw_headers += [*own, (b"x-ca-request-id", number.encode())]
    return made


def _error(error: ApiError, number: str) -> Response:
    """What went wrong is in the headers, as the gateway tells it; the body says it again for people."""
    told = quote(str(error)[:500], safe=" !\"#$&'()*+,-./:;<=>?@[]^_`{|}~")
    headers = {"X-Ca-Error-Code": error.code, "X-Ca-Error-Message": told, "X-Ca-Request-Id": number}
    body = json.dumps({"code": error.code, "message": str(error), "requestId": number}).encode() + b"\n"
    return Response(body, error.status, headers, "application/json")
