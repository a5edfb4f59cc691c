"""`pyfc explain SERVICE/FUNCTION`: what a cold start consists of, import by import, and what to do about it."""

from __future__ import annotations

import argparse
import json

from pyfc.cli.invoke import target
from pyfc.cli.shared import add_endpoint
from pyfc.client import Client
from pyfc.dev.explanation import advice, tree


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
        print(json.dumps(found))
        return 0
    print(tree(found) + "\n")
    print("\n".join(f"* {line}" for line in advice(found)))
    return 0
