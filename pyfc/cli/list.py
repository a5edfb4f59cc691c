"""`pyfc list`: what a running server serves."""

from __future__ import annotations

import argparse
from typing import Any

from pyfc.cli.shared import add_endpoint
from pyfc.client import Client
from pyfc.dev.output import one_line, say, say_json
from pyfc.dev.table import function_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_endpoint(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON array")


def _of_builds(function: dict[str, Any]) -> list[str]:
    found: list[str] = []
    if function.get("building"):
        seconds = f" ({function['buildingSeconds']:.0f} s)" if "buildingSeconds" in function else ""
        found.append(f"what it needs is being installed: {function['building']}{seconds}")
    elif "failed" in function:
        found.append(f"what it needs could not be built: {function['failed']}")
    elif "builtSeconds" in function:
        found.append(f"what it needs was installed in {function['builtSeconds']:.1f} s")
    return found + [f"it has to do without {name}: {why}" for name, why in function.get("leftOut", {}).items()]


def remarks(function: dict[str, Any]) -> list[str]:
    """What a person should know of a function."""
    found = _of_builds(function)
    if stuck := function.get("instances", {}).get("stuck"):
        found.append(f"{stuck} of its instances can not be killed for now")
    provision = function.get("provision")
    if provision is not None:
        error = f", since they can not be started: {provision['currentError']}" if provision["currentError"] else ""
        found.append(f"{provision['current']} of {provision['target']} reserved instances{error}")
    if function.get("template", "").startswith("its import"):
        found.append(f"every instance imports for itself: {function['template']}")
    if function.get("newest"):
        found.append(f"its newest version is not served: {function['newest']}")
    return found


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = Client(options.endpoint, timeout=30.0)
    functions = client.functions()
    if options.json:
        say_json(functions)
    elif functions:
        say(function_rows(functions, client.endpoint))
        for each in functions:
            for text in remarks(each):
                say(one_line(f"{each['service']}/{each['function']}: {text}"))
    else:
        say(f"{client.endpoint} serves no functions")
    return 0
