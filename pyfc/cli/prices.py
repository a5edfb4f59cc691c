"""The options of commands that tell what something costs."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from pyfc.billing.prices import DEFAULT_MARKET, Table, in_force, read


def add_prices(parser: argparse.ArgumentParser) -> None:
    """Whose prices count."""
    prices = parser.add_mutually_exclusive_group()
    prices.add_argument("--market", default=DEFAULT_MARKET, help="whose prices: china, international, or 2020")
    prices.add_argument("--prices", metavar="FILE", type=Path, help="a price table of your own, in TOML")


def table_of(options: argparse.Namespace, day: date) -> Table:
    """The price table of these options that holds on a day. Raises InvalidArgument."""
    return in_force(options.market, day) if options.prices is None else read(options.prices)
