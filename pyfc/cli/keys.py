"""`pyfc keys create|list|revoke`: the access keys of a data folder. A running server knows at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from pyfc.auth.keys import METRICS, Key, Keys
from pyfc.cli.shared import add_endpoint, show
from pyfc.client import Client
from pyfc.client.credentials import data_folder
from pyfc.dev.output import say, say_json
from pyfc.errors import InvalidArgument
from pyfc.registry.documents import time_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("action", choices=("create", "list", "revoke"))
    parser.add_argument("name", nargs="?", default="", help="create: a note; revoke: the key's id")
    parser.add_argument("--data-dir", type=Path, help="the data folder; by default that of the server at --endpoint")
    parser.add_argument(
        "--scope", choices=(METRICS,), default="", help="create: a bearer token that is good for GET /metrics alone"
    )
    parser.add_argument("--secrets", action="store_true", help="list: show the secrets too")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    endpoint = Client(options.endpoint).endpoint
    folder = options.data_dir or data_folder(endpoint)
    if folder is None or not folder.is_dir():
        text = f"no server of yours at {endpoint} has left word of its data folder: name it by --data-dir"
        raise InvalidArgument(message=text)
    _ACTIONS[options.action](Keys(folder), options)
    return 0


def _create(keys: Keys, options: argparse.Namespace) -> None:
    key = keys.create(options.name, options.scope)
    if options.json:
        say_json(_row(key))
    elif key.scope:
        say(key.secret)
    else:
        say(f"export ACCESS_KEY_ID={key.id} ACCESS_KEY_SECRET={key.secret}")


def _revoke(keys: Keys, options: argparse.Namespace) -> None:
    keys.revoke(options.name)
    if options.json:
        say_json({"id": options.name})
    else:
        say(f"{options.name} opens nothing any more")


def _list(keys: Keys, options: argparse.Namespace) -> None:
    columns = ("id", "created", "scope", "note", *(("secret",) if options.secrets else ()))
    rows = [_row(key) for key in keys.listed()]
    show([{name: row[name] for name in columns} for row in rows], columns, as_json=options.json)


def _row(key: Key) -> dict[str, str]:
    return {"id": key.id, "created": time_text(key.created), "scope": key.scope, "note": key.note, "secret": key.secret}


_ACTIONS = {"create": _create, "revoke": _revoke, "list": _list}
