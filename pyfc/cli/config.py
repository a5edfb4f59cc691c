"""`pyfc config`: which server other commands talk to, and named profiles of servers and keys."""

from __future__ import annotations

import argparse
from typing import Any

from pyfc.cli.shared import add_endpoint, show
from pyfc.client import credentials, profiles
from pyfc.dev.output import say
from pyfc.errors import InvalidArgument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("action", nargs="?", choices=("show", "list", "set", "use", "remove"), default="show",
                        help="show: the server that counts, and why; list: all profiles; set: make or change one; "
                             "use: make it the one that counts; remove: forget it")  # fmt: skip
    parser.add_argument("profile", nargs="?", default="default", help="the profile; default: default")
    parser.add_argument("--access-key-id", help="set: the id of a key")
    parser.add_argument("--access-key-secret", help="set: its secret")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    if options.action == "show":
        _show(as_json=options.json)
    elif options.action == "list":
        _list(as_json=options.json)
    else:
        kept = profiles.read()
        _change(kept, options)
        profiles.write(kept)
        say(f"{options.action} {options.profile}: done")
    return 0


def _show(*, as_json: bool) -> None:
    choice = profiles.chosen()
    key = choice.key or credentials.find(choice.endpoint)
    row = {"endpoint": choice.endpoint, "from": choice.source, "accessKeyId": key.id if key else ""}
    show([row], tuple(row), as_json=as_json)


def _list(*, as_json: bool) -> None:
    kept = profiles.read()
    rows = [{"profile": name, "endpoint": each.get("endpoint"), "accessKeyId": each.get("access_key_id"),
             "current": name == kept["current"]} for name, each in kept["profiles"].items()]  # fmt: skip
    show(rows, ("profile", "endpoint", "accessKeyId", "current"), as_json=as_json)


def _change(kept: dict[str, Any], options: argparse.Namespace) -> None:
    """Set, use or remove a profile. Raises InvalidArgument."""
    known = kept["profiles"]
    if options.action == "set":
        given = {"endpoint": options.endpoint, "access_key_id": options.access_key_id,
                 "access_key_secret": options.access_key_secret}  # fmt: skip
        old = known.get(options.profile, {})
        known[options.profile] = {**old, **{name: text for name, text in given.items() if text is not None}}
        kept["current"] = kept["current"] or options.profile
    elif options.profile not in known:
        names = ", ".join(known) or "none"
        raise InvalidArgument(message=f"there is no profile '{options.profile}'; there are: {names}")
    elif options.action == "use":
        kept["current"] = options.profile
    else:
        del known[options.profile]
        kept["current"] = "" if kept["current"] == options.profile else kept["current"]
