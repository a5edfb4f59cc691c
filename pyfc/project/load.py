"""Reads a folder as a project: which format it is in, and the overrides beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.build import fun_yml, funfile
from pyfc.cloud import trigger_sources
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.project import bare, funcraft, ignoring, overrides, serverless_devs, variables
from pyfc.project.files import is_folder, is_there, read_bytes, require_folder
from pyfc.project.interface import Given, Project
from pyfc.sandbox.inside import script
from pyfc.settings import Settings
from pyfc.settings import load as load_settings
from pyfc.triggers import log, oss
from pyfc.triggers.interface import Key

Read = Callable[[Path, Boundary, Given], Project]
_FORMATS: tuple[tuple[tuple[str, ...], Read], ...] = (
    (funcraft.NAMES, funcraft.read),
    (serverless_devs.NAMES, serverless_devs.read),
)


BOOTSTRAP = "bootstrap"
"""What a custom runtime starts that declares no command."""


def templates(root: Path) -> list[tuple[Path, Read]]:
    """The template files that lie in a folder, the one that counts first, each with what reads it."""
    return [(root / name, read) for names, read in _FORMATS for name in names if is_there(root / name)]


def load(
    root: Path,
    *,
    reads_variables: bool = False,
    allows_outside: bool = False,
    tolerates: bool = False,
    checks: bool = True,
    strict: bool = False,
    settings: Settings | None = None,
) -> Project:
    """The project in `root`; only the folder itself is searched. With `reads_variables` the file `.env` adds variables
    to the environment of every function; its variables are those that templates may ask for anyway. With
    `allows_outside` files may lie anywhere. Raises ProjectError, with all mistakes that there are; with `tolerates`
    functions with a mistake are left out, unless there are no others; without `checks` also then. When `strict`,
    warnings are mistakes.
    """
    require_folder(root)
    boundary = Boundary.of(root, allows_outside=allows_outside)
    settings = settings or load_settings()
    own = variables.read(root / variables.NAME, boundary) if variables.is_in(root) else {}
    given = Given(settings.account_id, settings.region, settings.env, {**own, **os.environ})
    project = _in_its_format(root, boundary, given)
    if is_there(root / overrides.NAME):
        overrides.apply(root / overrides.NAME, project)
        project.files.append(root / overrides.NAME)
    if variables.is_in(root):
        project.files.append(root / variables.NAME)
        if reads_variables:
            variables.apply(own, project)
    project.files.extend(_ignoring(root, project))
    project.warnings.extend(_unstartable(project))
    project.warnings.extend(_silent(project))
    project.warnings.extend(_exclusive(project))
    project.is_strict = strict or not tolerates
    if strict:
        project.refuse_warnings()
    if checks:
        project.check()
    return project


def _ignoring(root: Path, project: Project) -> Iterator[Path]:
    """Have what is no code left out, and tell the files that say so; and what of a Funfile or fun.yml is not done."""
    for folder in dict.fromkeys([root, *(each.code for each in project.functions if each.code is not None)]):
        if is_folder(folder):
            yield from ignoring.apply(folder, project.boundary)
            project.warnings.extend(_undone(folder, project.boundary))


def _in_its_format(root: Path, boundary: Boundary, given: Given) -> Project:
    candidates = templates(root)
    if not candidates:
        return bare.read(root, boundary)
    path, read = _chosen(candidates, boundary)
    project = read(path, boundary, given)
    project.files.insert(0, path)
    ignored = ", ".join(other.name for other, _ in candidates if other not in project.files)
    if ignored:
        project.warnings.append(f"{path.name} is served; {ignored} beside it is ignored")
    return project


def _chosen(candidates: list[tuple[Path, Read]], boundary: Boundary) -> tuple[Path, Read]:
    """The template that counts: the first that is no other tool's file of such a name."""
    if len(candidates) == 1:
        return candidates[0]
    own = [each for each in candidates if each[1] is not funcraft.read or not funcraft.is_foreign(each[0], boundary)]
    return (own or candidates)[0]


def _undone(folder: Path, boundary: Boundary) -> Iterator[str]:
    """What of a Funfile and a fun.yml in a folder is not done. What is wrong with one is told when it is built."""
    for file in (funfile, fun_yml):
        path = folder / file.NAME
        if is_there(path):
            try:
                found = file.tasks(read_bytes(path, boundary).decode("utf-8", "replace"), str(path))
            except ProjectError as error:
                yield str(error)
            else:
                yield from fun_yml.notes(found)


def _silent(project: Project) -> Iterator[str]:
    """A warning for each trigger that does not fire: it can have no such bucket or logstore, another one of its bucket
    overlaps it, it names no topic, or what it says of its source can be none.
    """
    of_buckets = oss.Beside()
    for trigger in sorted(project.event_triggers, key=Key.of):
        try:
            trigger_sources.check(trigger)
            if trigger.type == "oss":
                of_buckets.add(trigger)
            elif trigger.type == "log":
                log.complete(trigger)
        except InvalidArgument as error:
            where = project.places[(trigger.service, trigger.function, trigger.name)]
            yield f"{where}: trigger {trigger.service}/{trigger.function}:{trigger.name} does not fire: {error}"


def _exclusive(project: Project) -> Iterator[str]:
    """A warning for each trigger that FC 2 refuses beside an HTTP trigger of the same function; here both work."""
    web = {(each.service, each.function) for each in project.triggers if each.config.get("convention") == "handler"}
    for trigger in sorted(project.event_triggers, key=Key.of):
        if (trigger.service, trigger.function) in web:
            where = project.places[(trigger.service, trigger.function, trigger.name)]
            yield (
                f"{where}: trigger {trigger.service}/{trigger.function}:{trigger.name} works here, but FC 2 has no "
                f"triggers of type {trigger.type} beside an HTTP trigger"
            )


def _unstartable(project: Project) -> list[str]:
    """A warning for each program of a custom runtime whose first bytes tell that no machine will start it."""
    found = []
    for declaration in project.functions:
        function, code = declaration.function, declaration.code
        if code is None or not function.runtime.startswith("custom") or not is_folder(code):
            continue
        [command] = function.program.command[:1] or [BOOTSTRAP]
        if flaw := _flaw(code, command):
            found.append(f"{function.service}/{function.name} can not be started: {flaw}")
    return found


def _flaw(code: Path, command: str) -> str:
    """Why a program in this folder will not start; '' if it lies elsewhere, or nothing is known."""
    name = command.removeprefix("./")
    if name.startswith("/") or (command != BOOTSTRAP and "/" not in command) or (code / name).is_symlink():
        return ""
    try:
        return script.flaw(name, script.beginning(str(code / name)))
    except (OSError, ValueError):
        return ""  # it may be made by a build, and the call will tell
