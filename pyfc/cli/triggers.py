"""`pyfc triggers [SERVICE/FUNCTION]`: what starts functions by itself, and how it is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pyfc.cli.shared import add_endpoint, client_of, pair
from pyfc.client import Client
from pyfc.dev.output import one_line, say, say_json, tell
from pyfc.dev.table import table
from pyfc.errors import InvalidArgument

_MOST = 100
"""Next times that a server tells."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("function", metavar="SERVICE/FUNCTION", type=pair, nargs="?", help="only those of one function")
    parser.add_argument(
        "--next", type=_count, default=0, metavar="N", help=f"print when each fires the next N times, at most {_MOST}"
    )
    parser.add_argument("--delete", metavar="TRIGGER", help="remove a trigger")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    if options.delete:
        if options.function is None:
            raise InvalidArgument(message="--delete needs the SERVICE/FUNCTION that the trigger belongs to")
        service, function = options.function
        _delete(client, service, function, options.delete)
        return 0
    found = [
        each for each in client.all_triggers(options.next)
        if options.function in {None, (each["service"], each["function"])}
    ]  # fmt: skip
    if not found and options.function is not None:
        service, function = options.function
        client.functions_of(service).get(function)  # tells what there is not
    if options.json:
        say_json(found)
    elif not found:
        say("no triggers")
    elif options.next:
        _show_times(found)
    else:
        _show(found)
    return 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of 1 to {_MOST}")
    return int(text)


def _delete(client: Client, service: str, function: str, name: str) -> None:
    """Remove a trigger; who has it in a template is told that it comes again."""
    known = [(each["service"], each["function"], each["trigger"]) for each in client.all_triggers() if each["declared"]]
    client.triggers(service, function).delete(name)
    say(f"{name} is gone")
    if (service, function, name) in known:
        tell(one_line(f"{name} stands in the template that is served: the next start makes it again; remove it there"))


def _show(found: Sequence[dict[str, Any]]) -> None:
    say(table(("TRIGGER", "TYPE", "STATE", "LAST", "NEXT", "FIRED"), [_row(each) for each in found], right=(5,)))
    for each in found:
        if each["error"]:
            say(one_line(f"{_name(each)}: {each['error']}"))


def _show_times(found: Sequence[dict[str, Any]]) -> None:
    for time, name in sorted((time, _name(each)) for each in found for time in each["upcoming"]):
        say(one_line(f"{_text(time)}  {name}"))
    for each in found:
        if not each["upcoming"]:
            say(one_line(f"{'-':20}  {_name(each)} ({_timeless(each)})"))


def _timeless(each: dict[str, Any]) -> str:
    """Why nobody knows when a trigger fires the next time."""
    if each["error"] or each["state"] == "disabled":
        return each["error"] or "switched off"
    return f"{each['type']}: not by the clock"


def _name(each: dict[str, Any]) -> str:
    return f"{each['service']}/{each['function']}:{each['trigger']}"


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    return _name(each), each["type"], each["state"], _text(each["last"]), _text(each["next"]), str(each["fired"])


def _text(moment: float | None) -> str:
    return "-" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
