"""A small synchronous client of the HTTP API; the command line uses it."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pyfc.auth.keys import Key
from pyfc.auth.signature import Signed, authorization
from pyfc.client import credentials
from pyfc.client.profiles import DEFAULT_ENDPOINT, Choice, chosen
from pyfc.errors import InvalidArgument, NotUnderstood, PyfcError, ServerUnreachable
from pyfc.model.names import LATEST

NOT_FOUND = 404
_ADVICE = "set PYFC_ACCESS_KEY_ID and PYFC_ACCESS_KEY_SECRET, or `pyfc config set`; `pyfc keys` makes one"


class Answer(NamedTuple):
    """What a function answered."""

    body: bytes
    error_type: str
    """'' on success, else FC's HandledInvocationError or UnhandledInvocationError."""
    log: str
    """The end of the log, when it was asked for."""
    request_id: str
    duration_ms: int
    memory_mb: float


class WebAnswer(NamedTuple):
    """What an HTTP trigger answered."""

    status: int
    error_type: str
    """'' on success, as in Answer."""
    body: bytes


class ApiError(PyfcError):
    """{message}"""

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        super().__init__(message=message)
        self.__dict__.update(status=status, code=code)  # of this answer, not of the class
        self.request_id = request_id


class Collection:
    """Things of one kind in the management API, as FC's JSON objects."""

    def __init__(self, client: Client, path: str, key: str) -> None:
        self._client = client
        self._path = path
        self.key = key

    def list(self, prefix: str = "") -> Iterator[dict[str, Any]]:
        """All of them, or those whose name begins with `prefix`."""
        return self._client.pages(self._path, self.key, **({"prefix": prefix} if prefix else {}))

    def get(self, name: str) -> dict[str, Any]:
        """One. Raises ApiError."""
        found: dict[str, Any] = self._client.api("GET", f"{self._path}/{_part(name)}")
        return found

    def find(self, name: str) -> dict[str, Any] | None:
        """One; None if there is none."""
        try:
            return self.get(name)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def create(self, document: dict[str, Any]) -> dict[str, Any]:
        """Make one. Raises ApiError."""
        made: dict[str, Any] = self._client.api("POST", self._path, document)
        return made

    def update(self, name: str, document: dict[str, Any], *, etag: str = "") -> dict[str, Any]:
        """Change what `document` names. Raises ApiError."""
        made: dict[str, Any] = self._client.api("PUT", f"{self._path}/{_part(name)}", document, etag=etag)
        return made

    def delete(self, name: str) -> None:
        """Delete one. Raises ApiError."""
        self._client.api("DELETE", f"{self._path}/{_part(name)}")


class Client:
    """Talks to one server. `timeout` in seconds bounds each wait for it."""

    def __init__(self, endpoint: str | None = None, timeout: float = 86400.0, *, key: Key | None = None) -> None:
        """`endpoint`: by default the one that profiles.py chooses. `key`: what requests are signed with; by default
        that of the profile, of the environment, or of a server of this user that answers at `endpoint`
        (credentials.py).
        """
        choice = chosen() if endpoint is None else Choice(endpoint, None, "")
        endpoint = choice.endpoint
        scheme, netloc, host, port = _taken_apart(endpoint)
        self._address = (host, port)
        self.endpoint = f"{scheme}://{netloc}"
        self._connect = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        self._timeout = timeout
        self.key = key or choice.key or credentials.find(self.endpoint)
        """What requests are signed with; None if none is known."""

    def invoke(
        self, service: str, function: str, event: bytes = b"", *, qualifier: str = LATEST, tail: bool = False
    ) -> Answer:
        """Call an event function and wait. Raises ApiError when the platform refused, ServerUnreachable."""
        name = quote(service if qualifier == LATEST else f"{service}.{qualifier}", safe="")
        path = f"/2016-08-15/services/{name}/functions/{quote(function, safe='')}/invocations"
        headers = {"X-Fc-Log-Type": "Tail" if tail else "None", "Content-Type": "application/octet-stream"}
        response, body = self._request("POST", path, event, headers)
        with self._understanding():
            return Answer(
                body=body,
                error_type=response.headers.get("X-Fc-Error-Type", ""),
                log=base64.b64decode(response.headers.get("X-Fc-Log-Result", "")).decode("utf-8", "replace"),
                request_id=response.headers.get("X-Fc-Request-Id", ""),
                duration_ms=int(response.headers.get("X-Fc-Invocation-Duration", "0")),
                memory_mb=float(response.headers.get("X-Fc-Max-Memory-Usage", "0")),
            )

    def send_to_trigger(
        self, service: str, function: str, method: str, target: str, body: bytes, headers: dict[str, str],
        *, qualifier: str = "",
    ) -> WebAnswer:  # fmt: skip
        """Send an HTTP request to the function's HTTP trigger, signed. `target`: path and query below the function,
        beginning with a slash. Raises ServerUnreachable.
        """
        place = f"{_part(service)}.{_part(qualifier)}" if qualifier else _part(service)
        whole = f"/2016-08-15/proxy/{place}/{_part(function)}{target}"
        response, data = self._exchange(method, whole, body, headers, is_trigger=True)
        return WebAnswer(response.status, response.headers.get("X-Fc-Error-Type", ""), data)

    def invoke_later(
        self,
        service: str,
        function: str,
        event: bytes = b"",
        *,
        qualifier: str = LATEST,
        name: str = "",
        delay: float = 0.0,
    ) -> str:
        """Promise to call an event function; the request id. `name`: an id of the caller's own, by which the record of
        the call is kept; `delay` in seconds. Raises ApiError, ServerUnreachable.
        """
        whole = _part(service if qualifier == LATEST else f"{service}.{qualifier}")
        headers = {"X-Fc-Invocation-Type": "Async", "Content-Type": "application/octet-stream"}
        if name:
            headers["X-Fc-Stateful-Async-Invocation-Id"] = name
        if delay:
            headers["X-Fc-Async-Delay"] = f"{delay:g}"
        path = f"/2016-08-15/services/{whole}/functions/{_part(function)}/invocations"
        response, _ = self._request("POST", path, event, headers)
        return str(response.headers.get("X-Fc-Request-Id", ""))

    def event(self, name: str) -> dict[str, Any]:
        """The record of an asynchronous call, by its id or request id. Raises ApiError."""
        found: dict[str, Any] = self.api("GET", f"/pyfc/events/{_part(name)}")
        return found

    def functions(self) -> list[dict[str, Any]]:
        """What the server serves, as its index tells it."""
        return self._objects(self.api("GET", "/pyfc/functions"), "functions")

    def api(self, method: str, path: str, document: Any = None, *, etag: str = "") -> Any:
        """One request of the management API: `path` with its query but without the API's version, unless it begins
        with one; what was answered, None if that is nothing. Raises ApiError.
        """
        whole = path if path.startswith(("/2016", "/2021", "/2023", "/pyfc/")) else f"/2016-08-15{path}"
        headers = {"Content-Type": "application/json", **({"If-Match": etag} if etag else {})}
        body = b"" if document is None else json.dumps(document).encode()
        _, data = self._request(method, whole, body, headers)
        with self._understanding():
            found = json.loads(data) if data else None
            if found is not None and not isinstance(found, dict):
                raise TypeError("it is no JSON object")
        return found

    def download(self, place: str) -> bytes:
        """A file: by its path, or by an address that this server has told. Raises ApiError."""
        parts = urlsplit(place)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return self._request("GET", path, b"", {})[1]

    def pages(self, path: str, key: str, **query: str) -> Iterator[dict[str, Any]]:
        """Every element of a list that comes in pages; `key` is what the answer calls it."""
        token, seen = "", {""}
        while True:
            asked = {"limit": "100", **query, **({"nextToken": token} if token else {})}
            page = self.api("GET", f"{path}?{urlencode(asked)}")
            yield from self._objects(page, key)
            token = str(page.get("nextToken") or "")
            if token in seen:
                return
            seen.add(token)

    def services(self) -> Collection:
        """Services."""
        return Collection(self, "/services", "services")

    def functions_of(self, service: str) -> Collection:
        """The functions of a service."""
        return Collection(self, f"/services/{_part(service)}/functions", "functions")

    def versions(self, service: str) -> Collection:
        """The versions of a service."""
        return Collection(self, f"/services/{_part(service)}/versions", "versions")

    def aliases(self, service: str) -> Collection:
        """The aliases of a service."""
        return Collection(self, f"/services/{_part(service)}/aliases", "aliases")

    def triggers(self, service: str, function: str) -> Collection:
        """The triggers of a function."""
        return Collection(self, f"/services/{_part(service)}/functions/{_part(function)}/triggers", "triggers")

    def newer_triggers(self, function: str) -> Collection:
        """The triggers of a function of FC 3, whose configuration is text."""
        return Collection(self, f"/2023-03-30/functions/{_part(function)}/triggers", "triggers")

    def all_triggers(self, upcoming: int = 0) -> list[dict[str, Any]]:
        """The triggers of all functions: how each is, what it has done since the server's start, when it fires the next
        times.
        """
        return self._objects(self.api("GET", f"/pyfc/triggers?next={upcoming}"), "triggers")

    def bucket_events(self, bucket: str) -> list[dict[str, Any]]:
        """What has happened in a bucket lately. Raises ApiError."""
        return self._objects(self.api("GET", f"/pyfc/buckets/{_part(bucket)}/events"), "events")

    def domains(self) -> Collection:
        """Custom domains."""
        return Collection(self, "/custom-domains", "customDomains")

    def layers(self) -> Collection:
        """Layers, by their newest versions."""
        return Collection(self, "/layers", "layers")

    def logs(
        self, service: str, function: str, *, lines: int = 100, offset: int | None = None, **search: str | int
    ) -> dict[str, Any]:
        """The newest `lines` of a function's log, or what came after `offset`: `records`, the `offset` of their end,
        and `complete`: whether all were looked through. `search`: `query` in SLS's language, `since` (seconds since the
        epoch), `request` (an id).
        """
        asked: dict[str, str | int] = {"lines": lines} if offset is None else {"offset": offset}
        asked |= {name: value for name, value in search.items() if value}
        found: dict[str, Any] = self.api("GET", f"/pyfc/logs/{_part(service)}/{_part(function)}?{urlencode(asked)}")
        return {
            "records": self._objects(found, "records"),
            "offset": found.get("offset"),
            "complete": found.get("complete") is not False,
        }

    def call(self, request_id: str) -> dict[str, Any]:
        """What is known of one of the newest calls. Raises ApiError."""
        found: dict[str, Any] = self.api("GET", f"/pyfc/calls/{_part(request_id)}")
        return found

    def explain(self, service: str, function: str) -> dict[str, Any]:
        """A cold start of a function, taken apart. Raises ApiError."""
        found: dict[str, Any] = self.api("POST", f"/pyfc/functions/{_part(service)}/{_part(function)}/explain")
        return found

    def _objects(self, page: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
        """A list of objects that an answer has."""
        with self._understanding():
            found: list[dict[str, Any]] = (page or {})[key]
            if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
                raise TypeError(f"'{key}' is no list of objects")
            return found

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        """What is wrong with an answer is the server's fault. Raises NotUnderstood."""
        try:
            yield
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise NotUnderstood(endpoint=self.endpoint, reason=f"{type(error).__name__}: {error}") from error

    def _request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        response, data = self._exchange(method, path, body, headers)
        if response.status >= 400:
            failure = _api_error(response, data)
            if self.key is None and failure.code == "MissingRequiredHeader":
                failure.args = (f"{self.endpoint} wants a key and none is known: {_ADVICE}",)
            raise failure
        return response, data

    def _exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str], *, is_trigger: bool = False
    ) -> tuple[http.client.HTTPResponse, bytes]:
        with self.connected() as connection:
            connection.request(method, path, body, self._signed(method, path, headers, is_trigger=is_trigger))
            response = connection.getresponse()
            return response, response.read()

    @contextmanager
    def connected(self) -> Iterator[http.client.HTTPConnection]:
        """A connection to the server. Raises ServerUnreachable and InvalidArgument for what its use fails by."""
        connection = self._connect(self._address[0], self._address[1], timeout=self._timeout)
        try:
            yield connection
        except ValueError as error:  # a header's value that is none; a host whose name cannot be one
            raise InvalidArgument(message=f"this can not be sent to {self.endpoint}: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ServerUnreachable(endpoint=self.endpoint, reason=reason) from error
        finally:
            connection.close()

    def _signed(self, method: str, path: str, headers: dict[str, str], *, is_trigger: bool) -> dict[str, str]:
        """With a signature, if a key is known."""
        if self.key is None:
            return headers
        given = {"date": formatdate(usegmt=True), **{name.lower(): text for name, text in headers.items()}}
        if self.key.token:
            given["x-fc-security-token"] = self.key.token
        request = Signed(method, path, given)
        query = [f"{name}={value}" for name, value in parse_qsl(request.query, keep_blank_values=True)]
        signed = authorization(self.key, request, given["date"], query if is_trigger else None)
        return {**given, "authorization": signed}


def _taken_apart(endpoint: str) -> tuple[str, str, str, int | None]:
    """Scheme, host with port, host, port. Raises InvalidArgument."""
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"http://{endpoint}")
        if parts.scheme in {"http", "https"} and parts.hostname and parts.netloc.isprintable():
            return parts.scheme, parts.netloc, parts.hostname, parts.port
    except ValueError:
        pass
    raise InvalidArgument(message=f"'{endpoint}' is no endpoint; it must be like {DEFAULT_ENDPOINT}")


def _part(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")


def _api_error(response: http.client.HTTPResponse, data: bytes) -> ApiError:
    try:
        fields = json.loads(data)
        prefix = "Error" if "ErrorCode" in fields else ""
        code, message = str(fields[f"{prefix}Code"]), str(fields[f"{prefix}Message"])
    except (ValueError, KeyError, TypeError):
        code, message = "", f"the server answered {response.status} {response.reason}"
    return ApiError(response.status, code, message, response.headers.get("X-Fc-Request-Id", ""))
