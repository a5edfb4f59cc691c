"""`pyfc logs SERVICE/FUNCTION [-f]`: what a function has logged."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from pyfc.cli.shared import add_endpoint, client_of, pair

_PAUSE = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("function", metavar="SERVICE/FUNCTION", type=pair)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is logged from now on")
    parser.add_argument("-n", "--lines", type=int, default=100, help="how many of the newest records; default 100")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    service, function = options.function
    found = client.logs(service, function, lines=options.lines)
    while True:
        for record in found["records"]:
            print(json.dumps(record) if options.json else _text(record), flush=True)
        if not options.follow:
            return 0
        time.sleep(_PAUSE)
        found = client.logs(service, function, offset=found["offset"])


def _text(record: dict[str, Any]) -> str:
    log = str(record.get("log", "")).rstrip("\n")
    if "requestId" not in record:
        return log
    told = record.get("error") or record.get("errorType") or record.get("status", "")
    head = f"{record.get('time', '')}  {record['requestId']}  {told}"
    return f"{head}\n{log}" if log else head
