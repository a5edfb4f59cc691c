"""`pyfc remove SERVICE[/FUNCTION]` or `pyfc remove --dir DIR`: remove with everything that belongs to it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pyfc.cli.shared import add_endpoint, add_project, client_of, settings_of
from pyfc.client import Client
from pyfc.dev.output import say
from pyfc.errors import InvalidArgument
from pyfc.project.interface import Project
from pyfc.project.load import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("name", metavar="SERVICE[/FUNCTION]", nargs="?")
    parser.add_argument("--dir", metavar="DIR", type=Path, help="all functions that a folder declares")
    add_project(parser)
    add_endpoint(parser)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    if options.dir is not None:
        folder = Path(os.path.realpath(options.dir))
        settings = settings_of(options)
        project = load(folder, allows_outside=settings.allow_outside, tolerates=True, settings=settings)
        _remove_project(client, project)
        return 0
    if not options.name:
        raise InvalidArgument(message="name a service or function, or a folder by --dir")
    service, _, function = options.name.partition("/")
    if function:
        client.functions_of(service).get(function)
        _remove_function(client, service, function)
    else:
        client.services().get(service)
        for found in list(client.functions_of(service).list()):
            _remove_function(client, service, found["functionName"])
        _remove_service(client, service)
    return 0


def _remove_project(client: Client, project: Project) -> None:
    """Remove what a folder declares; of its services those that have nothing else."""
    for domain in project.domains:
        if client.domains().find(domain.name) is not None:
            client.domains().delete(domain.name)
    for each in project.functions:
        _remove_function(client, each.function.service, each.function.name)
    for service in project.services:
        if client.services().find(service.name) is not None and not list(client.functions_of(service.name).list()):
            _remove_service(client, service.name)


def _remove_function(client: Client, service: str, function: str) -> None:
    if client.functions_of(service).find(function) is None:
        return
    for trigger in list(client.triggers(service, function).list()):
        client.triggers(service, function).delete(trigger["triggerName"])
    client.functions_of(service).delete(function)
    say(f"removed function {service}/{function}")


def _remove_service(client: Client, service: str) -> None:
    for alias in list(client.aliases(service).list()):
        client.aliases(service).delete(alias["aliasName"])
    for version in list(client.versions(service).list()):
        client.versions(service).delete(version["versionId"])
    client.services().delete(service)
    say(f"removed service {service}")
