"""`pyfc events`: asynchronous calls that were given up, and what to do about them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pyfc.cli.shared import add_endpoint, client_of, show, show_one
from pyfc.client import Client
from pyfc.client.client import ApiError
from pyfc.dev.output import say, tell
from pyfc.errors import InvalidArgument, NotUnderstood

_CONFLICT = 409
_COLUMNS = ("requestId", "serviceName", "functionName", "status", "alreadyRetriedTimes", "invocationErrorMessage")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("action", nargs="?", choices=("list", "show", "retry", "drop", "export"), default="list")
    parser.add_argument("id", nargs="?", default="", help="a request id, or an id of your own; retry, drop: or `all`")
    parser.add_argument(
        "--function", default="", metavar="SERVICE/FUNCTION", help="list, export, `all`: of one function"
    )
    parser.add_argument("--all", action="store_true", help="list, export, `all`: also those that were not given up")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="export: where to; default: standard output")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    if options.action == "list":
        rows = _events(client, options)
        show(rows, _COLUMNS, as_json=options.json)
        if not options.json:
            depth = client.api("GET", "/pyfc/events")["depth"]
            told = f"{depth['waiting']} wait, {depth['delayed']} wait for their time, {depth['given_up']} were given up"
            tell(told)
        return 0
    if options.action == "export":
        lines = [json.dumps(client.event(each["requestId"])) for each in _events(client, options)]
        text = "".join(f"{line}\n" for line in lines)
        if options.output is None:
            say(text, end="")
        else:
            options.output.write_text(text)
            say(f"{len(lines)} events in {options.output}")
        return 0
    if not options.id:
        raise InvalidArgument(message=f"name the event: pyfc events {options.action} ID")
    if options.action == "show":
        show_one(client.event(options.id))
        return 0
    _change(client, options)
    return 0


def _change(client: Client, options: argparse.Namespace) -> None:
    """Call events again, or forget them."""
    ids = [each["requestId"] for each in _events(client, options)] if options.id == "all" else [options.id]
    for name in ids:
        try:
            client.api("POST" if options.action == "retry" else "DELETE", f"/pyfc/events/{quote(name, safe='')}")
        except ApiError as error:
            if options.id != "all" or error.status != _CONFLICT:
                raise
            tell(f"{name}: {error}")  # it has moved on since it was listed
        else:
            say(f"{name}: {'is called again' if options.action == 'retry' else 'dropped'}")


def _events(client: Client, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every event that is meant, page by page."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        query = {"function": options.function, "all": str(options.all).lower(), "after": after}
        page = client.api("GET", f"/pyfc/events?{urlencode(query)}")["events"]
        if not page:
            return found
        found += page
        if page[-1]["number"] == after:
            raise NotUnderstood(endpoint=client.endpoint, reason="it gives the same page again")
        after = page[-1]["number"]
