"""`pyfc event TRIGGER`: a sample event, to be piped into `pyfc invoke` or changed in a file."""

from __future__ import annotations

import argparse

from pyfc.dev.output import say_json
from pyfc.dev.samples import SAMPLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("trigger", metavar="TRIGGER", choices=sorted(SAMPLES), help=", ".join(sorted(SAMPLES)))


def run(options: argparse.Namespace) -> int:
    """See module."""
    say_json(SAMPLES[options.trigger], indent=2)
    return 0
