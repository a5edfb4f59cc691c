"""`pyfc doctor [DIR|SERVICE/FUNCTION]`: what protects this machine from functions, and how to get what is missing."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from pyfc.cli.shared import add_endpoint, add_project, settings_of
from pyfc.client import Client
from pyfc.dev.doctor import examine, host, of_project, of_stored_files, report
from pyfc.dev.output import say, say_json
from pyfc.errors import FunctionNotFound
from pyfc.project.interface import Project
from pyfc.project.load import load as load_project
from pyfc.settings import load as load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    text = "also look at the functions of this folder, or at the template of this function of a running server"
    parser.add_argument("what", metavar="DIR|SERVICE/FUNCTION", nargs="?", help=text)
    add_project(parser)
    add_endpoint(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _project(options: argparse.Namespace) -> Project:
    settings = settings_of(options)
    return load_project(Path(options.what), allows_outside=settings.allow_outside, tolerates=True, settings=settings)


def run(options: argparse.Namespace) -> int:
    """See module."""
    if options.what is not None and not Path(options.what).is_dir() and options.what.count("/") == 1:
        return _template(options)
    project = _project(options) if options.what else None
    found = asyncio.run(examine(load_settings().sandbox))
    wrong = of_stored_files(options.what, load_settings())
    if options.json:
        say_json({"host": host(), "layers": [layer._asdict() for layer in found], "problems": wrong})
        return 0
    say(host() + "\n")
    say(report(found))
    if project is not None:
        say("\n" + of_project(project, found))
        for each in project.mistakes:
            say(f"\nmistake: {each.error}")
    for text in wrong:
        say(f"\nwarning: {text}")
    return 0


def _template(options: argparse.Namespace) -> int:
    """Whether instances of a running server's function are copies of a template, or why not."""
    service, _, name = options.what.partition("/")
    functions = Client(options.endpoint, timeout=30.0).functions()
    found = next((each for each in functions if (each["service"], each["function"]) == (service, name)), None)
    if found is None:
        raise FunctionNotFound(service=service, function=name)
    template = found.get("template", "its runtime is not served")
    if options.json:
        say_json({"service": service, "function": name, "template": template})
    elif template == "ready":
        say(f"{options.what}: new instances are copies of a template, which has imported the function.")
    elif template == "none":
        say(f"{options.what}: there is no template yet; it is made when a second instance is needed.")
    else:
        say(f"{options.what}: every instance imports for itself, since there is no template: {template}.")
    return 0
