"""`.env` beside a template: environment variables for all functions, for development. They win over the template's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dotenv import dotenv_values

from pyfc.errors import ProjectError
from pyfc.project.interface import Project

NAME = ".env"


def apply(path: Path, project: Project) -> None:
    """Give the variables of the file at `path` to every function. Raises ProjectError."""
    try:
        values = dotenv_values(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(where=str(path), message=f"can not be read: {error}") from error
    own = {name: text for name, text in values.items() if text is not None and not name.startswith("FC_")}
    for number, declaration in enumerate(project.functions):
        variables = {**declaration.function.environment_variables, **own}
        function = dataclasses.replace(declaration.function, environment_variables=variables)
        project.functions[number] = dataclasses.replace(declaration, function=function)
