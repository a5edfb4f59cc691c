"""`.env` beside a template: environment variables for all functions, for development. They win over the template's."""

from __future__ import annotations

import dataclasses
import io
import os
from pathlib import Path

from dotenv import dotenv_values
from dotenv.variables import parse_variables

from pyfc.errors import ProjectError
from pyfc.project.files import read_bytes
from pyfc.project.interface import Project

NAME = ".env"
_MOST, _LONGEST = 64 * 1024, 4096
"""Bytes of the file, characters of a value: values that hold each other must not multiply."""


def apply(path: Path, project: Project) -> None:
    """Give the variables of the file at `path` to every function. Raises ProjectError."""
    try:
        text = read_bytes(path, project.boundary, most=_MOST).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProjectError(where=str(path), message=f"can not be read: {error}") from error
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    own = {name: text for name, text in _resolved(values, path).items() if not name.startswith("FC_")}
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
