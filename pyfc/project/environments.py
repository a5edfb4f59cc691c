"""Environments of Serverless Devs: what the file `env.yaml`, or the one that a template's `env` names, declares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pyfc.errors import ProjectError
from pyfc.project.document import Field, from_values
from pyfc.project.files import is_there

NAME = "env.yaml"


def find(template: Field, chosen: str, read: Callable[[Path], Field]) -> Field | None:
    """The environment of the name `chosen`, or the first; None if there is none. One that is chosen has its name though
    no file declares it. Raises ProjectError for one that a file does not have.
    """
    named = template.get("env")
    path = template.file.parent / (named.text() if named is not None else NAME)
    if not is_there(path):
        return from_values({"name": chosen}, "environment") if chosen else None
    every = read(path).get("environments")
    found = {each.need("name").text(): each for each in (every.elements() if every is not None else [])}
    if chosen and chosen not in found:
        allowed = ", ".join(found) or "none"
        raise ProjectError(where=f"{path}:1", message=f"has no environment '{chosen}'; there is {allowed}")
    return found[chosen] if chosen else next(iter(found.values()), None)
