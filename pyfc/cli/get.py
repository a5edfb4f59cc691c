"""`pyfc get SERVICE[/FUNCTION]`: a service or function, as FC's API has it."""

from __future__ import annotations

import argparse

from pyfc.cli.shared import add_endpoint, client_of, show_one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("name", metavar="SERVICE[.QUALIFIER][/FUNCTION]")
    add_endpoint(parser)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    service, _, function = options.name.partition("/")
    show_one(client.functions_of(service).get(function) if function else client.services().get(service))
    return 0
