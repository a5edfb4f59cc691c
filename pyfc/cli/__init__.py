"""The command `pyfc`: one file per command; a command parses, calls and prints, and decides nothing."""

from __future__ import annotations

import argparse
import importlib
import sys

from pyfc import __version__
from pyfc.errors import PyfcError

COMMANDS = {
    "serve": "serve a folder of functions",
    "dev": "serve a folder of functions, and again whenever a file is saved",
    "build": "install what functions need: requirements.txt, package.json, the lists of a Funfile",
    "deploy": "deploy a folder to a running server, after showing what would change",
    "remove": "remove a service, a function, or all that a folder has deployed",
    "invoke": "call a function of a running server",
    "events": "show, retry, drop and export asynchronous calls",
    "replay": "run an asynchronous call again here, with the code, the settings and the event it had",
    "list": "show what a running server serves",
    "get": "show a service or function as Function Compute's API has it",
    "versions": "show or publish the versions of a service",
    "aliases": "show or set names for versions",
    "triggers": "show what starts a function by itself",
    "domains": "show or set domain names whose requests go to functions",
    "layers": "show or publish files that functions share",
    "provision": "show or set reserved instances",
    "logs": "show what a function has logged",
    "keys": "make, list and revoke access keys",
    "config": "show and set which server other commands talk to",
    "explain": "show what a cold start of a function consists of, and what to do about it",
    "why": "tell why a call was cold, waited or was refused",
    "event": "print a sample event of a trigger",
    "local": "call or serve functions as `fun local` does, without Docker",
    "doctor": "show what protects this machine from its functions",
    "init": "make a folder with two example functions",
}
EXIT_USAGE = 2
EXIT_PLATFORM = 3


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser(arguments[0] if arguments else "")
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return EXIT_USAGE
    try:
        status: int = options.run(options)
    except PyfcError as error:
        print(f"pyfc: {error}", file=sys.stderr)
        return EXIT_USAGE if 400 <= error.status < 500 and options.command != "invoke" else EXIT_PLATFORM
    except KeyboardInterrupt:
        return 130
    return status


def _parser(command: str) -> argparse.ArgumentParser:
    """The parser; only the command that is given has its module loaded."""
    parser = argparse.ArgumentParser(
        prog="pyfc",
        description="Run functions written for Function Compute on this machine, without containers.",
        epilog="`pyfc COMMAND --help` shows the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"pyfc {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == command:
            module = importlib.import_module(f"pyfc.cli.{name}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return parser
