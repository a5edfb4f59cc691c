"""What every endpoint of the management API shares: who may ask, what was sent, how it is answered.

1. Everything but calls needs a signature of a key that may do it, also on this machine (`--auth off` takes any).
2. A body is JSON whatever its Content-Type says: Funcraft sends it as a stream of octets.
3. Every answer has X-Fc-Request-Id; one without a body has no Content-Type, since clients would parse it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pyfc.auth.digest import check_document
from pyfc.auth.keys import Key, Keys
from pyfc.auth.permissions import Permissions
from pyfc.auth.signature import Signed, Verifier, check_body
from pyfc.calls.paths import is_newer, resources_of, trigger_path
from pyfc.calls.table import Table
from pyfc.cloud.oss.index import Index
from pyfc.cloud.oss.temporary import Temporary
from pyfc.cloud.request import body_of
from pyfc.cloud.sls.files import LogFiles
from pyfc.dispatch.records import Records
from pyfc.dispatch.sources import Sources
from pyfc.documents.reader import Document, JsonReader
from pyfc.documents.shapes import Shape
from pyfc.errors import EntityTooLarge, InvalidArgument, PyfcError
from pyfc.gateway.console import ConsoleLinks
from pyfc.host.local_names import LocalNames
from pyfc.model.function import Function
from pyfc.model.hosts import own_host, own_url
from pyfc.model.names import request_id
from pyfc.observe.lives import Sample
from pyfc.observe.metrics.metrics import Metrics
from pyfc.observe.profiles.shelf import Shelf
from pyfc.observe.requests.requests import Requests
from pyfc.registry.configs import Configs
from pyfc.registry.domains import Domains
from pyfc.registry.functions import Functions
from pyfc.registry.layers import Layers
from pyfc.registry.operations import Operations, Wanted, etag_of
from pyfc.registry.registry import Record
from pyfc.registry.versions import Versions
from pyfc.settings import Settings
from pyfc.supervisor.trials import Trials
from pyfc.triggers.trail import Done, Trail

_MAXIMUM_DOCUMENT = 140 * 1024 * 1024
"""Bytes of a body: a package of 100 MB in base64, and its settings."""
MANAGE = "pyfc:Manage"
"""What asking for anything but FC's API takes."""
_NAMES = ("serviceName", "functionName", "triggerName")
"""Of what operations are about."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What the endpoints work with."""

    settings: Settings
    operations: Operations
    functions: Functions
    versions: Versions
    configs: Configs
    domains: Domains
    layers: Layers
    reader: JsonReader
    temporary: Temporary
    buckets: Index
    keys: Keys
    permissions: Permissions
    verifier: Verifier
    records: Records
    sources: Sources
    trail: Trail
    table: Callable[[], Table]
    logs: LogFiles
    metrics: Metrics
    requests: Requests
    profiles: Shelf
    """Of slow calls."""
    endpoint: Callable[[], str]
    """The server's own address, like http://127.0.0.1:8000."""
    local_names: LocalNames
    builds: Callable[[str], dict[str, Any]]
    """What is told of what was installed, or is being, for a folder of code."""
    problems: Callable[[], list[str]]
    """What keeps the server from doing all that it should."""
    trials: Trials
    samples: Callable[[Callable[[Function], bool]], Awaitable[list[Sample]]]
    """What the instances of those functions use now for which that is wanted."""
    console: ConsoleLinks


class Answer(NamedTuple):
    """What an endpoint answers. Without a document the body is empty."""

    document: Any = None
    status: int = 200
    record: Record[Any] | None = None
    """What the answer is about: its ETag is told."""


GONE = Answer(status=204)


class Call:
    """One request to an endpoint."""

    def __init__(self, api: Api, request: Request, document: Document, body: bytes) -> None:
        self.api = api
        self.names: Mapping[str, str] = request.path_params
        self.query: Mapping[str, str] = request.query_params
        self.lists = request.query_params.getlist
        self.document = document
        self.body = body
        self.etag = request.headers.get("if-match", "")
        self.request_id = request_id()
        self.request = request

    @property
    def service(self) -> str:
        """The service that the path names, without its qualifier."""
        return self.names["service"].partition(".")[0]

    @property
    def function(self) -> str:
        """The function that the path names."""
        return self.names["function"]

    @property
    def qualifier(self) -> str:
        """The version or alias that is meant: in the path (2016-08-15) or the query (the newer ones)."""
        return self.names.get("service", "").partition(".")[2] or self.query.get("qualifier", "")

    @property
    def wanted(self) -> Wanted:
        """Which part of a list."""
        return Wanted.read(self.query)

    def several(self, name: str) -> list[str]:
        """A parameter that is a list: some clients repeat it, some number it, some send a JSON list. Raises
        InvalidArgument.
        """
        given = [*self.lists(name), *(text for each, text in self.query.items() if each.startswith(f"{name}."))]
        return [each for text in given for each in (_listed(name, text) if text.startswith("[") else [text])]

    @property
    def base(self) -> str:
        """The address by which the client has found this server, as far as it has told."""
        host = self.request.headers.get("host", "")
        return f"{self.request.scope['scheme']}://{host}" if ":" in host else self.api.endpoint()


def _listed(name: str, text: str) -> list[str]:
    """The members of a JSON list; those that are not text as JSON again."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(message=f"{name} is no JSON list: {error}") from None
    return [each if isinstance(each, str) else json.dumps(each) for each in found]


class Endpoint(NamedTuple):
    """An operation of FC's API, and what serves it."""

    method: str
    path: str
    operation: str
    """FC's name of it."""
    handler: Callable[[Call], Awaitable[Answer]]
    query: tuple[str, ...] = ()
    """Parameters that it knows."""
    body: type[Shape] | None = None
    """What may be sent."""

    @property
    def is_change(self) -> bool:
        """Whether it changes what is there already: what is not sent stays."""
        return self.operation.startswith("Update")


LIST = ("limit", "nextToken", "prefix", "startKey")


def routes(api: Api, prefix: str, endpoints: Sequence[Endpoint]) -> list[Route]:
    """The endpoints below `prefix`. FC's clients may end a path with a slash."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [
        Route(prefix + path, _dispatcher(api, prefix, methods), methods=list(methods))
        for path, methods in by_path.items()
    ]


def _dispatcher(api: Api, prefix: str, methods: Mapping[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    has_newer_errors = is_newer(f"{prefix}/")

    async def dispatch(request: Request) -> Response:
        endpoint = methods["GET" if request.method == "HEAD" else request.method]
        number = request_id()
        document: Document = {}
        key: Key | None = None
        is_admitted = False
        try:
            key = authenticate(api, request, f"fc:{endpoint.operation}")  # before anything of a stranger is in memory
            body = await _body(api, request)
            is_admitted = True
            document = read_document(body)
            if endpoint.body is not None:
                document = api.reader.read(document, endpoint.body, partial=endpoint.is_change)
            answer = await endpoint.handler(Call(api, request, document, body))
        except PyfcError as error:
            if is_admitted:
                await _tell(api, endpoint, request, document, key, prefix, (error.code, str(error)))
            return error_response(error, number, is_newer=has_newer_errors)
        await _tell(api, endpoint, request, document, key, prefix)
        return _response(answer, number)

    return dispatch


async def _body(api: Api, request: Request) -> bytes:
    """The body. Raises PyfcError for another one than was signed or summed."""
    body = await read_body(request, _MAXIMUM_DOCUMENT)
    if api.settings.auth != "off":
        check_body(signed(request, body))
    if "content-md5" in request.headers:
        check_document(request.headers["content-md5"].encode("latin-1"), body)
    return body


async def _tell(
    api: Api, endpoint: Endpoint, request: Request, document: Document, key: Key | None, prefix: str,
    error: tuple[str, str] = ("", ""),
) -> None:  # fmt: skip
    """Have the bus hear of what was done, or could not be."""
    if not api.trail.wants(endpoint.operation):
        return
    given = {name: str(document[name]) for name in _NAMES if isinstance(document.get(name), str)}
    named = {f"{name}Name": text.partition(".")[0] for name, text in request.path_params.items()}
    names = {name: text for name in _NAMES if (text := named.get(name) or given.get(name))}
    client = request.client.host if request.client is not None else ""
    agent = request.headers.get("user-agent", "")
    await api.trail.tell(Done(endpoint.operation, names, key, client, agent, error, prefix.strip("/")))


async def read_body(request: Request, maximum: int) -> bytes:
    """The whole body. Raises EntityTooLarge."""
    found = await body_of(request.stream(), maximum)
    if found is None:
        raise EntityTooLarge(limit=maximum)
    return found


def signed(request: Request, body: bytes | None, *, is_trigger: bool = False) -> Signed:
    """The request as it was sent."""
    query = request.scope["query_string"].decode("latin-1")
    target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    return Signed(request.method, target, request.headers, is_trigger, body)


def authenticate(api: Api, request: Request, action: str = MANAGE, *, is_trigger: bool = False) -> Key | None:
    """Whose request it is, None if that is not asked. Raises AccessDenied and its like for who may not do `action`."""
    if api.settings.auth == "off":
        return None
    key = api.verifier.verify(signed(request, None, is_trigger=is_trigger))
    api.permissions.check(key, action, *resources_of(request.scope["path"]))
    return key


def read_document(body: bytes) -> Document:
    """The JSON object that a body is; {} for none. Raises InvalidArgument."""
    if not body.strip():
        return {}
    try:
        value = json.loads(body, parse_constant=_no_number, parse_float=_number)
        if (b"\\u" in body or b"\xed" in body) and _SURROGATE.search(body):  # of 100 MB the first takes 3 ms
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidArgument(message="the body has half a character (a lone surrogate) in it") from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(message=f"the body is no JSON, or nested too deeply: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArgument(message="the body must be a JSON object")
    return value


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text[:100]} is no number")


def json_response(document: Any, status: int = 200) -> Response:
    """A document that is not of FC's API."""
    body = json.dumps(document).encode() + b"\n"
    return Response(body, status, media_type="application/json", headers={"X-Fc-Request-Id": request_id()})


def _response(answer: Answer, number: str) -> Response:
    headers = {"X-Fc-Request-Id": number}
    if answer.record is not None:
        headers["Etag"] = etag_of(answer.record)
    if answer.document is None:
        return Response(b"", status_code=answer.status, headers=headers)
    return Response(json.dumps(answer.document, separators=(",", ":")), answer.status, headers, "application/json")


def error_response(error: PyfcError, number: str, *, is_newer: bool = False) -> Response:
    """FC's answer to what went wrong."""
    body = error.newer_document(number) if is_newer else error.document()
    headers = {"X-Fc-Request-Id": number}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return Response(body, error.status, headers, "application/json")


def page(key: str, documents: list[Document], next_token: str) -> Answer:
    """Part of a list."""
    return Answer({key: documents, **({"nextToken": next_token} if next_token else {})})


def trigger_url(call: Call, service: str, function: str, qualifier: str = "") -> str:
    """Where an HTTP trigger is called: at its own address, if that leads a caller here who knows nothing else."""
    name = f"{service}.{qualifier}" if qualifier else service
    own = own_url(call.base, own_host(service, function, qualifier)) if call.api.local_names.are_known else ""
    return own or f"{call.base}{trigger_path(quote(name), quote(function))}/"
