"""`pyfc domains [DOMAIN PATH SERVICE/FUNCTION]`: domain names whose requests go to functions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from pyfc.cli.shared import add_endpoint, client_of, pair, show
from pyfc.client.client import Collection
from pyfc.dev.output import say
from pyfc.errors import InvalidArgument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("domain", metavar="DOMAIN", nargs="?")
    parser.add_argument("path", metavar="PATH", nargs="?", help="like / or /api/*: let it lead to a function")
    parser.add_argument("function", metavar="SERVICE/FUNCTION", nargs="?", type=pair)
    parser.add_argument("--delete", action="store_true", help="remove the domain")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    domains = client_of(options).domains()
    if (options.path and not options.function) or (options.delete and not options.domain):
        raise InvalidArgument(message="name DOMAIN PATH SERVICE/FUNCTION for a route, DOMAIN to remove one")
    if options.delete:
        domains.delete(options.domain)
        say(f"{options.domain} is gone")
        return 0
    if options.function:
        service, function = options.function
        route = {"path": options.path, "serviceName": service, "functionName": function}
        _add(domains, options.domain, route)
    found = [domains.get(options.domain)] if options.domain else domains.list()
    show([row for each in found for row in _rows(each)], ("domain", "path", "function"), as_json=options.json)
    return 0


def _rows(domain: dict[str, Any]) -> Iterator[dict[str, str]]:
    """A row for each path of a domain."""
    for route in domain["routeConfig"]["routes"] or [{"path": "", "functionName": ""}]:
        function = f"{route.get('serviceName', 'default')}/{route['functionName']}"
        yield {"domain": domain["domainName"], "path": route["path"], "function": function}


def _add(domains: Collection, domain: str, route: dict[str, str]) -> None:
    """Let a domain lead to a function; one that is not there is made. Its other paths stay."""
    old = domains.find(domain)
    if old is None:
        domains.create({"domainName": domain, "protocol": "HTTP", "routeConfig": {"routes": [route]}})
        return
    kept = [each for each in old["routeConfig"]["routes"] if each["path"] != route["path"]]
    domains.update(domain, {"routeConfig": {"routes": [*kept, route]}})
