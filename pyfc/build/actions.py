"""What a template of Serverless Devs wants to run before it deploys: command lines, run as installers' code is, with
consent and in the cage.

They work on a copy of the project. Files that are new or different afterwards are put into the project; what they
remove, links, and whatever has a name with a dot at its beginning (which other tools obey) stays as it was.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pyfc import nofollow
from pyfc.build import workshop
from pyfc.build.consent import Answer, Script
from pyfc.build.job import Cage, Hear
from pyfc.build.manifest import SKIPPED, Manifest
from pyfc.build.steps import Consent, Output
from pyfc.build.workshop import Workshop
from pyfc.errors import InvalidArgument, ProjectError

_TOOLS = ("go", "mvn", "java", "node", "npm", "python3", "pip3", "cargo", "make", "git")
_SHELL = "/bin/sh"
_NO_NETWORK = "actions have no network here; `pyfc build --yes --network` lets them use it"


class Action(NamedTuple):
    """A command line of a template."""

    where: str
    """`file:line`"""
    line: str
    folder: Path
    """Where it runs: in the project."""


async def run(
    actions: Sequence[Action], template: Path, root: Path, cage: Cage, consent: Consent, hear: Hear
) -> list[Path]:
    """Run the actions of a template, which lies in the folder of the project, and return the files of it that are new
    or different. `root`: where the builder keeps its results. Raises ProjectError, ScriptRefused, InvalidArgument.
    """
    project = template.parent.resolve()
    lines = tuple(f"{os.path.relpath(each.folder, project)}: {each.line}" for each in actions)
    manifest = Manifest(tool="actions", folder=project, source=template.name, packages=lines)
    scripts = [Script("pre-deploy", line) for line in lines]
    with workshop.opened(root, cage) as shop:
        answer = await consent.to(manifest, scripts, shop)
        place = shop.furnish(manifest)
        nofollow.copy(project, place, SKIPPED, shop.tree.stat().st_uid)
        for action in actions:
            await _run(action, place / os.path.relpath(action.folder, project), shop, hear, answer)
        nofollow.adopt(place)
        return [_taken(place, project, path) for path in _changed(place, project)]


async def _run(action: Action, folder: Path, shop: Workshop, hear: Hear, answer: Answer) -> None:
    output = Output(hear)
    programs = [_SHELL, *(found for name in _TOOLS if (found := shutil.which(name)) is not None)]
    network = answer is Answer.NETWORK
    status = await shop.script(
        [_SHELL, "-c", action.line], folder, output.hear, variables={}, programs=programs, network=network
    )
    if status:
        lines = [*output.lines[-6:], *([] if network else [_NO_NETWORK])]
        shown = "\n".join(f"  {line}" for line in lines)
        raise ProjectError(where=action.where, message=f"the action failed with status {status}:\n{shown}")


def _changed(place: Path, project: Path) -> Iterator[str]:
    """Files below `place` that are not the same in the project."""
    for entry in nofollow.walk(place, SKIPPED):
        is_hidden = any(part.startswith(".") for part in entry.path.split("/"))
        if is_hidden or not stat.S_ISREG(entry.status.st_mode):
            continue
        own = project / entry.path
        if not own.is_file() or own.is_symlink() or not filecmp.cmp(place / entry.path, own, shallow=False):
            yield entry.path


def _taken(place: Path, project: Path, path: str) -> Path:
    """Put a file into the project. Raises InvalidArgument where a link of the project is in the way."""
    target = project / path
    for folder in [*reversed(target.relative_to(project).parents)][1:]:
        if (project / folder).is_symlink() or ((project / folder).exists() and not (project / folder).is_dir()):
            raise InvalidArgument(message=f"{project / folder} is no folder: {path} can not be put there")
        (project / folder).mkdir(exist_ok=True)
    new = target.with_name(f".{target.name}.pyfc")
    new.unlink(missing_ok=True)
    nofollow.copy_file(place / path, new)
    new.replace(target)
    return target
