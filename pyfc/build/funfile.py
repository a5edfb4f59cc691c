"""`Funfile`, from which Funcraft installs: its RUN lines that name packages, in the order of the file."""

from __future__ import annotations

import re
import shlex

from pyfc.build.fun_yml import Task
from pyfc.errors import ProjectError

NAME = "Funfile"
_INSTALL = re.compile(
    r"^RUN\s+(?:fun-install\s+)?(?P<tool>pip|npm|apt)(?:3|-get)?\s+install\s+(?P<words>.*)$", re.IGNORECASE
)


def tasks(text: str, path: str) -> list[Task]:
    """The tasks in a file's text. Raises ProjectError for a line that is no command."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _INSTALL.match(line.strip())
        if match is not None:
            where = f"{path}:{number}"
            words = tuple(word for word in _words(match["words"], where) if not word.startswith("-"))
            found.append(Task(match["tool"].lower(), words, where))
    return found


def _words(text: str, where: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ProjectError(where=where, message=f"is no command: {error}") from error
