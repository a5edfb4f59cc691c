"""Reads a folder as a project: which format it is in, and the overrides beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pyfc.errors import ProjectError
from pyfc.project import bare, funcraft, overrides, serverless_devs, variables
from pyfc.project.interface import Project

_FORMATS: tuple[tuple[tuple[str, ...], Callable[[Path], Project]], ...] = (
    (funcraft.NAMES, funcraft.read),
    (serverless_devs.NAMES, serverless_devs.read),
)


def load(root: Path, *, reads_variables: bool = False) -> Project:
    """The project in `root`; only the folder itself is searched. With `reads_variables` the file `.env` adds variables
    to the environment of every function. Raises ProjectError.
    """
    if not root.is_dir():
        raise ProjectError(where=str(root), message="is not a folder; give the folder that holds your functions")
    candidates = [(root / name, read) for names, read in _FORMATS for name in names if (root / name).is_file()]
    if not candidates:
        project = bare.read(root)
    else:
        path, read = candidates[0]
        project = read(path)
        ignored = ", ".join(other.name for other, _ in candidates[1:])
        if ignored:
            project.warnings.append(f"{path.name} is served; {ignored} beside it is ignored")
    if (root / overrides.NAME).is_file():
        overrides.apply(root / overrides.NAME, project)
    if reads_variables and (root / variables.NAME).is_file():
        variables.apply(root / variables.NAME, project)
    return project
