"""HTTP functions: a request becomes a WSGI environment, what the application answers becomes one result.
How bodies travel is in calls.py.

The environment's keys are those of FC's Python runtime ("HTTP function" page): REMOTE_ADDR, SERVER_NAME and the
others have FC's own values, and `fc.request_uri` and `fc.context` are FC's additions.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import calls
import wire

MAXIMUM_HEADERS = 32768
MAXIMUM_GATHERED = wire.MAXIMUM_UNARY
"""Bytes of a declared Content-Length up to which an answer is sent whole."""
NOT_PASSED_ON = frozenset(("CONTENT_TYPE", "CONTENT_LENGTH"))


class Answer(NamedTuple):
    """What the application answers: `body`, or `pieces` that are sent one by one (`size` bytes if that is known)."""

    status: int
    headers: list[list[str]] | None
    body: bytes = b""
    pieces: Iterator[bytes] | None = None
    size: int | None = None


class _Variables:
    """The process's variables as text, decoded again only when one has changed: that is a third of a small request."""

    def __init__(self) -> None:
        self._seen: dict[Any, Any] = {}
        self._text: dict[str, Any] = {}

    def copy(self) -> dict[str, Any]:
        raw = os.environ._data  # type: ignore[attr-defined]
        if raw != self._seen:
            self._seen, self._text = dict(raw), dict(os.environ)
        return dict(self._text)


_variables = _Variables()


def environment(
    request: list[Any], call: calls.Call, context: Any, handler: str, multithread: bool = False
) -> dict[str, Any]:
    """The WSGI environment of one request; `request` is the Invoke frame's http field."""
    method, path, request_uri, client_ip, headers = request
    environ = _variables.copy()
    environ.update({
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": request_uri.partition("?")[2],
        "CONTENT_TYPE": "application/octet-stream",
        "CONTENT_LENGTH": str(call.size),
        "REMOTE_ADDR": client_ip,
        "SERVER_NAME": "FCRUNTIME",
        "SERVER_PORT": "9000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "FCRUNTIME/1.0",
        "HTTP": "on",
        "HTTP_X_FC_FUNCTION_HANDLER": handler,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input": call.file(),
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

    def answer(self, result: Any) -> Answer:
        """All of it if it is there, or not worth two frames; else its pieces, the first of which has been made."""
        if result is None or isinstance(result, (bytes, bytearray)):
            return self._whole([result or b""])
        if isinstance(result, (list, tuple)):
            return self._whole(result)
        pieces = _pieces_of(result)
        first = next(pieces, b"")
        size = self._declared()
        is_small = size is not None and size <= MAXIMUM_GATHERED
        if not first or is_small or getattr(result, "__len__", _unknown)() == 1:
            return self._whole(itertools.chain([first], pieces))
        return Answer(self._checked(), self.headers, b"", itertools.chain(self.written, [first], pieces), size)

    def _whole(self, pieces: Iterable[Any]) -> Answer:
        body = b"".join([*self.written, *map(_bytes, pieces)])
        return Answer(self._checked(), self.headers, body)

    def _checked(self) -> int:
        if self.status is None:
            raise RuntimeError("the handler returned without calling start_response")
        return self.status

    def _declared(self) -> int | None:
        """The Content-Length that the application has set, if it has."""
        for name, value in self.headers:
            if name.lower() == "content-length" and value.strip().isdigit():
                return int(value)
        return None


def _pieces_of(result: Any) -> Iterator[bytes]:
    """Those of a body in pieces that are not empty. Raises TypeError if it is none."""
    if isinstance(result, str) or not hasattr(result, "__iter__"):
        raise TypeError("invalid response type %s: it must be an iterable of bytes" % type(result).__name__)
    return filter(None, map(_bytes, result))


def _unknown() -> int:
    return -1


def _bytes(piece: Any) -> bytes:
    if not isinstance(piece, (bytes, bytearray)):
        raise TypeError("invalid response type: an item is %s, not bytes" % type(piece).__name__)
    return bytes(piece)


def respond(handler: Callable[..., Any], environ: dict[str, Any]) -> Answer:
    """Run a WSGI handler. What it returns is closed when its last piece has been taken, as PEP 3333 demands."""
    response = Response()
    result = handler(environ, response.start)
    answer = None
    try:
        answer = response.answer(result)
    finally:
        if (answer is None or answer.pieces is None) and hasattr(result, "close"):
            result.close()
    if answer.pieces is not None and hasattr(result, "close"):
        return answer._replace(pieces=_closing(answer.pieces, result.close))
    return answer


def _closing(pieces: Iterator[bytes], close: Callable[[], None]) -> Iterator[bytes]:
    try:
        yield from pieces
    finally:
        close()
