"""Signed requests to one server, and what their answers mean."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pyfc.auth.keys import Key
from pyfc.auth.signature import Signed, authorization
from pyfc.client import credentials
from pyfc.client.profiles import DEFAULT_ENDPOINT, Choice, chosen
from pyfc.errors import InvalidArgument, NotUnderstood, PyfcError, ServerUnreachable

_ADVICE = "set PYFC_ACCESS_KEY_ID and PYFC_ACCESS_KEY_SECRET, or `pyfc config set`; `pyfc keys` makes one"


class ApiError(PyfcError):
    """{message}"""

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        super().__init__(message=message)
        self.__dict__.update(status=status, code=code)  # of this answer, not of the class
        self.request_id = request_id


class Transport:
    """Talks to one server. `timeout` in seconds bounds each wait for it."""

    def __init__(
        self,
        endpoint: str | None = None,
        timeout: float = 86400.0,
        *,
        key: Key | None = None,
        certificate: str = "",
    ) -> None:
        """`endpoint`: by default the one that profiles.py chooses. `key`: what requests are signed with; by default
        that of the profile, of the environment, or of a server of this user that answers at `endpoint`
        (credentials.py). `certificate`: PEM file of the certificate that the server has, which is then trusted alone
        and whatever its name.
        """
        choice = chosen() if endpoint is None else Choice(endpoint, None, "")
        endpoint = choice.endpoint
        scheme, netloc, host, port = _taken_apart(endpoint)
        self._address = (host, port)
        self.endpoint = f"{scheme}://{netloc}"
        self._connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if scheme == "https":
            context = _trusting(certificate) if certificate else None
            self._connect = partial(http.client.HTTPSConnection, context=context)
        self._timeout = timeout
        self.key = key or choice.key or credentials.find(self.endpoint)
        """What requests are signed with; None if none is known."""

    def api(self, method: str, path: str, document: Any = None, *, etag: str = "") -> Any:
        """One request of the management API: `path` with its query but without the API's version, unless it begins
        with one; what was answered, None if that is nothing. Raises ApiError.
        """
        whole = path if path.startswith(("/2016", "/2021", "/2023", "/pyfc/")) else f"/2016-08-15{path}"
        headers = {"Content-Type": "application/json", **({"If-Match": etag} if etag else {})}
        body = b"" if document is None else json.dumps(document).encode()
        _, data = self.request(method, whole, body, headers)
        with self.understanding():
            found = json.loads(data) if data else None
            if found is not None and not isinstance(found, dict):
                raise TypeError("it is no JSON object")
        return found

    def download(self, place: str) -> bytes:
        """A file: by its path, or by an address that this server has told. Raises ApiError."""
        parts = urlsplit(place)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return self.request("GET", path, b"", {})[1]

    def pages(self, path: str, key: str, **query: str) -> Iterator[dict[str, Any]]:
        """Every element of a list that comes in pages; `key` is what the answer calls it."""
        token, seen = "", {""}
        while True:
            asked = {"limit": "100", **query, **({"nextToken": token} if token else {})}
            page = self.api("GET", f"{path}?{urlencode(asked)}")
            yield from self.objects(page, key)
            token = str(page.get("nextToken") or "")
            if token in seen:
                return
            seen.add(token)

    def objects(self, page: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
        """A list of objects that an answer has."""
        with self.understanding():
            found: list[dict[str, Any]] = (page or {})[key]
            if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
                raise TypeError(f"'{key}' is no list of objects")
            return found

    @contextmanager
    def understanding(self) -> Iterator[None]:
        """What is wrong with an answer is the server's fault. Raises NotUnderstood."""
        try:
            yield
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            raise NotUnderstood(endpoint=self.endpoint, reason=f"{type(error).__name__}: {error}") from error

    def request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request, and its answer with the whole body. Raises ApiError for one of 400 or more."""
        response, data = self.exchange(method, path, body, headers)
        if response.status >= 400:
            failure = _api_error(response, data)
            if self.key is None and failure.code == "MissingRequiredHeader":
                failure.args = (f"{self.endpoint} wants a key and none is known: {_ADVICE}",)
            raise failure
        return response, data

    def exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str], *, is_trigger: bool = False
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """The same, whatever was answered. `is_trigger`: signed as requests to HTTP triggers are."""
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


def _trusting(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False  # the certificate itself is known
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _taken_apart(endpoint: str) -> tuple[str, str, str, int | None]:
    """Scheme, host with port, host, port. Raises InvalidArgument."""
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"http://{endpoint}")
        if parts.scheme in {"http", "https"} and parts.hostname and parts.netloc.isprintable():
            return parts.scheme, parts.netloc, parts.hostname, parts.port
    except ValueError:
        pass
    raise InvalidArgument(message=f"'{endpoint}' is no endpoint; it must be like {DEFAULT_ENDPOINT}")


def part(name: str) -> str:
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
