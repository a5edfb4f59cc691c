"""`pyfc list`: what a running server serves."""

from __future__ import annotations

import argparse
import json
import os

from pyfc.client import Client
from pyfc.client.client import DEFAULT_ENDPOINT
from pyfc.dev.table import function_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--endpoint", default=os.environ.get("PYFC_ENDPOINT", DEFAULT_ENDPOINT), help="the server")
    parser.add_argument("--json", action="store_true", help="print one JSON array")


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = Client(options.endpoint, timeout=30.0)
    functions = client.functions()
    if options.json:
        print(json.dumps(functions))
    elif functions:
        print(function_rows(functions, client.endpoint))
        for each in functions:
            if stuck := each.get("instances", {}).get("stuck"):
                print(f"{each['service']}/{each['function']}: {stuck} of its instances can not be killed for now")
    else:
        print(f"{client.endpoint} serves no functions")
    return 0
