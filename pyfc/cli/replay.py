"""`pyfc replay REQUEST_ID`: run an asynchronous call again, here and in the foreground, with the code that ran it last,
the settings of its function and its event. The server is only asked for them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from pyfc.boundary import Boundary
from pyfc.cli.local import run_project
from pyfc.cli.shared import add_endpoint, client_of
from pyfc.dev.output import tell
from pyfc.documents.objects import function_of
from pyfc.model.asynchronous import Ran, request_of
from pyfc.model.function import Service
from pyfc.model.invocation import Invocation, Kind
from pyfc.model.names import LATEST, Target
from pyfc.project.interface import Declaration, Project
from pyfc.settings import load as load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("id", metavar="REQUEST_ID", help="or the id that its caller has chosen")
    parser.add_argument("--debug", type=int, nargs="?", const=5678, metavar="PORT", help="wait for a debugger there")
    add_endpoint(parser)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    record = client.event(options.id)
    service, name = record["serviceName"], record["functionName"]
    ran = Ran.read(record["version"]) if record["version"] else None
    if ran is None:
        tell(f"it never ran: replayed with the code that {service}/{name} has now")
    version = ran.version if ran is not None else LATEST
    document = client.functions_of(service if version == LATEST else f"{service}.{version}").get(name)
    function = function_of(service, document)
    has_layers = bool(ran.layers if ran is not None else function.layers)
    with tempfile.TemporaryDirectory(prefix="pyfc-replay-") as scratch:
        code, layers = Path(scratch) / "code.zip", Path(scratch) / "layers.zip"
        code.write_bytes(client.download(f"/pyfc/events/{options.id}/code"))
        if has_layers:
            layers.write_bytes(client.download(f"/pyfc/events/{options.id}/layers"))
        declaration = Declaration(
            function=dataclasses.replace(function, layers=()),
            code=code,
            where=f"{service}/{name}",
            layers=layers if has_layers else None,
        )
        root = Path(scratch)
        project = Project(root=root, boundary=Boundary(root), services=[Service(name=service)], functions=[declaration])
        chosen = {"debug": f"{service}/{name}", "debug_port": options.debug} if options.debug else {}
        if options.debug:
            tell(f"waiting for a debugger at 127.0.0.1:{options.debug}")
        settings = load_settings(os.environ, data_dir=str(Path(scratch) / "data"), **chosen)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run_project(project, _call(record, Target(service, name)), settings))


def _call(record: dict[str, Any], target: Target) -> Invocation:
    """The call of a record, once more."""
    text = record["invocationPayload"]
    body = base64.b64decode(text) if record["isBase64Encoded"] else text.encode()
    http = request_of(record["http"])
    kind = Kind.HTTP if http is not None else Kind.EVENT
    return Invocation(record["requestId"], target, kind, body, http)
