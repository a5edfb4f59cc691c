"""`pyfc bill [--month 2026-11]`: what functions would cost in the cloud, for what they have used here."""

from __future__ import annotations

import argparse

from pyfc.billing.bill import Month
from pyfc.billing.prices import read
from pyfc.billing.usage import Change
from pyfc.cli.prices import add_prices
from pyfc.cli.shared import add_endpoint, client_of
from pyfc.dev.costs import bill_notes, bill_table, wrapped
from pyfc.dev.output import say, say_json, width


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--month", default="", metavar="YYYY-MM", help="the month; by default this one")
    parser.add_argument(
        "--what-if", default="", metavar="NAME=NUMBER,...", help="as if every function had memory=MB, or concurrency=N"
    )
    add_prices(parser)
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    if options.month:
        Month.read(options.month)
    if options.what_if:
        Change.read(options.what_if)
    prices = read(options.prices).document() if options.prices is not None else None
    client = client_of(options)
    found = client.bill(options.month, market=options.market, what_if=options.what_if, prices=prices)
    if options.json:
        say_json(found)
        return 0
    with client.understanding():
        shown = bill_table(found, width()) if found["functions"] else f"Nothing was used in {found['month']}."
        notes = bill_notes(found)
    say(f"{shown}\n\n{wrapped(notes, width())}")
    return 0
