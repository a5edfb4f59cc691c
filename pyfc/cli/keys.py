"""`pyfc keys create|list|revoke`: the access keys of a data folder. A running server knows at once."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from pyfc.auth.keys import Keys
from pyfc.cli.shared import add_endpoint, show
from pyfc.client import Client
from pyfc.client.credentials import data_folder
from pyfc.dev.output import say
from pyfc.errors import InvalidArgument
from pyfc.registry.documents import time_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("action", choices=("create", "list", "revoke"))
    parser.add_argument("name", nargs="?", default="", help="create: a note; revoke: the key's id")
    parser.add_argument("--data-dir", type=Path, help="the data folder; by default that of the server at --endpoint")
    parser.add_argument("--secrets", action="store_true", help="list: show the secrets too")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    endpoint = Client(options.endpoint).endpoint
    folder = options.data_dir or data_folder(endpoint)
    if folder is None or not folder.is_dir():
        text = f"no server of yours at {endpoint} has left word of its data folder: name it by --data-dir"
        raise InvalidArgument(message=text)
    keys = Keys(folder)
    if options.action == "create":
        key = keys.create(options.name)
        say(f"export ACCESS_KEY_ID={key.id} ACCESS_KEY_SECRET={key.secret}")
    elif options.action == "revoke":
        keys.revoke(options.name)
        say(f"{options.name} opens nothing any more")
    else:
        columns = ("id", "created", "note", *(("secret",) if options.secrets else ()))
        rows = [{**dataclasses.asdict(key), "created": time_text(key.created)} for key in keys.all()]
        show([{name: row[name] for name in columns} for row in rows], columns, as_json=options.json)
    return 0
