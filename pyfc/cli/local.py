"""`pyfc local invoke|start`: Funcraft's commands and flags, without Docker.

`invoke` serves the folder of the template for one call and prints its log and its result; `start` is `pyfc serve`, with
the routes of one custom domain at the root if it is named.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from pyfc.app import App, data_folder_of
from pyfc.cli import serve
from pyfc.cli.shared import add_project, event_of, settings_of
from pyfc.dev.output import answer, tell
from pyfc.errors import FunctionNotFound, InvalidArgument
from pyfc.model.invocation import Invocation, Kind, Result, invoke
from pyfc.model.names import Target, request_id
from pyfc.model.resources import Route
from pyfc.observe.markers import transcript
from pyfc.project.files import is_file
from pyfc.project.interface import NO_FOLDERS, Folders, Project
from pyfc.project.load import load as load_project
from pyfc.project.overrides import read_folders
from pyfc.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    commands = parser.add_subparsers(dest="local", metavar="invoke|start", required=True)
    one = commands.add_parser(
        "invoke", help="call one function", description="Call one function, as `fun local invoke`."
    )
    one.add_argument("function", metavar="[SERVICE/]FUNCTION")
    event = one.add_mutually_exclusive_group()
    event.add_argument("-e", "--event", help="the event: text, a file, or - for standard input")
    event.add_argument("-f", "--event-file", type=Path, metavar="FILE", help="the event from a file")
    event.add_argument("-s", "--event-stdin", action="store_true", help="the event from standard input")
    start = commands.add_parser("start", help="serve all functions", description="Serve, as `fun local start`.")
    start.add_argument(
        "function", metavar="FUNCTION|DOMAIN[/PATH]", nargs="?",
        help="the function to debug with -d; or the custom domain, or one route of it, to serve at /",
    )  # fmt: skip
    start.add_argument("--port", type=int, default=8000, help="port to listen on (default 8000)")
    for each in (one, start):
        each.add_argument(
            "-t", "--template", type=Path, metavar="FILE", help="the template (default: that of this folder)"
        )
        each.add_argument("-d", "--debug-port", type=int, metavar="PORT", help="wait for a debugger at this port")
        add_project(each)
        each.add_argument("-c", "--config", choices=("vscode", "pycharm"), help="the editor: print what it needs")


def run(options: argparse.Namespace) -> int:
    """See module."""
    root = options.template.parent if options.template is not None else Path()
    settings = settings_of(options)
    project = load_project(root, allows_outside=settings.allow_outside, tolerates=True, settings=settings)
    if options.template is not None and project.source not in {None, options.template}:
        raise InvalidArgument(message=f"{options.template} is not the template that pyfc reads there: {project.source}")
    if options.local == "start":
        return _start(root, project, options)
    target = _target(options.function, project)
    settings = settings_of(options, **_debugging(options, f"{target.service}/{target.function}"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        chosen = dataclasses.replace(settings, data_dir=str(data_folder_of(root, settings)))
        call = Invocation(request_id(), target, Kind.EVENT, _event(options, settings.maximum_body))
        folders = read_folders(root, allows_outside=settings.allow_outside, tolerates=True)
        return runner.run(run_project(project, call, chosen, folders))


def _start(root: Path, project: Project, options: argparse.Namespace) -> int:
    name = options.function or ""
    domain, routes = _routes(name, project)
    if options.debug_port is not None and len(routes) > 1:
        paths = ", ".join(f"{name}{route.path}" for route in routes)
        raise InvalidArgument(message=f"'{name}' has several routes, name the one to debug: {paths}")
    if routes:
        chosen = {"site": domain, **_debugging(options, f"{routes[0].service}/{routes[0].function}")}
    elif name:
        target = _target(name, project)
        chosen = _debugging(options, f"{target.service}/{target.function}")
    else:
        chosen = _debugging(options, "")
    return serve.run(
        argparse.Namespace(dir=root), port=options.port, allow_outside=options.allow_outside, env=options.env, **chosen
    )


def _routes(text: str, project: Project) -> tuple[str, Sequence[Route]]:
    """The site that DOMAIN or DOMAIN/PATH names, with its routes; none if it names no domain. A domain whose name is
    made up is called by its key in the template, as Funcraft does. Raises InvalidArgument.
    """
    name, slash, path = text.partition("/")
    domain = next((each for each in project.domains if each.name in {name.lower(), f"{name.lower()}.localhost"}), None)
    if domain is None:
        return "", ()
    routes = domain.only(slash + path).routes
    if not routes:
        known = ", ".join(route.path for route in domain.routes) or "none"
        raise InvalidArgument(message=f"domain '{name}' has no route '{slash + path}'; its routes: {known}")
    return f"{domain.name}{slash}{path}", routes


def _target(text: str, project: Project) -> Target:
    """The function that is meant; a service need not be named if only one has such a function."""
    service, _, function = text.rpartition("/")
    found = [each.function.target for each in project.functions if each.function.name == function]
    if service:
        found = [target for target in found if target.service == service]
    if len(found) > 1:
        services = ", ".join(f"{target.service}/{function}" for target in found)
        raise InvalidArgument(message=f"several services have a function '{function}': {services}")
    if not found:
        raise FunctionNotFound(service=service or "any", function=function)
    return found[0]


def _event(options: argparse.Namespace, most: int) -> bytes:
    if options.event_file is not None:
        return event_of(options.event_file, most)
    if options.event_stdin or options.event == "-":
        return event_of(None, most)
    if options.event is None:
        return b""
    path = Path(options.event)
    return event_of(path, most) if is_file(path) else os.fsencode(options.event)


def _debugging(options: argparse.Namespace, function: str) -> dict[str, Any]:
    """The settings of -d and -c."""
    if options.debug_port is None:
        return {}
    if not function:
        raise InvalidArgument(message="name the function to debug: pyfc local start FUNCTION -d PORT")
    if options.config == "vscode":
        tell(json.dumps(launch_configuration(options.debug_port), indent=2))
    chosen = {"debug": function, "debug_port": options.debug_port}
    if options.config == "pycharm":
        tell(_PYCHARM.format(port=options.debug_port))
        return {**chosen, "debugger": "pycharm"}
    tell(f"{function} waits for a debugger at 127.0.0.1:{options.debug_port}")
    return chosen


_PYCHARM = """\
In PyCharm: Run > Edit Configurations > Python Debug Server
  IDE host name  localhost
  Port           {port}
  Path mappings  the folder of the code = /code
Start it first: the function connects to it when it is called."""


def launch_configuration(port: int) -> dict[str, Any]:
    """What VS Code's launch.json needs to attach."""
    return {
        "name": "pyfc",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": port},
        "pathMappings": [{"localRoot": "${workspaceFolder}", "remoteRoot": "/code"}],
    }


async def run_project(project: Project, call: Invocation, settings: Settings, folders: Folders = NO_FOLDERS) -> int:
    """Make one call of a function of a project, in the data folder that the settings name, and show what it says.
    `folders`: see App.
    """
    async with App(settings, Path(settings.data_dir), folders) as app:
        await app.deployment.deploy(project)
        for text in project.boundary.left_out:
            tell(f"warning: {text}")
        entry = app.supervisor.table.entries[call.target]
        result = await invoke(entry.route, call)
        _show(result, transcript(call.request_id, entry.function, result))
    return 0 if result.fault is None else 1


def _show(result: Result, log: bytes) -> None:
    tell(log.decode("utf-8", "replace"))
    answer(bytes(result.body) + b"\n", raw=False)
