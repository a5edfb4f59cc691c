"""HTTP trigger: its configuration, a request as the function sees it, a result as the client sees it.

Two conventions (FC's HTTP trigger pages): `handler`, FC 2's, where the function is called in its language's HTTP form
(WSGI in Python), and `event`, FC 3's, where it gets the request as a JSON event and may answer with a JSON response.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from pyfc.errors import InvalidArgument
from pyfc.model.invocation import HttpRequest
from pyfc.triggers.cors import Cors

if TYPE_CHECKING:
    from pyfc.auth.tokens import Authorizer

NOT_PASSED_ON = frozenset({
    "connection", "keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "expect",
})  # fmt: skip
NOT_SETTABLE = frozenset({
    "connection", "content-length", "date", "keep-alive", "server", "upgrade", "transfer-encoding", "trailer",
})  # fmt: skip
"""Response headers that are the platform's, beside all that begin with x-fc-."""
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FIELD = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


"""What a header's name and value may be."""
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"})
_OF_UPGRADES = {"connection", "upgrade"}
_MAXIMUM_HEADERS = 8192
_MAXIMUM_URI = 4096


class Config(NamedTuple):
    """What an HTTP trigger is declared with."""

    anonymous: bool
    methods: frozenset[str]
    is_event: bool
    """Whether the function gets a JSON event (FC 3)."""
    authorizer: Authorizer | None = None
    """What checks the tokens of `authType: jwt`."""
    cors: Cors = Cors()
    """What the pages of other sites may do."""
    is_newer: bool = False
    """Whether it is FC 3's."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Config:
        """From a trigger's config."""
        return cls(
            anonymous=values["authType"] != "function",
            methods=frozenset(values["methods"]),
            is_event=values["convention"] == "event",
            authorizer=_authorizer(values["authConfig"]) if values["authType"] == "jwt" else None,
            cors=Cors.read(values.get("corsConfig") or {}),
            is_newer=values["convention"] == "event",
        )


def config_at(auth: Mapping[str, Any], trigger: Config | None) -> Config:
    """Of a function of FC 3 at a domain with this authConfig: it needs no trigger there, and the domain decides who may
    call, unless it lets everybody.
    """
    config = trigger or Config(anonymous=True, methods=_METHODS, is_event=True, is_newer=True)
    kind = auth.get("authType", "anonymous")
    if kind == "anonymous":
        return config
    return config._replace(
        anonymous=kind == "jwt", authorizer=_authorizer(auth.get("authInfo", {})) if kind == "jwt" else None
    )


class Response(NamedTuple):
    """What the function answers: its own status, headers and body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | memoryview


def _authorizer(config: str | Mapping[str, Any]) -> Authorizer:
    from pyfc.auth.tokens import authorizer_of  # noqa: PLC0415  80 ms that only who checks tokens should wait for

    return authorizer_of(config)


def translate(
    method: str, path: bytes, uri: bytes, client: str, fields: list[tuple[bytes, bytes]], *, upgrades: bool = False
) -> HttpRequest:
    """The request of an HTTP function. `path`: raw path after the function's name; `uri`: path and query as sent;
    `upgrades`: the client asks to go on as something else.

    Raises InvalidArgument for a request over FC's limits.
    """
    if len(uri) > _MAXIMUM_URI:
        raise InvalidArgument(message=f"path and query have {len(uri)} bytes; at most {_MAXIMUM_URI}")
    headers = []
    size = 0
    for name, value in fields:
        size += len(name) + len(value)
        text = name.decode("latin-1")
        if (text not in NOT_PASSED_ON or (upgrades and text in _OF_UPGRADES)) and not text.startswith("x-fc-"):
            headers.append((text, value.decode("latin-1")))
    if size > _MAXIMUM_HEADERS:
        raise InvalidArgument(message=f"the headers have {size} bytes; at most {_MAXIMUM_HEADERS}")
    decoded = unquote(path.decode("latin-1"), "utf-8", "surrogateescape") or "/"
    return HttpRequest(method, decoded, uri.decode("latin-1"), client, headers)


def of_program(request: HttpRequest, prefix: bytes, *, is_newer: bool) -> HttpRequest:
    """A request for a program that is an HTTP server itself, at the server's own address. `prefix`: the raw path up to
    the function's name. FC 2 hands on the whole path; FC 3, which has no such address, what comes after the name.
    """
    base, uri = prefix.decode("latin-1"), request.request_uri
    if is_newer:
        uri = uri[len(base) :]
        uri = uri if uri.startswith("/") else f"/{uri}"
    return request._replace(request_uri=uri, headers=[*request.headers, ("x-fc-base-path", f"{base}/")])


def as_text(body: bytes) -> tuple[str, bool]:
    """A body as JSON can hold it, and whether that is base64."""
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def to_event(request: HttpRequest, body: bytes, account_id: str, request_id: str) -> bytes:
    """FC 3's JSON event of a request."""
    headers = {name.title(): value for name, value in request.headers}
    query = request.request_uri.partition("?")[2]
    text, is_base64 = as_text(body)
    now = time.time()
    event = {
        "version": "v1",
        "rawPath": request.path,
        "body": text,
        "isBase64Encoded": is_base64,
        "headers": headers,
        "queryParameters": dict(parse_qsl(query, keep_blank_values=True)),
        "requestContext": {
            "accountId": account_id,
            "domainName": headers.get("Host", ""),
            "domainPrefix": account_id,
            "requestId": request_id,
            "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "timeEpoch": str(int(now * 1000)),
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client_ip,
                "userAgent": headers.get("User-Agent", ""),
            },
        },
    }
    return json.dumps(event).encode()


def from_event(result: bytes) -> Response:
    """FC 3's reading of a result: a JSON object with a statusCode is a response, anything else is its body."""
    try:
        answer = json.loads(result)
        if not isinstance(answer, dict) or "statusCode" not in answer:
            return Response(200, [("Content-Type", "application/octet-stream")], result)
        return structured(answer)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, binascii.Error):
        return Response(200, [("Content-Type", "application/octet-stream")], result)


def structured(answer: dict[str, Any]) -> Response:
    """The response that a JSON object with a statusCode tells. Raises ValueError, TypeError and their like."""
    body = answer.get("body", "")
    data = (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")
    if str(answer.get("isBase64Encoded", "")).lower() == "true":
        data = base64.b64decode(data, validate=True)
    headers: list[tuple[str, str]] = []
    for name, value in dict(answer.get("headers") or {}).items():
        headers += [(str(name), str(item)) for item in (value if isinstance(value, list) else [value])]
    return Response(int(answer["statusCode"]), headers, data)
