"""HTTP functions: a request becomes a WSGI environment, what the application answers becomes one result.

The environment's keys are those of FC's Python runtime ("HTTP function" page): REMOTE_ADDR, SERVER_NAME and the
others have FC's own values, and `fc.request_uri` and `fc.context` are FC's additions.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

MAXIMUM_HEADERS = 32768
NOT_PASSED_ON = frozenset(("CONTENT_TYPE", "CONTENT_LENGTH"))


def environment(request: list[Any], body: bytes, context: Any, handler: str) -> dict[str, Any]:
    """The WSGI environment of one request; `request` is the Invoke frame's http field."""
    method, path, request_uri, client_ip, headers = request
    environ: dict[str, Any] = dict(os.environ)
    environ.update({
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": request_uri.partition("?")[2],
        "CONTENT_TYPE": "application/octet-stream",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": client_ip,
        "SERVER_NAME": "FCRUNTIME",
        "SERVER_PORT": "9000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "FCRUNTIME/1.0",
        "HTTP": "on",
        "HTTP_X_FC_FUNCTION_HANDLER": handler,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "fc.request_uri": request_uri,
        "fc.context": context,
    })  # fmt: skip
    environ.update(_header_variables(headers))
    return environ


def _header_variables(headers: list[list[str]]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key not in NOT_PASSED_ON:
            key = "HTTP_" + key
        elif key == "CONTENT_LENGTH":
            continue
        variables[key] = variables[key] + "," + value if key in variables else value
    return variables


class Response:
    """What `start_response` and `write` gather."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: list[list[str]] = []
        self.written: list[bytes] = []

    def start(self, status: Any, headers: Iterable[Any], exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's start_response. Raises when called twice without exc_info, as PEP 3333 demands."""
        if self.status is not None and exc_info is None:
            raise AssertionError("start_response was called a second time without exc_info")
        try:
            self.status = int(str(status).split(None, 1)[0])
        except (ValueError, IndexError):
            raise ValueError("invalid status %r: it must begin with a number, as in '200 OK'" % (status,)) from None
        if not 100 <= self.status <= 599:
            raise ValueError("invalid status %r: it must be from 100 to 599" % (status,))
        self.headers = [[str(name), str(value)] for name, value in headers]
        if sum(len(name) + len(value) for name, value in self.headers) > MAXIMUM_HEADERS:
            raise ValueError("the response headers are larger than %d bytes" % MAXIMUM_HEADERS)
        return self.written.append

    def body(self, result: Any) -> bytes:
        """All bytes of the answer. Closes the result, as PEP 3333 demands."""
        try:
            chunks = [] if result is None else self._chunks(result)
        finally:
            if hasattr(result, "close"):
                result.close()
        if self.status is None:
            raise RuntimeError("the handler returned without calling start_response")
        return b"".join(self.written + chunks)

    @staticmethod
    def _chunks(result: Any) -> list[bytes]:
        if isinstance(result, (bytes, bytearray)):
            return [bytes(result)]
        if isinstance(result, str) or not hasattr(result, "__iter__"):
            raise TypeError("invalid response type %s: it must be an iterable of bytes" % type(result).__name__)
        chunks = list(result)
        for chunk in chunks:
            if not isinstance(chunk, (bytes, bytearray)):
                raise TypeError("invalid response type: an item is %s, not bytes" % type(chunk).__name__)
        return chunks


def respond(
    handler: Callable[..., Any], request: list[Any], body: bytes, context: Any, handler_name: str
) -> tuple[int, list[list[str]], bytes]:
    """Run a WSGI handler: (status, headers, body)."""
    response = Response()
    result = handler(environment(request, body, context, handler_name), response.start)
    data = response.body(result)
    assert response.status is not None  # body() has seen to it
    return response.status, response.headers, data
