"""`pyfc layers [LAYER]`: files that functions share; `--publish DIR` makes a new version of a layer."""

from __future__ import annotations

import argparse
import base64
from pathlib import Path

from pyfc.cli.shared import add_endpoint, client_of, show
from pyfc.dev.output import say
from pyfc.errors import InvalidArgument
from pyfc.host.archive import pack

_COLUMNS = ("layerName", "version", "codeSize", "compatibleRuntime", "arnV2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("layer", metavar="LAYER", nargs="?")
    parser.add_argument("--publish", metavar="DIR", type=Path, help="make a version of a folder's contents")
    parser.add_argument("--delete", metavar="VERSION", help="remove a version")
    add_endpoint(parser, as_json=True)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    if (options.publish or options.delete) and not options.layer:
        raise InvalidArgument(message="name the layer")
    path = f"/layers/{options.layer}/versions"
    if options.publish:
        if not options.publish.is_dir():
            raise InvalidArgument(message=f"{options.publish} is not a folder")
        with pack(options.publish) as archive:
            code = {"zipFile": base64.b64encode(archive.read()).decode()}
        show([client.api("POST", path, {"code": code})], _COLUMNS, as_json=options.json)
    elif options.delete:
        client.api("DELETE", f"{path}/{options.delete}")
        say(f"version {options.delete} of {options.layer} is gone")
    else:
        found = client.api("GET", f"{path}?limit=100")["layers"] if options.layer else client.layers().list()
        show(found, _COLUMNS, as_json=options.json)
    return 0
