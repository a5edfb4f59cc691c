"""`pyfc requests [SERVICE/FUNCTION]`: records of calls, the newest or the slowest first."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from pyfc.cli.shared import add_endpoint, client_of, pair, seconds_of, show
from pyfc.dev.output import say_json, tell
from pyfc.errors import InvalidArgument

_COLUMNS = ("time", "function", "status", "error", "totalMs", "why", "trigger", "requestId")
_MOST = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("function", metavar="SERVICE/FUNCTION", nargs="?", type=pair, help="default: all of them")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--failed", action="store_true", help="only calls that failed or were refused")
    chosen.add_argument("--error", metavar="TYPE", default="", help="only with this error, like FunctionTimeoutError")
    parser.add_argument("--status", type=int, default=0, help="only those that were answered this HTTP status")
    parser.add_argument("--slow", action="store_true", help="the slowest first, instead of the newest")
    parser.add_argument("--since", metavar="TIME", default="1h", help="how far back, like 90s, 5m or 7d; default 1h")
    parser.add_argument("-n", "--lines", type=int, default=50, help=f"how many at most; default 50, at most {_MOST}")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    if not 0 < options.lines <= _MOST:
        raise InvalidArgument(message=f"--lines is {options.lines}: it must be from 1 to {_MOST}")
    found = client_of(options).calls(
        "/".join(options.function or ()),
        seconds=seconds_of(options.since),
        error="*" if options.failed else options.error,
        status=options.status,
        slowest=options.slow,
        limit=options.lines,
    )
    if options.json:
        say_json(found)
        return 0
    show(map(_shown, found["calls"]), _COLUMNS, as_json=False)
    if found["leftOut"]:
        tell(f"{found['leftOut']} more plain calls have no record: see the setting `record_rate`")
    return 0


def _shown(call: dict[str, Any]) -> dict[str, Any]:
    total = call.get("durationMs", 0.0) + call.get("waitedMs", 0.0)
    why = "" if call["kept"] in {"plain", "failed"} else call["kept"]
    return {
        **call,
        "time": datetime.fromtimestamp(call["time"]).isoformat(" ", "milliseconds"),
        "function": f"{call['service']}/{call['function']}",
        "error": call["errorType"],
        "totalMs": f"{total:.2f}",
        "why": f"{why} profile".strip() if call.get("profile") else why,
    }
