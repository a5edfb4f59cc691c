"""A small synchronous client of the HTTP API; the command line uses it."""

from __future__ import annotations

import base64
import http.client
import json
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from pyfc.auth.keys import Key
from pyfc.auth.signature import Signed, authorization
from pyfc.client import credentials
from pyfc.errors import InvalidArgument, PyfcError, ServerUnreachable
from pyfc.model.names import LATEST

DEFAULT_ENDPOINT = "http://127.0.0.1:8000"


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


class ApiError(PyfcError):
    """{message}"""

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        super().__init__(message=message)
        self.__dict__.update(status=status, code=code)  # of this answer, not of the class
        self.request_id = request_id


class Client:
    """Talks to one server. `timeout` in seconds bounds each wait for it."""

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, timeout: float = 86400.0, *, key: Key | None = None) -> None:
        """`key`: what requests are signed with; by default that of the environment, or of a server of this user that
        answers at `endpoint` (credentials.py).
        """
        parts = urlsplit(endpoint if "//" in endpoint else f"http://{endpoint}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidArgument(message=f"'{endpoint}' is no endpoint; it must be like {DEFAULT_ENDPOINT}")
        self.endpoint = f"{parts.scheme}://{parts.netloc}"
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._address = (parts.hostname, parts.port)
        self._timeout = timeout
        self._key = key or credentials.find(self.endpoint)

    def invoke(
        self, service: str, function: str, event: bytes = b"", *, qualifier: str = LATEST, tail: bool = False
    ) -> Answer:
        """Call an event function and wait. Raises ApiError when the platform refused, ServerUnreachable."""
        name = quote(service if qualifier == LATEST else f"{service}.{qualifier}", safe="")
        path = f"/2016-08-15/services/{name}/functions/{quote(function, safe='')}/invocations"
        headers = {"X-Fc-Log-Type": "Tail" if tail else "None", "Content-Type": "application/octet-stream"}
        response, body = self._request("POST", path, event, headers)
        return Answer(
            body=body,
            error_type=response.headers.get("X-Fc-Error-Type", ""),
            log=base64.b64decode(response.headers.get("X-Fc-Log-Result", "")).decode("utf-8", "replace"),
            request_id=response.headers.get("X-Fc-Request-Id", ""),
            duration_ms=int(response.headers.get("X-Fc-Invocation-Duration", "0")),
            memory_mb=float(response.headers.get("X-Fc-Max-Memory-Usage", "0")),
        )

    def functions(self) -> list[dict[str, Any]]:
        """What the server serves, as its index tells it."""
        _, body = self._request("GET", "/pyfc/functions", b"", {})
        functions: list[dict[str, Any]] = json.loads(body)["functions"]
        return functions

    def call(self, request_id: str) -> dict[str, Any]:
        """What is known of one of the newest calls. Raises ApiError."""
        _, body = self._request("GET", f"/pyfc/calls/{quote(request_id, safe='')}", b"", {})
        found: dict[str, Any] = json.loads(body)
        return found

    def explain(self, service: str, function: str) -> dict[str, Any]:
        """A cold start of a function, taken apart. Raises ApiError."""
        path = f"/pyfc/functions/{quote(service, safe='')}/{quote(function, safe='')}/explain"
        _, body = self._request("POST", path, b"", {})
        found: dict[str, Any] = json.loads(body)
        return found

    def _request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._key is not None:
            given = {"date": formatdate(usegmt=True), **{name.lower(): text for name, text in headers.items()}}
            if self._key.token:
                given["x-fc-security-token"] = self._key.token
            headers = {**given, "authorization": authorization(self._key, Signed(method, path, given), given["date"])}
        connection = self._connect(self._address[0], self._address[1], timeout=self._timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ServerUnreachable(endpoint=self.endpoint, reason=reason) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise _api_error(response, data)
        return response, data


def _api_error(response: http.client.HTTPResponse, data: bytes) -> ApiError:
    try:
        fields = json.loads(data)
        code, message = str(fields["ErrorCode"]), str(fields["ErrorMessage"])
    except (ValueError, KeyError, TypeError):
        code, message = "", f"the server answered {response.status} {response.reason}"
    return ApiError(response.status, code, message, response.headers.get("X-Fc-Request-Id", ""))
