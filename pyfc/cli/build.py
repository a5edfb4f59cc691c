"""`pyfc build DIR`: install what the functions of a folder need."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from pyfc.build.builder import Builder, Built, cache_folder
from pyfc.build.consent import Always, Answer, Consents, consents_file
from pyfc.build.lean import parts
from pyfc.cli.shared import add_project, settings_of
from pyfc.dev.output import end_progress, progress, say, tell
from pyfc.dev.question import asking
from pyfc.dev.table import table
from pyfc.errors import InvalidArgument, OutsideProject, ProjectError
from pyfc.host.runtimes import Runtimes
from pyfc.project.interface import Declaration, Project
from pyfc.project.load import load
from pyfc.sandbox.cage import Cage
from pyfc.supervisor.builds import wanted_by

_KILOBYTE, _MEGABYTE = 1024, 1024 * 1024
_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("dir", metavar="DIR", type=Path, nargs="?", default=Path(), help="the folder (default: here)")
    parser.add_argument(
        "--lean", action="store_true", help="leave out tests, documentation and types; show what that gains"
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="let packages run code while they are installed: setup.py, npm's install scripts. It runs apart from this "
        "machine's files, without a network. What you allow is remembered until a manifest, a "
        "lock file, a package or its command changes",
    )
    parser.add_argument("--network", action="store_true", help="with --yes: that code may use the network")
    add_project(parser)
    parser.add_argument("--explain", action="store_true", help="show the largest packages")


def run(options: argparse.Namespace) -> int:
    """See module."""
    if options.network and not options.yes:
        raise InvalidArgument(message="--network says more of --yes: give both")
    project = _load(options, checks=False)
    builder = Builder(cache_folder(), Cage(), Consents(consents_file()), progress())
    builder.ask_by(Always(Answer.NETWORK if options.network else Answer.YES) if options.yes else asking())
    if project.actions:
        asyncio.run(_run_actions(project, builder))
    project = _load(options, checks=True)  # what actions have made is there now
    return asyncio.run(_build(project, builder, lean=options.lean, explains=options.explain))


def _load(options: argparse.Namespace, *, checks: bool) -> Project:
    settings = settings_of(options)
    return load(options.dir, allows_outside=settings.allow_outside, tolerates=True, checks=checks, settings=settings)


async def _run_actions(project: Project, builder: Builder) -> None:
    assert project.source is not None
    made = await builder.act(project.actions, project.source)
    end_progress()
    say(f"{project.source.name}: {len(project.actions)} actions have run; files that are new or different: {len(made)}")


async def _build(project: Project, builder: Builder, *, lean: bool, explains: bool) -> int:
    """The exit status: 1 if something was left out."""
    left_out: list[str] = []
    runtimes = Runtimes()
    wanted = wanted_by(project, runtimes)
    for folder, declaration in _first(project, runtimes).items():
        function = declaration.function
        try:
            made = await builder.build(wanted[folder], lean=lean)
        except OutsideProject as error:
            raise ProjectError(where=declaration.where, message=str(error)) from error
        left_out += _tell_made(f"{function.service}/{function.name}", made, explains=explains)
    if builder.weakness:
        say(f"warning: {builder.weakness}")
    for text in (*left_out, *(str(each.error) for each in project.mistakes), *project.boundary.left_out):
        tell(f"warning: {text}")
    return 1 if left_out else 0


def _first(project: Project, runtimes: Runtimes) -> dict[Path, Declaration]:
    """For each folder of code the first of its functions that has a runtime here."""
    found: dict[Path, Declaration] = {}
    for each in project.functions:
        if each.code is not None and runtimes.get(each.function.runtime) is not None:
            found.setdefault(each.code, each)
    return found


def _tell_made(name: str, made: Sequence[Built], *, explains: bool) -> list[str]:
    """What is to be told at the end: what was left out."""
    for built in made:
        end_progress()
        say(f"{name}  {_told(built)}")
        if explains:
            _explain(built)
    if not made:
        say(f"{name}  needs nothing")
    return [f"{package} is left out: {why}" for each in made for package, why in each.left_out.items()]


def _told(built: Built) -> str:
    """One line about a result."""
    count = len(parts(built.folder))
    size = _size(built.size)
    how = f"built in {built.seconds:.1f} s" if built.is_new else "as it was built before"
    text = f"{built.manifest.source}: {count} package{'' if count == 1 else 's'}, {size}, {how}"
    if built.size_before:
        text += f"; lean: {_size(built.size_before)} -> {size}"
        before, after = built.import_seconds
        if before is not None and after is not None:
            text += f", import {before * 1000:.0f} -> {after * 1000:.0f} ms"
        elif before is not None:
            text += "; WARNING: it can not be imported any more, build it without --lean"
    return text


def _size(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB" if size >= _MEGABYTE else f"{size / _KILOBYTE:.0f} KB"


def _explain(built: Built) -> None:
    found = parts(built.folder)
    rows = [(part.name, _size(part.size)) for part in found[:_SHOWN]]
    say(table(("PACKAGE", "SIZE"), rows, right=(1,)))
    if len(found) > _SHOWN:
        say(f"and {len(found) - _SHOWN} smaller ones")
