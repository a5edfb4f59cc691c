"""`pyfc event TYPE` and `pyfc event SERVICE/FUNCTION[:TRIGGER]`: what a source sends, to be piped into `pyfc invoke` or
changed in a file. With a trigger it is what `pyfc trigger fire --print` prints.
"""

from __future__ import annotations

import argparse

from pyfc.cli.shared import add_endpoint, client_of
from pyfc.cli.trigger import Named, add_changes, event_with_changes, found, named, show_event
from pyfc.dev.firing import changed
from pyfc.dev.samples import SAMPLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "of", metavar="TYPE|SERVICE/FUNCTION[:TRIGGER]", type=_of,
        help=f"a type ({', '.join(sorted(SAMPLES))}), or a trigger of a running server",
    )  # fmt: skip
    add_changes(parser)
    add_endpoint(parser)


def _of(text: str) -> str | Named:
    if text in SAMPLES:
        return text
    if "/" in text:
        return named(text)
    raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(sorted(SAMPLES))}, and no SERVICE/FUNCTION")


def run(options: argparse.Namespace) -> int:
    """See module."""
    if isinstance(options.of, Named):
        show_event(event_with_changes(found(client_of(options), options.of, None), options.set))
    else:
        show_event(changed(SAMPLES[options.of], options.set, options.of))
    return 0
