"""`pyfc explain SERVICE/FUNCTION`: what a cold start consists of, import by import, and what to do about it."""

from __future__ import annotations

import argparse

from pyfc.cli.invoke import target
from pyfc.cli.shared import add_endpoint
from pyfc.client import Client
from pyfc.dev.explanation import advice, tree
from pyfc.dev.output import say, say_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("target", metavar="SERVICE/FUNCTION", type=target)
    add_endpoint(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, times in seconds")


def run(options: argparse.Namespace) -> int:
    """See module."""
    service, function, _ = options.target
    found = Client(options.endpoint, timeout=600.0).explain(service, function)
    if options.json:
        say_json(found)
        return 0
    say(tree(found) + "\n")
    say("\n".join(f"* {line}" for line in advice(found)))
    return 0
