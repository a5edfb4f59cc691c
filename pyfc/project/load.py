"""Reads a folder as a project: which format it is in, and the overrides beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.errors import ProjectError
from pyfc.project import bare, funcraft, overrides, serverless_devs, variables
from pyfc.project.files import is_folder, is_there
from pyfc.project.interface import Project
from pyfc.sandbox.inside import script

_FORMATS: tuple[tuple[tuple[str, ...], Callable[[Path, Boundary], Project]], ...] = (
    (funcraft.NAMES, funcraft.read),
    (serverless_devs.NAMES, serverless_devs.read),
)


BOOTSTRAP = "bootstrap"
"""What a custom runtime starts that declares no command."""


def templates(root: Path) -> list[tuple[Path, Callable[[Path, Boundary], Project]]]:
    """The template files that lie in a folder, the one that counts first, each with what reads it."""
    return [(root / name, read) for names, read in _FORMATS for name in names if is_there(root / name)]


def load(root: Path, *, reads_variables: bool = False, allows_outside: bool = False) -> Project:
    """The project in `root`; only the folder itself is searched. With `reads_variables` the file `.env` adds variables
    to the environment of every function; with `allows_outside` files may lie anywhere. Raises ProjectError.
    """
    if not is_folder(root):
        raise ProjectError(where=str(root), message="is not a folder; give the folder that holds your functions")
    boundary = Boundary.of(root, allows_outside=allows_outside)
    candidates = templates(root)
    if not candidates:
        project = bare.read(root, boundary)
    else:
        path, read = candidates[0]
        project = read(path, boundary)
        project.files.append(path)
        ignored = ", ".join(other.name for other, _ in candidates[1:])
        if ignored:
            project.warnings.append(f"{path.name} is served; {ignored} beside it is ignored")
    if is_there(root / overrides.NAME):
        overrides.apply(root / overrides.NAME, project)
        project.files.append(root / overrides.NAME)
    if reads_variables and is_there(root / variables.NAME) and not is_folder(root / variables.NAME):
        variables.apply(root / variables.NAME, project)
        project.files.append(root / variables.NAME)
    project.warnings.extend(_unstartable(project))
    return project


def _unstartable(project: Project) -> list[str]:
    """A warning for each program of a custom runtime whose first bytes tell that no machine will start it."""
    found = []
    for declaration in project.functions:
        function, code = declaration.function, declaration.code
        if code is None or not function.runtime.startswith("custom") or not is_folder(code):
            continue
        command = function.program.command[:1] or (BOOTSTRAP,)
        name = command[0].removeprefix("./")
        path = code / name
        if name.startswith("/") or (command != (BOOTSTRAP,) and "/" not in command[0]) or path.is_symlink():
            continue
        try:
            flaw = script.flaw(name, script.beginning(str(path)))
        except (OSError, ValueError):
            continue  # it may be made by a build, and the call will tell
        if flaw:
            found.append(f"{function.service}/{function.name} can not be started: {flaw}")
    return found
