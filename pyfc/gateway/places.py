"""What the path of a call leads to."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from pyfc.errors import (
    AliasNotFound,
    FunctionNotFound,
    InvalidArgument,
    PathNotSupported,
    ServiceNotFound,
    TriggerNotFound,
    VersionNotFound,
)
from pyfc.model.names import LATEST, Target
from pyfc.supervisor.supervisor import Entry, Table
from pyfc.triggers.http import Config

_EXPOSED = (
    "Date,x-fc-request-id,x-fc-error-type,x-fc-code-checksum,x-fc-invocation-duration,x-fc-max-memory-usage,"
    "x-fc-log-result,x-fc-invocation-code-version"
)


class Place(NamedTuple):
    """A function that a path leads to."""

    entry: Entry
    target: Target
    fixed: str
    """Response headers that are the same for every call."""
    trigger: Config | None


def names_of_event(path: bytes) -> tuple[str, str]:
    """Service and function of an InvokeFunction path, percent-encoded. Raises PathNotSupported."""
    parts = path.decode("latin-1").split("/")
    if len(parts) != 7 or parts[4] != "functions" or parts[6] != "invocations":
        raise PathNotSupported(method="POST", path=unquote(path.decode("latin-1")))
    return parts[3], parts[5]


def find(table: Table, service: str, function: str, *, is_http: bool) -> Place:
    """What these (percent-encoded) names lead to. Raises the NotFound that fits."""
    service, _, qualifier = unquote(service).partition(".")
    entry = _entry(table, service, unquote(function), qualifier)
    triggers = [trigger for trigger in entry.triggers if trigger.type == "http"]
    config = Config.read(triggers[0].config) if triggers else None
    target = entry.function.target
    if not is_http and config is not None:
        url = f"/2016-08-15/proxy/{target.service}/{target.function}/"
        raise InvalidArgument(message=f"function '{target.function}' has an HTTP trigger: call it at {url}")
    if is_http and config is None:
        url = f"POST /2016-08-15/services/{target.service}/functions/{target.function}/invocations"
        raise TriggerNotFound(service=target.service, function=target.function, url=url)
    checksum = entry.function.code.checksum if entry.function.code is not None else ""
    fixed = (
        f"X-Fc-Code-Checksum: {checksum}\r\nX-Fc-Invocation-Service-Version: {LATEST}\r\n"
        f"Access-Control-Expose-Headers: {_EXPOSED}\r\n"
    )
    return Place(entry, target, fixed, config)


def _entry(table: Table, service: str, function: str, qualifier: str) -> Entry:
    if service not in table.services:
        raise ServiceNotFound(service=service)
    if qualifier.isdigit():
        raise VersionNotFound(version=qualifier, service=service)
    if qualifier not in {"", LATEST}:
        raise AliasNotFound(alias=qualifier, service=service)
    entry = table.entries.get(Target(service, function))
    if entry is None:
        raise FunctionNotFound(function=function, service=service)
    return entry
