"""`pyfc deploy [DIR]`: deploy a folder to a running server by its API, after showing what would change."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pyfc.cli.shared import add_endpoint, add_project, client_of, settings_of
from pyfc.client import Client
from pyfc.dev.output import say, tell
from pyfc.dev.plan import Step, plan
from pyfc.project.interface import Project
from pyfc.project.load import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("dir", metavar="DIR", nargs="?", type=Path, default=Path(), help="default: this folder")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    parser.add_argument("--strict", action="store_true", default=None, help="refuse what there are warnings about")
    add_project(parser)
    add_endpoint(parser)


def run(options: argparse.Namespace) -> int:
    """See module."""
    settings = settings_of(options, strict=options.strict)
    root = Path(os.path.realpath(options.dir))
    project = load(root, allows_outside=settings.allow_outside, strict=settings.strict, settings=settings)
    client = client_of(options)
    steps = plan(client, project, settings.maximum_code_size)
    for text in project.notes:
        tell(f"warning: {text}")
    if project.unsupported:
        tell(f"not supported yet: {'; '.join(project.unsupported)}")
    for step in steps:
        say(step.text)
    changes = [step for step in steps if step.apply is not None]
    if not changes:
        say(f"{client.endpoint} is up to date")
    elif options.dry_run:
        say(f"{len(changes)} changes; nothing was done (--dry-run)")
    else:
        for number, step in enumerate(changes, 1):
            _apply(step, f"[{number}/{len(changes)}]")
        say(f"deployed to {client.endpoint}")
        _tell_left_out(client, project)
    return 0


def _tell_left_out(client: Client, project: Project) -> None:
    """What the server could not install for functions of the project."""
    ours = {(each.function.service, each.function.name) for each in project.functions}
    for function in client.functions():
        place = (function["service"], function["function"])
        for name, why in function.get("leftOut", {}).items() if place in ours else ():
            tell(f"warning: function {'/'.join(place)} has to do without {name}: {why}")


def _apply(step: Step, place: str) -> None:
    assert step.apply is not None
    size = f" ({step.size:,} bytes of code)" if step.size else ""
    say(f"{place} {step.what}{size} ...", end="", flush=True)
    step.apply()
    say(" done")
