"""`pyfc.yml` beside a template: what the template formats can not say, and nothing else.

services:
  shop:
    pay:
      maximumInstanceCount: 1
      snapshot: initialized
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pyfc.errors import ProjectError
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.interface import Project

NAME = "pyfc.yml"
_KEYS = ("maximumInstanceCount", "snapshot")


def apply(path: Path, project: Project) -> None:
    """Lay the overrides at `path` over the project. Raises ProjectError with file and line."""
    document = read_document(path)
    project.warnings.extend(document.unknown(("services",)))
    services = document.get("services")
    for service, functions in services.items() if services is not None else []:
        for name, values in functions.items():
            _apply_one(service, name, values, project)


def _changes(values: Field) -> dict[str, Any]:
    """What is said of one function, by the names of Function's fields."""
    changes: dict[str, Any] = {}
    count, snapshot = values.get("maximumInstanceCount"), values.get("snapshot")
    if count is not None:
        changes["maximum_instance_count"] = count.integer(1, 10_000)
    if snapshot is not None:
        changes["snapshot"] = snapshot.choice(("initialized",))
    return changes


def _apply_one(service: str, name: str, values: Field, project: Project) -> None:
    project.warnings.extend(values.unknown(_KEYS))
    for number, declaration in enumerate(project.functions):
        function = declaration.function
        if (function.service, function.name) == (service, name):
            changes = _changes(values)
            project.functions[number] = dataclasses.replace(
                declaration, function=dataclasses.replace(function, **changes)
            )
            return
    known = ", ".join(f"{each.function.service}/{each.function.name}" for each in project.functions) or "none"
    raise ProjectError(where=values.where, message=f"there is no function {service}/{name}. Found: {known}")
