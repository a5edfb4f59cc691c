"""`pyfc logs SERVICE/FUNCTION [QUERY] [-f]`: what a function has logged, or what of it a search is for."""

from __future__ import annotations

import argparse
import time
from typing import Any

from pyfc.cli.shared import add_endpoint, client_of, pair, seconds_of
from pyfc.dev.output import one_line, output_lines, say, say_json, tell
from pyfc.dev.table import table
from pyfc.errors import InvalidArgument

_PAUSE = 0.5
_LINES = 100_000
"""Most lines of one record."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "function", metavar="SERVICE/FUNCTION", type=pair, help="a function; default/FUNCTION for one without a service"
    )
    parser.add_argument(
        "query", metavar="QUERY", nargs="?", default="",
        help="only what it finds, like 'error and \"timed out\"'; with SQL its answer, like '* | select count(*)'",
    )  # fmt: skip
    parser.add_argument("--since", metavar="TIME", help="only what is not older, like 90s, 5m, 1h or 2d")
    parser.add_argument("--request", metavar="ID", default="", help="only what is of this request")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is logged from now on")
    parser.add_argument("-n", "--lines", type=int, default=100, help="how many of the newest records; default 100")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    if options.lines < 0:
        raise InvalidArgument(message=f"--lines is {options.lines}: it must not be negative")
    since = 0 if options.since is None else int(time.time() - seconds_of(options.since))
    client = client_of(options)
    service, function = options.function
    search = {"query": options.query, "since": since, "request": options.request}
    found = client.logs(service, function, lines=options.lines, **search)
    if found["columns"] is not None:
        return _answer(found, options)
    if options.request and not found["records"]:
        tell(f"no record of {service}/{function} that was looked through is of request {options.request}")
    while True:
        for record in found["records"]:
            if options.json:
                say_json(record, flush=True)
            else:
                say("\n".join(_lines(record, f"{service}/{function}")), flush=True)
        _tell_of_more(found)
        if not options.follow:
            return 0
        time.sleep(_PAUSE)
        found = client.logs(service, function, offset=found["offset"], **search)


def _answer(found: dict[str, Any], options: argparse.Namespace) -> int:
    """What SQL has said. Raises InvalidArgument where that would have no end."""
    if options.follow:
        raise InvalidArgument(
            message="SQL has one answer, so nothing can be followed: leave out -f or what is behind |"
        )
    columns, rows = found["columns"], found["records"]
    if options.json:
        for row in rows:
            say_json(row)
    else:
        say(table([*map(one_line, columns)], [[str(row.get(name, "")) for name in columns] for row in rows]))
    _tell_of_more(found)
    return 0


def _tell_of_more(found: dict[str, Any]) -> None:
    if not found["complete"]:
        tell("there is more than could be looked through in time: search with --since")


def _lines(record: dict[str, Any], name: str) -> list[str]:
    log = output_lines(name, str(record.get("log", "")), _LINES)
    if "requestId" not in record:
        return log
    told = record.get("error") or record.get("errorType") or record.get("status", "")
    return [one_line(f"{record.get('time', '')}  {record['requestId']}  {told}"), *log]
