"""What commands share: which server they talk to, and how they show what it answers."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pyfc.client import Client
from pyfc.dev.output import given, say, say_json
from pyfc.dev.table import table
from pyfc.errors import InvalidArgument
from pyfc.settings import Settings
from pyfc.settings import load as load_settings


def add_endpoint(parser: argparse.ArgumentParser, *, as_json: bool = False) -> None:
    """The options of every command that talks to a server."""
    parser.add_argument("--endpoint", help="the server; `pyfc config` tells which it is by default")
    if as_json:
        parser.add_argument("--json", action="store_true", help="print JSON")


def add_outside(parser: argparse.ArgumentParser) -> None:
    """The option of commands that read a project."""
    text = "let the project's links, CodeUri and named files lead out of it"
    parser.add_argument("--allow-outside", action="store_true", default=None, help=text)


def allows_outside(options: argparse.Namespace) -> bool:
    """Whether that option, or its setting, is given."""
    return load_settings(os.environ, allow_outside=options.allow_outside).allow_outside


def add_project(parser: argparse.ArgumentParser) -> None:
    """The options of commands that read a whole project."""
    add_outside(parser)
    parser.add_argument("--env", metavar="NAME", help="environment of env.yaml, as with `s --env`")


def settings_of(options: argparse.Namespace, **chosen: Any) -> Settings:
    """The settings, with what these options say."""
    return load_settings(os.environ, allow_outside=options.allow_outside, env=options.env, **chosen)


def client_of(options: argparse.Namespace) -> Client:
    """The client of a command."""
    return Client(options.endpoint, timeout=600.0)


def add_event(parser: argparse.ArgumentParser) -> None:
    """The options of every command that takes an event."""
    event = parser.add_mutually_exclusive_group()
    event.add_argument("-e", "--event", help="the event as text")
    event.add_argument("-f", "--event-file", metavar="FILE", help="the event from a file; - for standard input")


def given_event(options: argparse.Namespace) -> bytes | None:
    """The event of these options, None if none is given. Raises InvalidArgument, OSError."""
    most = load_settings().maximum_upload  # what the server takes is its own to say
    if options.event is not None:
        return str(options.event).encode("utf-8", "surrogateescape")
    if options.event_file is not None:
        return event_of(None if options.event_file == "-" else Path(options.event_file), most)
    return None


def event_of(path: Path | None, most: int) -> bytes:
    """The event that stands in a file (also a pipe of the shell), or on standard input. Raises InvalidArgument for one
    of more than `most` bytes, OSError.
    """
    if path is None:
        data = given(most + 1)
    else:
        with path.open("rb") as file:
            data = file.read(most + 1)
    if len(data) > most:
        raise InvalidArgument(message=f"the event has more than {most} bytes")
    return data


def pair(text: str) -> tuple[str, str]:
    """SERVICE/FUNCTION, taken apart."""
    service, slash, function = text.partition("/")
    if not slash or not service or not function:
        raise argparse.ArgumentTypeError(f"'{text}' must be like demo/hello")
    return service, function


def seconds_of(text: str) -> float:
    """How long a time is that was given as --since. Raises InvalidArgument."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if found is None:
        raise InvalidArgument(message=f"--since is {text!r}: it is a number with s, m, h or d, like 1h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def show(documents: Iterable[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """A table of these fields, or JSON. An empty list says so."""
    rows = list(documents)
    if as_json:
        say_json(rows)
    elif rows:
        say(table([_heading(name) for name in columns], [[_cell(row.get(name)) for name in columns] for row in rows]))
    else:
        say("none")


def show_one(document: dict[str, Any]) -> None:
    """One object, to read or to pipe on."""
    say_json(document, indent=2)


def _heading(name: str) -> str:
    return "".join(f" {letter}" if letter.isupper() else letter for letter in name).upper()


def _cell(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
