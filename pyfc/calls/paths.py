"""What the path of a call leads to: the one place that knows how paths begin, and the one that finds a function, with
every check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import takewhile, zip_longest
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from pyfc.calls.table import Entry, Table, alias_of
from pyfc.errors import (
    AliasNotFound,
    FunctionDisabled,
    FunctionNotFound,
    InvalidArgument,
    NoHttpTrigger,
    PathNotSupported,
    ServiceNotFound,
    VersionNotFound,
)
from pyfc.model.affinity import chance_of
from pyfc.model.invocation import Invocation, Reply, Route, Ticket
from pyfc.model.names import DEFAULT_SERVICE, LATEST, Target
from pyfc.model.resources import Domain
from pyfc.model.trigger import Trigger
from pyfc.triggers.http import Config, config_at

_EXPOSED = (
    "Date,x-fc-request-id,x-fc-error-type,x-fc-code-checksum,x-fc-invocation-duration,x-fc-max-memory-usage,"
    "x-fc-log-result,x-fc-invocation-code-version"
)
OLDER = ("/2016-08-15", "/2021-04-06")
NEWER = "/2023-03-30"
"""How paths of FC's APIs begin, by version; NEWER is FC 3's."""
OURS = "/pyfc"
HEALTH = "/healthz"
SCRAPED = ("/metrics", f"{OURS}/prometheus")
"""What Prometheus asks; the second also where a site has the first."""
RESERVED = frozenset(each[1:] for each in (*OLDER, NEWER, OURS, HEALTH))
"""With which a path of the server begins: a bucket can have none of these names."""
PROXY = f"{OLDER[0]}/proxy"
PREFIX_PARTS = 5
"""Of the path of an HTTP trigger, split at slashes, so many lead to its function: /VERSION/proxy/SERVICE/FUNCTION."""
_DOMAIN = "~"
"""Before the name of the domain, in paths of HTTP triggers that are made of requests to one; no client's path is taken
for such.
"""
_OWN = tuple(f"{each}/".encode() for each in (*OLDER, NEWER, OURS))
_NEWER = tuple(f"{each}/" for each in (*OLDER[1:], NEWER))
_PROXIES = tuple(f"{each}/proxy/".encode() for each in OLDER)
_SERVICES = tuple(f"{each}/services/".encode() for each in OLDER)
_FUNCTIONS = f"{NEWER}/functions/".encode()
_COLLECTIONS = frozenset({"services", "functions", "triggers", "custom-domains", "layers", "versions", "aliases"})
"""What names of things come after, in paths of FC's API."""
_QUALIFIER = re.compile(r"^(services/[^./]*)\.[^/]*")
_EVENT_END = b"/invocations"


def resources_of(path: str) -> tuple[str, ...]:
    """What a decoded path of FC's API is about, as RAM's policies name it; without and with a qualifier, if it has one.
    Of HTTP triggers and calls: the function.
    """
    version, _, rest = path.partition("?")[0].removeprefix("/").partition("/")
    names = rest.split("/")
    if names[0].partition(_DOMAIN)[0] == "proxy" and f"/{version}" in OLDER:
        names = ["services", *names[1:2], "functions", *names[2:3]]
    pairs = zip_longest(names[::2], names[1::2], fillvalue="")
    named = takewhile(lambda pair: pair[0] in _COLLECTIONS, pairs)
    parts = [(collection, name or "*") for collection, name in named]
    found = "/".join(f"{collection}/{name}" for collection, name in parts) or "*"
    plain = _QUALIFIER.sub(r"\1", found)
    return tuple(dict.fromkeys(f"acs:fc:*:*:{each}" for each in (plain, found)))


def is_own(url: bytes) -> bool:
    """Whether a request is the server's own, or an API's, whatever names its domains have."""
    return url.startswith(_OWN) or url.partition(b"?")[0] == HEALTH.encode()


def is_newer(path: bytes | str) -> bool:
    """Whether a request is of one of the newer APIs, whose errors are shaped in another way."""
    return path.startswith(_NEWER) if isinstance(path, str) else path.startswith(_OWN[1 : len(OLDER) + 1])


def call_of(url: bytes) -> tuple[bytes, bool] | None:
    """What a url means as a call: its path, and whether it is an HTTP trigger's; None if it is no call. The path is
    without the query, but for FC 3's InvokeFunction, where that tells the version.
    """
    path = url.partition(b"?")[0]
    if path.startswith(_PROXIES):
        return path, True
    if not path.endswith(_EVENT_END):
        return None
    if path.startswith(_SERVICES):
        return path, False
    return (url, False) if path.startswith(_FUNCTIONS) else None


def trigger_path(service: str, function: str, domain: str = "") -> str:
    """How the path of an HTTP trigger begins. `domain`: of FC 3, which may have a say in who calls."""
    return f"{PROXY}{_DOMAIN}{domain}/{service}/{function}" if domain else f"{PROXY}/{service}/{function}"


def targeted(value: bytes) -> bytes:
    """How the path of the HTTP trigger begins that the header x-fc-invocation-target names: as FC documents it, without
    the first slash. Raises InvalidArgument.
    """
    path = b"/" + value.strip().strip(b"/")
    if not path.startswith(_PROXIES) or path.count(b"/") != PREFIX_PARTS - 1:
        told = value.decode("latin-1")[:200]
        raise InvalidArgument(
            message=f"x-fc-invocation-target is {told!r}; it must be {PROXY[1:]}/SERVICE[.QUALIFIER]/FUNCTION"
        )
    return path


def event_path(service: str, function: str) -> str:
    """The path of InvokeFunction."""
    return f"{OLDER[0]}/services/{service}/functions/{function}/invocations"


class Place(NamedTuple):
    """A function that a path leads to."""

    entry: Entry
    target: Target
    fixed: str
    """Response headers that are the same for every call."""
    trigger: Config | None
    is_fixed: bool
    """Whether every call with this path leads here."""


def _names_of_event(path: bytes) -> tuple[str, str]:
    """Service (with its qualifier) and function of an InvokeFunction path, percent-encoded; the path has its query if
    it is one of FC 3's. Raises PathNotSupported.
    """
    parts = path.decode("latin-1").split("/")
    if len(parts) == 7 and parts[4] == "functions" and parts[6] == "invocations":
        return parts[3], parts[5]
    last, _, query = parts[-1].partition("?")
    if path.startswith(_FUNCTIONS) and len(parts) == 5 and last == "invocations":
        qualifier = parse_qs(query).get("qualifier", [""])[0]
        return f"{DEFAULT_SERVICE}.{qualifier}" if qualifier else DEFAULT_SERVICE, parts[3]
    raise PathNotSupported(method="POST", path=unquote(path.decode("latin-1")))


def find(
    table: Table, service: str, function: str, fields: Mapping[bytes, bytes], *, is_http: bool, domain: str = ""
) -> Place:
    """What these (percent-encoded) names lead a call with these headers to. `domain`: that of FC 3 which it has come
    by. Raises the NotFound that fits.
    """
    service, _, qualifier = unquote(service).partition(".")
    qualifier = qualifier or LATEST
    asked = Target(service, unquote(function), qualifier)
    entry, is_fixed = serving(table, asked, fields)
    session, line = entry.function.affinity.session_of(fields) if entry.function.affinity is not None else ("", "")
    if session and not is_fixed:
        entry, _ = serving(table, asked, fields, chance_of(session))
    newest = table.entries.get(asked._replace(qualifier=LATEST), entry)
    config = _config(newest, qualifier, table.domains.get(domain))
    _check_way(asked, config, is_http=is_http, takes_events=_takes_events(newest.triggers, qualifier))
    if config is not None and entry.is_server:
        config = config._replace(is_event=False)  # a program of its own gets the request itself in FC 3 too
    checksum = entry.function.code.checksum if entry.function.code is not None else ""
    fixed = (
        f"X-Fc-Code-Checksum: {checksum}\r\nX-Fc-Invocation-Service-Version: {entry.function.target.qualifier}\r\n"
        f"Access-Control-Expose-Headers: {_EXPOSED}\r\n"
    )
    if not session:
        return Place(entry, asked, fixed, config, is_fixed)
    return Place(entry._replace(route=_OfSession(entry.route, session)), asked, fixed + line, config, is_fixed=False)


class _OfSession:
    """A Route: calls that it is given belong to a session."""

    def __init__(self, route: Route, session: str) -> None:
        self._route = route
        self._session = session

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        """See Route."""
        return self._route.submit(call._replace(session=self._session), reply)


def _config(newest: Entry, qualifier: str, domain: Domain | None) -> Config | None:
    """That of the HTTP trigger of a version or alias, if there is one, or at a domain of FC 3."""
    triggers = [each for each in newest.triggers if each.type == "http" and (each.qualifier or LATEST) == qualifier]
    config = Config.read(triggers[0].config) if triggers else None
    return config if domain is None else config_at(domain.extras.get("authConfig") or {}, config)


def _takes_events(triggers: Iterable[Trigger], qualifier: str) -> bool:
    """Whether a version or alias has a trigger that sends events, so that it is called by events too. (FC 2 lets nobody
    make one beside an HTTP trigger; FC 3 does.)
    """
    return any(each.type != "http" and (each.qualifier or LATEST) == qualifier for each in triggers)


def _check_way(target: Target, config: Config | None, *, is_http: bool, takes_events: bool) -> None:
    """Raises an error for a call that comes the other way than the function is called."""
    if not is_http and config is not None and not config.is_event and not takes_events:
        url = f"{trigger_path(target.service, target.function)}/"
        raise InvalidArgument(message=f"function '{target.function}' has an HTTP trigger: call it at {url}")
    if is_http and config is None:
        url = f"POST {event_path(target.service, target.function)}"
        raise NoHttpTrigger(service=target.service, function=target.function, url=url)


def serving(
    table: Table, asked: Target, fields: Mapping[bytes, bytes], chance: float | None = None
) -> tuple[Entry, bool]:
    """What serves a call with these headers, and whether it serves every call with the same names. `chance`: see
    Alias.choose. Raises the NotFound that fits, FunctionDisabled.
    """
    entry, is_fixed = _entry(table, asked, fields, chance)
    if entry.function.is_disabled:
        why = entry.function.why_disabled
        raise FunctionDisabled(function=asked.function, reason=f": {why}" if why else "")
    return entry, is_fixed


def _entry(table: Table, asked: Target, fields: Mapping[bytes, bytes], chance: float | None) -> tuple[Entry, bool]:
    service, function, qualifier = asked
    entry = table.entries.get(asked)
    if entry is not None:
        return entry, True
    if service not in table.services and service != DEFAULT_SERVICE:
        raise ServiceNotFound(service=service)
    if qualifier == LATEST:
        raise FunctionNotFound(function=function, service=service)
    alias = alias_of(table, asked)
    if alias is None and qualifier.isdigit():
        raise VersionNotFound(version=qualifier, service=service)
    if alias is None:
        raise AliasNotFound(alias=qualifier, service=service)
    entry = table.entries.get(asked._replace(qualifier=alias.choose(fields, chance)))
    if entry is None:
        raise FunctionNotFound(function=function, service=service)
    return entry, not alias.is_split


def event_place(table: Table, path: bytes, fields: Mapping[bytes, bytes]) -> Place:
    """What an InvokeFunction path leads to. Raises the NotFound that fits."""
    return find(table, *_names_of_event(path), fields, is_http=False)


def http_place(table: Table, path: bytes, fields: Mapping[bytes, bytes]) -> Place:
    """What the path of an HTTP trigger leads to. Raises the NotFound that fits."""
    parts = path.decode("latin-1").split("/", PREFIX_PARTS)
    if len(parts) < PREFIX_PARTS or not parts[PREFIX_PARTS - 1]:
        raise PathNotSupported(method="ANY", path=unquote(path.decode("latin-1")))
    return find(table, parts[3], parts[4], fields, is_http=True, domain=parts[2].partition(_DOMAIN)[2])
