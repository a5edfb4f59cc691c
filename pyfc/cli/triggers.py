"""`pyfc triggers SERVICE/FUNCTION`: what starts a function by itself."""

from __future__ import annotations

import argparse

from pyfc.cli.shared import add_endpoint, client_of, pair, show
from pyfc.dev.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("function", metavar="SERVICE/FUNCTION", type=pair)
    parser.add_argument("--delete", metavar="TRIGGER", help="remove a trigger")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    triggers = client_of(options).triggers(*options.function)
    if options.delete:
        triggers.delete(options.delete)
        say(f"{options.delete} is gone")
    else:
        show(triggers.list(), ("triggerName", "triggerType", "triggerConfig", "qualifier"), as_json=options.json)
    return 0
