"""`pyfc stats [SERVICE/FUNCTION]`: what calls have cost in a time."""

from __future__ import annotations

import argparse
import time
from typing import Any

from pyfc.cli.shared import add_endpoint, client_of, pair, seconds_of
from pyfc.dev.output import columns, say, say_json, say_over, tell
from pyfc.dev.stats import stats_table
from pyfc.errors import ServerUnreachable

_PAUSE = 2.0
"""Seconds between two looks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("function", metavar="SERVICE/FUNCTION", nargs="?", type=pair, help="default: all of them")
    parser.add_argument("--since", metavar="TIME", default="1h", help="how far back, like 90s, 5m or 7d; default 1h")
    parser.add_argument("--qualifier", default="", help="only calls by this version or alias")
    parser.add_argument("--watch", action="store_true", help="show it again every 2 s")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client, seconds = client_of(options), seconds_of(options.since)
    name = "/".join(options.function or ())
    is_away = False
    _show(options, client.metrics(name, seconds=seconds, qualifier=options.qualifier), name)
    while options.watch:
        time.sleep(_PAUSE)
        try:
            found = client.metrics(name, seconds=seconds, qualifier=options.qualifier)
        except ServerUnreachable as error:
            if not is_away:
                tell(f"{error}; trying again")
            is_away = True
        else:
            is_away = False
            _show(options, found, name)
    return 0


def _show(options: argparse.Namespace, found: dict[str, Any], name: str) -> None:
    if options.json:
        say_json(_document(found, name), flush=True)
    elif options.watch:
        say_over(stats_table(found, columns()))
    else:
        say(stats_table(found, columns()))


def _document(found: dict[str, Any], name: str) -> dict[str, Any]:
    """An object whose keys are FC's names; of all functions the region's, with those of each in `functions`."""
    functions = {each: told["metrics"] for each, told in found["functions"].items()}
    whole: dict[str, Any] = functions[name] if name else {**found["region"]["metrics"], "functions": functions}
    return whole
