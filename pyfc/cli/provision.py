"""`pyfc provision [SERVICE.QUALIFIER/FUNCTION TARGET]`: reserved instances."""

from __future__ import annotations

import argparse

from pyfc.cli.shared import add_endpoint, client_of, pair, show

_COLUMNS = ("resource", "target", "current", "currentError")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("function", metavar="SERVICE[.QUALIFIER]/FUNCTION", nargs="?", type=pair)
    parser.add_argument("target", metavar="TARGET", nargs="?", type=int, help="how many are kept; 0 for none")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    if options.function is None:
        show(client.pages("/provision-configs", "provisionConfigs"), _COLUMNS, as_json=options.json)
        return 0
    service, function = options.function
    path = f"/services/{service}/functions/{function}/provision-config"
    if options.target is not None:
        client.api("PUT", path, {"target": options.target})
    show([client.api("GET", path)], _COLUMNS, as_json=options.json)
    return 0
