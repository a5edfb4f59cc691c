"""`pyfc console`: open the web console of a running server, logged in by a link that is good once."""

from __future__ import annotations

import argparse
import webbrowser

from pyfc.cli.shared import add_endpoint, client_of
from pyfc.dev.output import say, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--url", action="store_true", help="print the link, and open no browser")
    parser.add_argument("--read-only", action="store_true", help="the login may look, and see no secrets; nothing else")
    parser.add_argument("--revoke", action="store_true", help="end all sessions and links")
    add_endpoint(parser)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    if options.revoke:
        count = client.revoke_console()
        say(f"{count} session{'' if count == 1 else 's'} ended; links that were made before log in no more.")
        return 0
    link = client.console_link(reads_only=options.read_only)
    if link["seconds"] and not options.url:
        opened = webbrowser.open(link["url"])
        if opened:
            return 0
        tell("pyfc: there is no browser that can be opened here; this link does it:")
    say(link["url"])
    if not link["seconds"]:
        tell("pyfc: other machines reach this server: log in there with an access key (`pyfc keys` makes one)")
    return 0
