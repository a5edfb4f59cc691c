"""Functions: all of them, and of one its configuration and the page where it is tried (Test)."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any
from urllib.parse import quote

from pyfc.client import Client
from pyfc.console import formats
from pyfc.console.page import Asked, Page, Shown
from pyfc.console.pages.overview import measured, served
from pyfc.dev.samples import SAMPLES
from pyfc.errors import InvalidArgument, NotFound

_HOUR = 3600.0
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*")
_USUAL_EVENT = "{}"


def listed(asked: Asked) -> Shown:
    """All functions, or those whose names have what is looked for."""
    functions = served(asked)
    metrics = (measured(asked, _HOUR) or {}).get("functions", {})
    wanted = asked.query.get("q", "").strip().lower()
    rows = [
        {**each, "name": name_of(each), "measured": metrics.get(name_of(each))}
        for each in functions
        if wanted in name_of(each).lower()
    ]
    return Shown("functions.html", {"rows": rows, "all": len(functions), "q": asked.query.get("q", "")}, block="table")


def name_of(function: dict[str, Any]) -> str:
    """SERVICE/FUNCTION."""
    return f"{function['service']}/{function['function']}"


def one(asked: Asked) -> dict[str, Any]:
    """The function that a page is about, as the server's index has it. Raises NotFound, ApiError."""
    service, name = asked.path["service"], asked.path["function"]
    for each in served(asked):
        if (each["service"], each["function"]) == (service, name):
            return each
    raise NotFound(message=f"there is no function {service}/{name}")


def is_http(function: dict[str, Any]) -> bool:
    """Whether it is called by HTTP requests, not by events."""
    return "http" in function["triggers"]


def test(asked: Asked) -> Shown:
    """The form of a call."""
    function = one(asked)
    sample = asked.query.get("sample", "")
    event = json.dumps(SAMPLES[sample], indent=2, ensure_ascii=False) if sample in SAMPLES else _USUAL_EVENT
    form = {"event": event, "mode": "sync", "method": "GET", "target": "/", "headers": "", "body": ""}
    return Shown("test.html", _tried(asked, function, form, sample) | {"result": None})


def call(asked: Asked) -> Shown:
    """Call it: what is answered stands on the same page."""
    function, form = one(asked), dict(asked.form)
    form = {"event": "", "mode": "sync", "method": "GET", "target": "/", "headers": "", "body": "", **form}
    result = _requested(asked, function, form) if is_http(function) else _called(asked, function, form)
    return Shown("test.html", _tried(asked, function, form, "") | {"result": result}, block="result")


def _tried(asked: Asked, function: dict[str, Any], form: dict[str, str], sample: str) -> dict[str, Any]:
    return {
        "function": function,
        "is_http": is_http(function),
        "form": form,
        "sample": sample,
        "samples": sorted(SAMPLES),
        "methods": _METHODS,
        "tab": "test",
        "copies": _copies(asked.client, function, form),
    }


def _called(asked: Asked, function: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
    service, name, event = function["service"], function["function"], _unix(form["event"]).encode()
    if form["mode"] == "async":
        request_id = asked.client.invoke_later(service, name, event)
        return {"kind": "accepted", "request_id": request_id}
    answer = asked.client.invoke(service, name, event, tail=True)
    return {
        "kind": "answered",
        "status": 200,
        "request_id": answer.request_id,
        "error": answer.error_type,
        "duration": answer.duration_ms,
        "memory": answer.memory_mb,
        "body": formats.decoded(answer.body),
        "log": answer.log.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    }


def _requested(asked: Asked, function: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
    """By HTTP. Raises InvalidArgument."""
    target = quote(form["target"] or "/", safe="/?&=%:@!$'()*+,;~-._")
    if form["method"] not in _METHODS or not target.startswith("/"):
        raise InvalidArgument(message="the path begins with a slash, and the method is one of HTTP's")
    headers = {}
    for line in filter(None, map(str.strip, form["headers"].splitlines())):
        if not _HEADER.fullmatch(line) or not line.isascii():
            raise InvalidArgument(message=f"{line[:100]!r} is no header: they are like Name: value, one a line")
        key, _, value = line.partition(":")
        headers[key] = value.strip()
    answer = asked.client.send_to_trigger(
        function["service"], function["function"], form["method"], target, _unix(form["body"]).encode(), headers
    )
    return {
        "kind": "answered",
        "status": answer.status,
        "request_id": "",
        "error": answer.error_type,
        "duration": None,
        "memory": None,
        "body": formats.decoded(answer.body),
        "log": "",
    }


def _unix(text: str) -> str:
    """Forms send each end of a line as two characters."""
    return text.replace("\r\n", "\n")


def _copies(client: Client, function: dict[str, Any], form: dict[str, str]) -> list[tuple[str, str]]:
    """The same call for a terminal and for a program."""
    service, name = function["service"], function["function"]
    if is_http(function):
        url = client.endpoint + client.trigger_path(service, name) + form["target"]
        return [("curl", f"curl -i -X {form['method']} {shlex.quote(url)}")]
    event = _unix(form["event"])
    url = shlex.quote(client.endpoint + client.event_path(service, name))
    later = " --async" if form["mode"] == "async" else ""
    header = " -H 'X-Fc-Invocation-Type: Async'" if later else ""
    method = "invoke_later" if later else "invoke"
    return [
        ("pyfc", f"pyfc invoke {shlex.quote(f'{service}/{name}')} -e {shlex.quote(event)}{later}"),
        ("curl", f"curl{header} -d {shlex.quote(event)} {url}"),
        (
            "Python",
            f"from pyfc import Client\n\nclient = Client({client.endpoint!r})\n"
            f"print(client.{method}({service!r}, {name!r}, {event!r}.encode()))",
        ),
    ]


def configuration(asked: Asked) -> Shown:
    """What is declared of it. Who may look only sees no values of its environment."""
    function = one(asked)
    declared = asked.client.functions_of(function["service"]).get(function["function"])
    environment = dict(declared.pop("environmentVariables", None) or {})
    if asked.session.reads_only:
        environment = dict.fromkeys(environment, "••••••")
    rows = [(name, value) for name, value in declared.items() if value not in ("", None, [], {})]
    values = {"function": function, "rows": rows, "environment": environment, "tab": "configuration"}
    return Shown("configuration.html", values)


PAGES = (
    Page("functions", listed, "functions"),
    Page("functions/{service}/{function}", test, "functions", call),
    Page("functions/{service}/{function}/configuration", configuration, "functions"),
)
