"""The command `pyfc`: one file per command; a command parses, calls and prints, and decides nothing."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback

from pyfc.dev.output import flush, give_up_broken, log_to_stderr, prepare, tell
from pyfc.errors import PyfcError
from pyfc.version import VERSION

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
    "trigger": "fire a trigger as its source would",
    "domains": "show or set domain names whose requests go to functions",
    "layers": "show or publish files that functions share",
    "provision": "show or set reserved instances",
    "logs": "show what a function has logged",
    "stats": "show what calls have cost: outcomes, durations, memory",
    "profile": "show what a slow call was busy with",
    "top": "show what functions do now: calls, instances, memory, processors; explain what limits one",
    "console": "open the web console of a running server, logged in",
    "requests": "show records of calls: those that failed, the slowest",
    "keys": "make, list and revoke access keys",
    "config": "show and set which server other commands talk to",
    "explain": "show what a cold start of a function consists of, and what to do about it",
    "bill": "show what functions would cost in the cloud for what they have used here",
    "tune": "run a function with several memory sizes, and compare what it takes and costs",
    "why": "tell why a call was cold, waited or was refused",
    "event": "print the event of a trigger, or the sample of a type",
    "oss": "list, copy and remove objects in the buckets of a running server, make buckets",
    "local": "call or serve functions as `fun local` does, without Docker",
    "doctor": "show what protects this machine from its functions",
    "init": "make a folder with two example functions",
}
EXIT_USAGE = 2
EXIT_PLATFORM = 3
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
_TRACEBACK = "PYFC_TRACEBACK"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    prepare()
    log_to_stderr(logging.WARNING)
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `pyfc events | head`: who reads has had enough
        give_up_broken()
        return EXIT_PIPE


def _run(arguments: list[str]) -> int:
    """Whatever a command fails by becomes a sentence: this is the edge of the program."""
    command = arguments[0] if arguments else ""
    try:
        status = _command(command, arguments)
        flush()
    except BrokenPipeError:
        raise
    except Exception as error:
        tell(_sentence(error))
        if isinstance(error, OSError):
            give_up_broken()
        is_usage = isinstance(error, PyfcError) and 400 <= error.status < 500 and command != "invoke"
        return EXIT_USAGE if is_usage else EXIT_PLATFORM
    return status


def _sentence(error: Exception) -> str:
    if isinstance(error, PyfcError):
        return f"pyfc: {error}".replace("\n", "\n  ")  # no line of it looks like one of another's
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"pyfc: {where}{error.strerror or error}"
    return traceback.format_exc() if os.environ.get(_TRACEBACK) else _unexpected(error)


def _command(command: str, arguments: list[str]) -> int:
    parser = parser_of(command)
    try:
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            options.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as end:  # it has shown a help text, or what is wrong
        return int(end.code or 0)
    if options.command is None:
        parser.print_help()
        return EXIT_USAGE
    status: int = options.run(options)
    return status


def _unexpected(error: Exception) -> str:
    kind = type(error).__name__
    what = "a fault of pyfc's, or what answered is no pyfc of this version"
    return f"pyfc: unexpected {kind} ({error}): {what}; {_TRACEBACK}=1 in the environment shows where"


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of `pyfc`; only the command that is given has its module loaded."""
    parser = argparse.ArgumentParser(
        prog="pyfc",
        description="Run functions written for Function Compute on this machine, without containers.",
        epilog="`pyfc COMMAND --help` shows the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"pyfc {VERSION}")
    parser.set_defaults(refuse=parser.error)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == command:
            module = importlib.import_module(f"pyfc.cli.{name}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run, refuse=sub.error)
    return parser
