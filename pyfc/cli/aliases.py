"""`pyfc aliases SERVICE [ALIAS VERSION]`: names for versions, and part of the calls for another one."""

from __future__ import annotations

import argparse
from typing import Any

from pyfc.cli.shared import add_endpoint, client_of, show
from pyfc.dev.output import say
from pyfc.errors import InvalidArgument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("service", metavar="SERVICE")
    parser.add_argument("alias", metavar="ALIAS", nargs="?", help="with a VERSION: let it lead there")
    parser.add_argument("version", metavar="VERSION", nargs="?")
    parser.add_argument("--weight", metavar="VERSION=PART", help="give PART (0 to 1) of the calls to another version")
    parser.add_argument("--delete", action="store_true", help="remove the alias")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    aliases = client_of(options).aliases(options.service)
    columns = ("aliasName", "versionId", "additionalVersionWeight", "description")
    if options.delete and not options.alias:
        raise InvalidArgument(message="name the alias that is to be removed")
    if options.delete:
        aliases.delete(options.alias)
        say(f"{options.alias} is gone")
        return 0
    if options.version:
        document: dict[str, Any] = {"versionId": options.version, "additionalVersionWeight": {}}
        if options.weight:
            document["additionalVersionWeight"] = _weight(options.weight)
        if aliases.find(options.alias) is None:
            aliases.create({"aliasName": options.alias, **document})
        else:
            aliases.update(options.alias, document)
    shown = [aliases.get(options.alias)] if options.alias else aliases.list()
    show(shown, columns, as_json=options.json)
    return 0


def _weight(text: str) -> dict[str, float]:
    version, _, part = text.partition("=")
    try:
        return {version: float(part)}
    except ValueError:
        raise InvalidArgument(message=f"--weight is '{text}': it must be like 2=0.1") from None
