"""`pyfc doctor [DIR]`: what protects this machine from functions here, and how to get what is missing."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from pyfc.dev.doctor import examine, host, of_project, report
from pyfc.project.load import load as load_project
from pyfc.settings import load as load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("dir", metavar="DIR", type=Path, nargs="?", help="also look at the functions of this folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """See module."""
    project = load_project(options.dir) if options.dir is not None else None
    found = asyncio.run(examine(load_settings().sandbox))
    if options.json:
        print(json.dumps({"host": host(), "layers": [layer._asdict() for layer in found]}))
        return 0
    print(host() + "\n")
    print(report(found))
    if project is not None:
        print("\n" + of_project(project, found))
    return 0
