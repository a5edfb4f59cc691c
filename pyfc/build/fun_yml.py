"""`fun.yml`, from which older versions of Funcraft installed: its tasks, in the order of the file."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from pyfc.errors import ProjectError

NAME = "fun.yml"
INSTALLED = ("pip", "npm")
"""Tools whose tasks are installed; what others do is the machine's, or its user's."""
_OTHERS = ("apt", "shell")


class Task(NamedTuple):
    """One step."""

    tool: str
    """`pip`, `npm`, `apt` or `shell`."""
    words: tuple[str, ...]
    where: str
    """`file:line`"""


def tasks(text: str, path: str) -> list[Task]:
    """The tasks in a file's text. Raises ProjectError for what is no such file."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text) if _is_small(node) else None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ProjectError(where=f"{path}:1", message=f"is not YAML: {error}") from error
    steps = document.get("tasks") if isinstance(document, dict) else None
    if not isinstance(steps, list):
        raise ProjectError(where=f"{path}:1", message="has no list of tasks, like tasks: [{pip: Flask}]")
    lines = _lines(node)
    return [task for step, line in zip(steps, lines, strict=True) for task in _task(step, f"{path}:{line}")]


def _is_small(node: yaml.Node | None) -> bool:
    """Whether nothing in it stands for something else, so that it cannot multiply."""
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            return False
        seen.add(id(one))
        if isinstance(one, yaml.MappingNode):
            waiting += [part for pair in one.value for part in pair]
        elif isinstance(one, yaml.SequenceNode):
            waiting += one.value
    return True


def _lines(node: Any) -> list[int]:
    pairs = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    return [each.start_mark.line + 1 for each in pairs["tasks"].value]


def _task(step: Any, where: str) -> list[Task]:
    if not isinstance(step, dict):
        raise ProjectError(
            where=where, message="is no task; it must be like {pip: Flask}, {apt: NAME} or {shell: COMMAND}"
        )
    for tool in (*INSTALLED, *_OTHERS):
        if isinstance(step.get(tool), str):
            words = (step[tool],) if tool == "shell" else tuple(step[tool].split())
            return [Task(tool, words, where)]
    return []


def notes(found: list[Task]) -> list[str]:
    """What of it is not done, in words."""
    said = {"apt": "packages of the system are not the function's to install", "shell": "commands are not run"}
    return [
        f"{task.where}: {said[task.tool]} ({task.tool}: {' '.join(task.words)[:80]!r})"
        for task in found
        if task.tool in said
    ]
