"""`pyfc dev DIR`: like serve, and what is saved is served at once."""

from __future__ import annotations

import argparse

from pyfc.cli import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `pyfc serve`."""
    serve.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """See module."""
    return serve.run(options, reload=True)
