"""A small synchronous client of the HTTP API; the command line uses it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pyfc.client.transport import ApiError as ApiError
from pyfc.client.transport import Transport, part
from pyfc.model.names import LATEST

NOT_FOUND = 404


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
        found: dict[str, Any] = self._client.api("GET", f"{self._path}/{part(name)}")
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
        made: dict[str, Any] = self._client.api("PUT", f"{self._path}/{part(name)}", document, etag=etag)
        return made

    def delete(self, name: str) -> None:
        """Delete one. Raises ApiError."""
        self._client.api("DELETE", f"{self._path}/{part(name)}")


class Client(Transport):
    """Manages and calls the functions of one server."""

    @staticmethod
    def event_path(service: str, function: str) -> str:
        """Where a function takes events (POST); `service` with its qualifier, if one is meant."""
        return f"/2016-08-15/services/{part(service)}/functions/{part(function)}/invocations"

    @staticmethod
    def trigger_path(service: str, function: str) -> str:
        """How the paths of its HTTP trigger begin."""
        return f"/2016-08-15/proxy/{part(service)}/{part(function)}"

    def invoke(
        self, service: str, function: str, event: bytes = b"", *, qualifier: str = LATEST, tail: bool = False
    ) -> Answer:
        """Call an event function and wait. Raises ApiError when the platform refused, ServerUnreachable."""
        path = self.event_path(service if qualifier == LATEST else f"{service}.{qualifier}", function)
        headers = {"X-Fc-Log-Type": "Tail" if tail else "None", "Content-Type": "application/octet-stream"}
        response, body = self.request("POST", path, event, headers)
        with self.understanding():
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
        beginning with a slash, which programs get as they are too. Raises ServerUnreachable.
        """
        named = self.trigger_path(f"{service}.{qualifier}" if qualifier else service, function).removeprefix("/")
        response, data = self.exchange(
            method, target, body, {**headers, "x-fc-invocation-target": named}, is_trigger=True
        )
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
        headers = {"X-Fc-Invocation-Type": "Async", "Content-Type": "application/octet-stream"}
        if name:
            headers["X-Fc-Stateful-Async-Invocation-Id"] = name
        if delay:
            headers["X-Fc-Async-Delay"] = f"{delay:g}"
        path = self.event_path(service if qualifier == LATEST else f"{service}.{qualifier}", function)
        response, _ = self.request("POST", path, event, headers)
        return str(response.headers.get("X-Fc-Request-Id", ""))

    def event(self, name: str) -> dict[str, Any]:
        """The record of an asynchronous call, by its id or request id. Raises ApiError."""
        found: dict[str, Any] = self.api("GET", f"/pyfc/events/{part(name)}")
        return found

    def functions(self) -> list[dict[str, Any]]:
        """What the server serves, as its index tells it."""
        return self.objects(self.api("GET", "/pyfc/functions"), "functions")

    def services(self) -> Collection:
        """Services."""
        return Collection(self, "/services", "services")

    def functions_of(self, service: str) -> Collection:
        """The functions of a service."""
        return Collection(self, f"/services/{part(service)}/functions", "functions")

    def versions(self, service: str) -> Collection:
        """The versions of a service."""
        return Collection(self, f"/services/{part(service)}/versions", "versions")

    def aliases(self, service: str) -> Collection:
        """The aliases of a service."""
        return Collection(self, f"/services/{part(service)}/aliases", "aliases")

    def triggers(self, service: str, function: str) -> Collection:
        """The triggers of a function."""
        return Collection(self, f"/services/{part(service)}/functions/{part(function)}/triggers", "triggers")

    def newer_triggers(self, function: str) -> Collection:
        """The triggers of a function of FC 3, whose configuration is text."""
        return Collection(self, f"/2023-03-30/functions/{part(function)}/triggers", "triggers")

    def all_triggers(self, upcoming: int = 0) -> list[dict[str, Any]]:
        """The triggers of all functions: how each is, what it has done since it was made, when it fires next."""
        return self.objects(self.api("GET", f"/pyfc/triggers?next={upcoming}"), "triggers")

    def bucket_events(self, bucket: str) -> list[dict[str, Any]]:
        """What has happened in a bucket lately. Raises ApiError."""
        return self.objects(self.api("GET", f"/pyfc/buckets/{part(bucket)}/events"), "events")

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
        epoch), `request` (an id). A query with SQL has rows as `records`, and the names of its `columns`; they are
        None otherwise.
        """
        asked: dict[str, str | int] = {"lines": lines} if offset is None else {"offset": offset}
        asked |= {name: value for name, value in search.items() if value}
        found: dict[str, Any] = self.api("GET", f"/pyfc/logs/{part(service)}/{part(function)}?{urlencode(asked)}")
        columns = found.get("columns")
        return {
            "records": self.objects(found, "records"),
            "offset": found.get("offset"),
            "complete": found.get("complete") is not False,
            "columns": [str(each) for each in columns] if isinstance(columns, list) else None,
        }

    def metrics(self, function: str = "", *, seconds: float = 3600.0, qualifier: str = "") -> dict[str, Any]:
        """What calls have cost in the last so many seconds, of all functions or of SERVICE/FUNCTION. Of each, in
        `functions` by SERVICE/FUNCTION: `metrics` by FC's names, `coldStarts`, and how many `calls` (and `failed`
        ones) there were in each of equal parts of the time; of all together the same in `region`. Raises ApiError.
        """
        asked = urlencode({"function": function, "seconds": f"{seconds:.0f}", "qualifier": qualifier})
        found: dict[str, Any] = self.api("GET", f"/pyfc/metrics?{asked}")
        with self.understanding():
            parts = [*found["functions"].values(), *([] if function else [found["region"]])]
            if not all(isinstance(each["metrics"], dict) and isinstance(each["calls"], list) for each in parts):
                raise TypeError("'metrics' is no object, or 'calls' no list")
        return found

    def overview(self, *, seconds: float = 60.0) -> dict[str, Any]:
        """What every function has done in the last so many seconds, and does now (`gateway/overview.py`): the `time`,
        the `seconds` that were counted, `isCounted`, and `functions` by SERVICE/FUNCTION. Raises ApiError.
        """
        found: dict[str, Any] = self.api("GET", f"/pyfc/overview?seconds={seconds:.0f}")
        with self.understanding():
            if not all(isinstance(each["instances"], list) for each in found["functions"].values()):
                raise TypeError("'instances' is no list")
        return found

    def call(self, request_id: str) -> dict[str, Any]:
        """What is known of one call: its record or, of one that has none, what is remembered of the newest. Raises
        ApiError.
        """
        found: dict[str, Any] = self.api("GET", f"/pyfc/calls/{part(request_id)}")
        return found

    def profile(self, request_id: str) -> dict[str, Any]:
        """What a slow call was busy with, in speedscope's format. Raises ApiError if there is no profile of it."""
        found: dict[str, Any] = self.api("GET", f"/pyfc/calls/{part(request_id)}/profile")
        return found

    def calls(
        self,
        function: str = "",
        *,
        seconds: float = 3600.0,
        error: str = "",
        status: int = 0,
        slowest: bool = False,
        limit: int = 50,
    ) -> dict[str, Any]:
        """Records of calls of the last so many seconds, of all functions or of SERVICE/FUNCTION: `calls`, the newest or
        the slowest first, and `leftOut`, how many have no record. `error`: FC's type of it, `*` for any. Raises
        ApiError.
        """
        asked = {"function": function, "seconds": f"{seconds:.0f}", "error": error, "limit": limit}
        query = urlencode({**asked, **({"status": status} if status else {}), **({"slowest": 1} if slowest else {})})
        found: dict[str, Any] = self.api("GET", f"/pyfc/calls?{query}")
        with self.understanding():
            if not isinstance(found["calls"], list) or not isinstance(found["leftOut"], int):
                raise TypeError("'calls' is no list, or 'leftOut' no number")
        return found

    def console_link(self, *, reads_only: bool = False) -> dict[str, Any]:
        """The `url` of the server's console, which logs in once and within so many `seconds`; if these are 0, it does
        not, and a key does. `reads_only`: for who may look only. Raises ApiError.
        """
        found: dict[str, Any] = self.api("POST", f"/pyfc/console{'?role=reader' if reads_only else ''}")
        with self.understanding():
            url = found["url"]
            if not re.fullmatch(r"https?://[!-~]+", url):  # it is printed, and opened by a browser
                raise ValueError("'url' is no address of a web page")
            return {"url": url, "seconds": float(found["seconds"])}

    def revoke_console(self) -> int:
        """End all sessions of the console, and make its links void; how many sessions there were. Raises ApiError."""
        found: dict[str, Any] = self.api("DELETE", "/pyfc/console")
        with self.understanding():
            return int(found["revoked"])

    def explain(self, service: str, function: str) -> dict[str, Any]:
        """A cold start of a function, taken apart. Raises ApiError."""
        found: dict[str, Any] = self.api("POST", f"/pyfc/functions/{part(service)}/{part(function)}/explain")
        return found

    def bill(
        self, month: str = "", *, market: str = "", what_if: str = "", prices: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """What functions would cost in the cloud in a month (like 2026-11; this one): `functions` by SERVICE/FUNCTION,
        `total`, `prices`, `assumptions`. `what_if`: like memory=512,concurrency=10; `prices`: a table of one's own
        instead of the market's. Raises ApiError.
        """
        asked = urlencode({"month": month, "market": market, "whatIf": what_if})
        found: dict[str, Any] = self.api("GET" if prices is None else "POST", f"/pyfc/bill?{asked}", prices)
        with self.understanding():
            if not all(isinstance(each["parts"], dict) for each in [*found["functions"].values(), found["total"]]):
                raise TypeError("'parts' is no object")
        return found

    def tune(
        self, service: str, function: str, event: bytes = b"", *, memory: int, qualifier: str = LATEST, warm: int = 5
    ) -> dict[str, Any]:
        """Run an event in an instance of its own with `memory` MB, once cold and then `warm` times: what the calls
        took. Nothing that is served changes. Raises ApiError.
        """
        query = urlencode({"memory": memory, "warm": warm, "qualifier": qualifier})
        path = f"/pyfc/functions/{part(service)}/{part(function)}/tune?{query}"
        _, data = self.request("POST", path, event, {"Content-Type": "application/octet-stream"})
        with self.understanding():
            found: dict[str, Any] = json.loads(data)
            return found
