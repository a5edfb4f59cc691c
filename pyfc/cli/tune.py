"""`pyfc tune SERVICE/FUNCTION -e EVENT --memory 128,256`: what a function takes and costs with other memory sizes."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from pyfc.billing.prices import Table
from pyfc.billing.tuning import tuned
from pyfc.cli.invoke import target
from pyfc.cli.prices import add_prices, table_of
from pyfc.cli.shared import add_endpoint, add_event, given_event
from pyfc.client import Client
from pyfc.dev.costs import tuned_lines, tuned_notes, wrapped
from pyfc.dev.output import say, say_json, width

_MOST_SIZES = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("target", metavar="SERVICE/FUNCTION[.QUALIFIER]", type=target)
    add_event(parser)
    parser.add_argument(
        "--memory",
        type=_sizes,
        default="128,256,512,1024",
        metavar="MB,MB",
        help="the sizes to try, one after the other",
    )
    parser.add_argument("--warm", type=int, default=10, metavar="N", help="calls with each size after the cold one")
    add_prices(parser)
    add_endpoint(parser, as_json=True)


def _sizes(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) < 6 for word in words) or len(words) > _MOST_SIZES:
        raise argparse.ArgumentTypeError(f"'{text}' must be like 128,256,512")
    return list(dict.fromkeys(map(int, words)))


def run(options: argparse.Namespace) -> int:
    """See module."""
    today = datetime.now(UTC).date()
    table = table_of(options, today)
    client, event = Client(options.endpoint), given_event(options) or b""
    service, function, qualifier = options.target
    rows: list[dict[str, Any]] = []
    for memory in options.memory:
        trial = client.tune(service, function, event, memory=memory, qualifier=qualifier, warm=options.warm)
        with client.understanding():
            rows.append(tuned(trial, table, today))
        if not options.json:
            say(tuned_lines(rows, table), flush=True)
    if options.json:
        say_json(_document(options, rows, table))
    else:
        say(wrapped((f"* {note}" for note in tuned_notes(rows, table)), width()))
    return 0


def _document(options: argparse.Namespace, rows: list[dict[str, Any]], table: Table) -> dict[str, Any]:
    service, function, qualifier = options.target
    return {
        "function": f"{service}/{function}",
        "qualifier": qualifier,
        "sizes": rows,
        "prices": table.document(),
        "assumptions": tuned_notes(rows, table),
    }
