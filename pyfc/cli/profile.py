"""`pyfc profile REQUEST_ID`: what a slow call was busy with, as a table, a picture, or a file for speedscope."""

from __future__ import annotations

import argparse
import json
import tempfile
import webbrowser
from pathlib import Path

import msgspec

from pyfc.cli.shared import add_endpoint, client_of
from pyfc.dev.output import one_line, say, tell
from pyfc.dev.table import table
from pyfc.errors import InvalidArgument
from pyfc.observe.profiles import speedscope
from pyfc.observe.profiles.flames import svg
from pyfc.observe.profiles.speedscope import Stacks

_MOST = 15
"""Functions that are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("request_id", metavar="REQUEST_ID", help="of a call that `pyfc requests` shows with a profile")
    parser.add_argument("--svg", metavar="FILE", type=Path, help="write a flame graph as a picture")
    parser.add_argument("--speedscope", metavar="FILE", type=Path, help="write what speedscope.app opens")
    parser.add_argument("--open", action="store_true", help="show the flame graph in a browser")
    add_endpoint(parser)


def run(options: argparse.Namespace) -> int:
    """See module."""
    document = client_of(options).profile(options.request_id)
    try:
        stacks, head = speedscope.read(msgspec.json.encode(document)), str(document["name"])
    except (ValueError, KeyError) as error:
        raise InvalidArgument(message=f"the profile of {options.request_id} cannot be read: {error}") from None
    if options.speedscope is not None:
        _write(options.speedscope, json.dumps(document))
    if options.svg is not None:
        _write(options.svg, svg(stacks, head))
    if options.open:
        path = Path(tempfile.mkdtemp(prefix="pyfc-profile-")) / "flames.svg"
        _write(path, svg(stacks, head))
        webbrowser.open(path.as_uri())
    if options.speedscope is None and options.svg is None and not options.open:
        _show(stacks, head)
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise InvalidArgument(message=f"{path} cannot be written: {error.strerror}") from None
    tell(f"written: {path}")


def _show(stacks: Stacks, head: str) -> None:
    whole = stacks.seconds or 1.0
    rows = [
        [f"{100 * own / whole:.1f}%", f"{100 * total / whole:.1f}%", one_line(frame.name), one_line(frame.place)]
        for frame, own, total in speedscope.hottest(stacks, _MOST)
    ]
    say(one_line(f"{head}; {stacks.seconds:.2f} s seen running"))
    say(table(["OWN", "WITH CALLED", "FUNCTION", "WHERE"], rows))
