"""`pyfc doctor`: what this host offers to lock functions in, found out by doing it."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import textwrap
from pathlib import Path

from pyfc.app import data_folder_of
from pyfc.dev.table import table
from pyfc.host.runtimes import Runtimes
from pyfc.project.interface import Project
from pyfc.registry import stored
from pyfc.sandbox.protections import MISSING, ON, WEAKER, Layer, layers
from pyfc.sandbox.sandbox import LIMITS, Sandbox
from pyfc.settings import Settings
from pyfc.workers.launch import LaunchSpec
from pyfc.workers.launchers.fork import ForkLauncher

_WIDTH = 100


async def examine(choice: str) -> list[Layer]:
    """The layers of a sandbox that is entered and left for this alone. Raises HostRefused."""
    with tempfile.TemporaryDirectory(prefix="pyfc-doctor-") as scratch:
        folder = Path(scratch)
        runtimes = Runtimes()
        sandbox = Sandbox(choice, folder, [], runtimes)
        sandbox.open()
        launcher = ForkLauncher(0, sandbox)
        try:
            await launcher.prepare(LaunchSpec(runtime=runtimes.base, interpreter=sys.executable, limits=LIMITS))
            return layers(sandbox)
        finally:
            await launcher.close()
            sandbox.close()


def host() -> str:
    """One line about this machine."""
    user = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    return (
        f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}, as {user}"
    )


def report(found: list[Layer]) -> str:
    """The layers, then how to get what is missing."""
    text = "\n".join(
        f"{each.state:<9}{each.name:<14}{each.protects} ({each.cost})\n"
        + textwrap.fill(each.detail, _WIDTH, initial_indent=" " * 23, subsequent_indent=" " * 23)
        for each in found
    )
    remedies: dict[str, list[str]] = {}
    for each in found:
        if each.state in {WEAKER, MISSING} and each.remedy:
            remedies.setdefault(each.remedy, []).append(each.name)
    if remedies:
        text += "\n\nTo have more:"
    for remedy, names in remedies.items():
        text += "\n" + textwrap.fill(
            f"{', '.join(names)}: {remedy}", _WIDTH, initial_indent="  ", subsequent_indent="    "
        )
    return text


def of_stored_files(what: str | None, settings: Settings) -> list[str]:
    """What is wrong in the data folder of a folder that is served, or of the setting; a server may use it meanwhile."""
    if what is None and not settings.data_dir:
        return []
    return stored.examine(data_folder_of(Path(what or "."), settings))


def of_project(project: Project, found: list[Layer]) -> str:
    """What is special about the functions of a folder."""
    services = {service.name: service for service in project.services}
    can_cut = any(layer.name == "no network" and layer.state == ON for layer in found)
    rows = []
    for declaration in project.functions:
        function = declaration.function
        cut = not (function.internet_access and services[function.service].internet_access)
        network = "as a program of yours"
        if cut:
            network = "cut off" if can_cut else f"{network}: it can not be cut off here"
        limits = function.limits
        rows.append((
            f"{function.service}/{function.name}", function.runtime, f"{limits.memory_size} MB",
            f"{limits.disk_size} MB", f"{limits.timeout} s", network,
        ))  # fmt: skip
    if not rows:
        return f"{project.root} has no functions."
    return table(("FUNCTION", "RUNTIME", "MEMORY", "TMP", "TIMEOUT", "NETWORK"), rows, right=(2, 3, 4))
