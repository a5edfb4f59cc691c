"""`.env` beside a template: variables that it may ask for; in development all functions get them, and they win."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.variables import parse_variables

from pyfc.boundary import Boundary
from pyfc.errors import ProjectError
from pyfc.project.files import is_folder, is_there, read_bytes
from pyfc.project.interface import Project

NAME = ".env"
_MOST, _LONGEST = 64 * 1024, 4096
"""Bytes of the file, characters of a value: values that hold each other must not multiply."""


def is_in(folder: Path) -> bool:
    """Whether a folder has such a file. A folder of this name is a virtual environment."""
    return is_there(folder / NAME) and not is_folder(folder / NAME)


def read(path: Path, boundary: Boundary) -> dict[str, str]:
    """The variables of the file at `path`. Raises ProjectError."""
    try:
        text = read_bytes(path, boundary, most=_MOST).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProjectError(where=str(path), message=f"can not be read: {error}") from error
    return _resolved(dotenv_values(stream=io.StringIO(text), interpolate=False), path)


def apply(values: Mapping[str, str], project: Project) -> None:
    """Give the variables to every function."""
    own = {name: text for name, text in values.items() if not name.startswith("FC_")}
    for number, declaration in enumerate(project.functions):
        variables = {**declaration.function.environment_variables, **own}
        function = dataclasses.replace(declaration.function, environment_variables=variables)
        project.functions[number] = dataclasses.replace(declaration, function=function)


def _resolved(values: dict[str, str | None], path: Path) -> dict[str, str]:
    """The values with what they hold of others, of the file above them and of the environment."""
    found: dict[str, str] = {}
    for name, text in values.items():
        if text is None:
            continue
        parts = parse_variables(text) if len(text) <= _LONGEST else ()
        known = {**os.environ, **found}
        whole = "".join(part.resolve(known) for part in parts)
        if len(text) > _LONGEST or len(whole) > _LONGEST:
            raise ProjectError(where=str(path), message=f"'{name[:100]}' has more than {_LONGEST} characters")
        found[name] = whole
    return found
