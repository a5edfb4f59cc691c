"""`pyfc versions SERVICE`: what was published of a service; `--publish` adds a version, `--delete` removes one."""

from __future__ import annotations

import argparse

from pyfc.cli.shared import add_endpoint, client_of, show
from pyfc.dev.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("service", metavar="SERVICE")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--publish", action="store_true", help="make a version of what there is")
    action.add_argument("--delete", metavar="VERSION", help="remove a version that no alias leads to")
    parser.add_argument("--description", default="", help="of the new version")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    versions = client_of(options).versions(options.service)
    if options.publish:
        say(f"version {versions.create({'description': options.description})['versionId']}")
    elif options.delete:
        versions.delete(options.delete)
        say(f"version {options.delete} is gone")
    else:
        show(versions.list(), ("versionId", "description", "createdTime"), as_json=options.json)
    return 0
