"""Requests that name a function by their Host: custom domains, and `FUNCTION.SERVICE.localhost`; those that name it by
the header x-fc-invocation-target; and those to the server itself, if one of its domains is to answer them.

A request of a site becomes one of the HTTP trigger's own path before it is looked at as a call, so that there is one
way for all. The function sees the path that the client has sent, or what the domain's rules make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from pyfc.calls.paths import PROXY, is_own, targeted, trigger_path
from pyfc.calls.table import Table
from pyfc.errors import AccessDenied, DomainNameNotFound, FunctionNotFound, NoSuchRoute, PyfcError
from pyfc.gateway.guard import host_name
from pyfc.model.hosts import LOCAL, is_of_function, own_host
from pyfc.model.names import DEFAULT_SERVICE, LATEST
from pyfc.model.resources import Domain, Route
from pyfc.model.rewriting import rewrite

_MOST = 256
_TARGET = b"x-fc-invocation-target"
"""The header at the server's own address by which FC 2 is asked for a function's own path."""


class Sites:
    """The domains of one server."""

    def __init__(self, site: str, is_known: Callable[[bytes], bool]) -> None:
        """`site`: the domain, or one route of it (`DOMAIN/PATH`), that answers requests to the server's own names, ''
        for none. `is_known`: whether a Host is one of these.
        """
        name, slash, path = site.partition("/")
        self._name, self._path = name.lower(), slash + path
        self._is_known = is_known
        self._default: Domain | None = None
        self._table = Table({}, {}, {}, {})
        self._found: dict[bytes, bool] = {}
        """Whether it is a domain, by Host headers as they were sent."""
        self._hosts: dict[str, str] | None = None
        """How the paths of triggers begin, by the hosts that are functions' own; None until one is asked for."""

    def use(self, table: Table) -> None:
        """Serve what `table` holds from now on."""
        self._table = table
        self._found = {}
        self._hosts = None
        domain = table.domains.get(self._name)
        self._default = domain.only(self._path) if domain is not None else None

    def takes(self, fields: Mapping[bytes, bytes], url: bytes) -> bool:
        """Whether a request is a function's and not the server's own."""
        host = fields.get(b"host", b"")
        found = self._found.get(host)
        if found is None:
            found = self._is_one(host)
        return found or _TARGET in fields or (bool(self._name) and not is_own(url) and self._is_known(host))

    def _is_one(self, host: bytes) -> bool:
        name = host_name(host.decode("latin-1"))
        found = name in self._table.domains or self._is_local(name)
        if len(self._found) < _MOST:
            self._found[host] = found
        return found

    def resolve(
        self, method: bytes, url: bytes, fields: Mapping[bytes, bytes], *, is_secure: bool
    ) -> tuple[bytes, bytes, PyfcError | None]:
        """The path of the HTTP trigger that a request goes to; its url as the function sees it; and what is wrong, if
        anything is. `is_secure`: it has come by TLS.
        """
        host = host_name(fields.get(b"host", b"").decode("latin-1"))
        path, mark, query = url.decode("latin-1").partition("?")
        try:
            domain = self._table.domains.get(host)
            if domain is None and self._is_local(host):
                return (self._local(host) + path).encode("latin-1"), url, None
            if domain is None and _TARGET in fields:
                return targeted(fields[_TARGET]) + path.encode("latin-1"), url, None
            if domain is None:
                domain = self._own()
            elif not is_secure:
                _check_protocol(domain, fields)
            route = _route(domain, unquote(path), method.decode("latin-1"))
        except PyfcError as error:
            return PROXY.encode(), url, error
        name = f"{route.service}.{route.qualifier}" if route.qualifier else route.service
        rewritten = rewrite(route.rewrite, path)
        said = domain.name if route.service == DEFAULT_SERVICE else ""
        return (
            f"{trigger_path(name, route.function, said)}{rewritten}".encode("latin-1"),
            f"{rewritten}{mark}{query}".encode("latin-1"),
            None,
        )

    def _own(self) -> Domain:
        """The domain that answers to the server's own names, by any protocol. Raises DomainNameNotFound."""
        if self._default is None:
            raise DomainNameNotFound(domain=self._name)
        return self._default

    def _is_local(self, name: str) -> bool:
        """Whether it is a function's own host, or would be if there were one of that name."""
        return name.endswith(LOCAL) and (is_of_function(name) or name in self._locals())

    def _locals(self) -> dict[str, str]:
        if self._hosts is None:
            self._hosts = _hosts(self._table)
        return self._hosts

    def _local(self, host: str) -> str:
        """How the path of the trigger begins whose own a host is. Raises FunctionNotFound."""
        found = self._locals().get(host)
        if found is None:
            function, service, _ = host.split(".")
            raise FunctionNotFound(function=function, service=service)
        return found


def _hosts(table: Table) -> dict[str, str]:
    """The hosts that are functions' own: with the qualifiers of their triggers, and without one, which is for the
    version or alias that the first trigger is for. As far as they are free, names in small letters too.
    """
    newest = {target: entry for target, entry in table.entries.items() if target.qualifier == LATEST}
    found: dict[str, str] = {}
    others: dict[str, str] = {}
    for (service, function, _), entry in newest.items():
        qualifiers = sorted(each.qualifier for each in entry.triggers if each.type == "http") or [""]
        paths = [trigger_path(f"{service}.{each}" if each else service, function) for each in qualifiers]
        found |= {own_host(service, function, each): path for each, path in zip(qualifiers, paths, strict=True)}
        found.setdefault(own_host(service, function), paths[0])
        others.setdefault(f"{function}.{service}{LOCAL}".lower(), paths[0])
    return others | found


def _check_protocol(domain: Domain, fields: Mapping[bytes, bytes]) -> None:
    """Raises AccessDenied for a request without TLS to a domain that is for HTTPS alone. A proxy that has ended the
    TLS says so; a client that says it untruly harms nobody but itself.
    """
    if domain.protocol == "HTTPS" and fields.get(b"x-forwarded-proto", b"").lower() != b"https":
        raise AccessDenied(
            message=f"the protocol of domain '{domain.name}' is HTTPS, so it does not answer to plain HTTP; start the "
            "server with --tls-certificate and --tls-key, or have the proxy before it send X-Forwarded-Proto: https"
        )


def _route(domain: Domain, path: str, method: str) -> Route:
    """The route of a path. Raises NoSuchRoute, and AccessDenied if the route does not take the method."""
    route = _longest(domain, path)
    if route.methods and method not in route.methods:
        allowed = ", ".join(route.methods)
        raise AccessDenied(message=f"method {method} is not among the route's methods: {allowed}")
    return route


def _longest(domain: Domain, path: str) -> Route:
    """The route that is the same as a path, or its longest beginning; the first of equals. Raises NoSuchRoute."""
    for route in domain.routes:
        if route.path == path:
            return route
    fitting = [route for route in domain.routes if route.path.endswith("*") and path.startswith(route.path[:-1])]
    fitting += [route for route in domain.routes if route.path.endswith("/*") and path == route.path[:-2]]
    if not fitting:
        raise NoSuchRoute(domain=domain.name, path=path)
    return max(fitting, key=lambda route: len(route.path))
