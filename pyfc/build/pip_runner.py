"""Runs pip so that it runs no code of packages by itself: `python -I pip_runner.py DOOR PIP_FOLDER ARGUMENTS...`.

pip builds a source distribution by starting an interpreter. Here such a start goes through the door instead, a socket
to pyfc (door.py), which runs it in another cage: without a network and without the registries' secrets that pip was
given. What pip starts for itself (git, another pip that installs what a build needs) runs here. It is run by the
function's interpreter: standard library only, Python 3.7.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from typing import Any

_OWN_PROGRAMS = {"git", "hg", "bzr", "svn", "keyring", "lsb_release", "rustc"}
_PIP_FILES = {"__pip-runner__.py", "__env_pip__.zip", "pip"}
_HERE = os.path.dirname(os.path.abspath(__file__))


def main() -> None:
    """See module."""
    door, folder = int(sys.argv[1]), sys.argv[2]
    setattr(subprocess, "Popen", _replaced(subprocess.Popen, door, folder))  # noqa: B010  a class that mypy knows
    sys.argv[:3] = ["pip"]
    if folder:
        runpy.run_path(os.path.join(folder, "__pip-runner__.py"), run_name="__main__")
    else:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)


def _replaced(original: Any, door: int, folder: str) -> Any:
    class Popen(original):  # type: ignore[misc]
        """Starts programs of pip's own; those of packages by the door."""

        def __init__(self, args: Any, *others: Any, **options: Any) -> None:
            words = [os.fsdecode(word) for word in ([args] if isinstance(args, (str, bytes)) else args)]
            program = os.path.basename(words[0])
            if words[0] == sys.executable:
                args = _instead(words, door, folder)
                options["pass_fds"] = (*options.get("pass_fds", ()), door)
            elif program not in _OWN_PROGRAMS and not program.startswith("ld-"):
                raise PermissionError(1, "pyfc lets pip run no such program", program)
            super().__init__(args, *others, **options)

    return Popen


def _instead(words: list[str], door: int, folder: str) -> list[str]:
    """What is started instead of an interpreter."""
    if os.path.basename(words[1]) in _PIP_FILES:
        return [sys.executable, "-I", os.path.join(_HERE, "pip_runner.py"), str(door), folder, *words[2:]]
    return [sys.executable, "-I", os.path.join(_HERE, "pip_door.py"), str(door), *words]


if __name__ == "__main__":
    main()
