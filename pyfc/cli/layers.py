"""`pyfc layers [LAYER]`: files that functions share; `--publish DIR` makes a new version of a layer."""

from __future__ import annotations

import argparse
import base64
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.bundles.archive import pack
from pyfc.cli.shared import add_endpoint, add_outside, allows_outside, client_of, show
from pyfc.dev.output import say, tell
from pyfc.errors import InvalidArgument
from pyfc.settings import load as load_settings

_COLUMNS = ("layerName", "version", "codeSize", "compatibleRuntime", "arnV2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("layer", metavar="LAYER", nargs="?")
    parser.add_argument("--publish", metavar="DIR", type=Path, help="make a version of a folder's contents")
    parser.add_argument("--delete", metavar="VERSION", help="remove a version")
    add_outside(parser)
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
        code = {"zipFile": base64.b64encode(_packed(options)).decode()}
        show([client.api("POST", path, {"code": code})], _COLUMNS, as_json=options.json)
    elif options.delete:
        client.api("DELETE", f"{path}/{options.delete}")
        say(f"version {options.delete} of {options.layer} is gone")
    else:
        found = client.api("GET", f"{path}?limit=100")["layers"] if options.layer else client.layers().list()
        show(found, _COLUMNS, as_json=options.json)
    return 0


def _packed(options: argparse.Namespace) -> bytes:
    """The folder as a zip file. Raises InvalidArgument."""
    folder: Path = options.publish
    boundary = Boundary.of(folder, allows_outside=allows_outside(options))
    try:
        with pack(folder, boundary=boundary, maximum_size=load_settings().maximum_code_size) as archive:
            data = archive.read()
    except OSError as error:
        raise InvalidArgument(message=f"{error.filename or folder} can not be read: {error.strerror}") from error
    for text in boundary.left_out:
        tell(f"warning: {text}")
    return data
