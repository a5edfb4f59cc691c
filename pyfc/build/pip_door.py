"""Stands in for a process that builds a package: `python -I pip_door.py DOOR COMMAND...` asks pyfc to run the command
elsewhere (door.py), with this process's output as its own, and ends as it ended. Standard library only, Python 3.7.
"""

from __future__ import annotations

import array
import json
import os
import socket
import sys

_PASSED = ("PYTHONPATH", "PYTHONNOUSERSITE", "PATH", "PYTHONDONTWRITEBYTECODE")
_PREFIXES = ("_PYPROJECT_HOOKS_", "PEP517_")


def main() -> None:
    """See module."""
    door = socket.socket(fileno=int(sys.argv[1]))
    mine, theirs = socket.socketpair()
    environment = {name: value for name, value in os.environ.items() if name in _PASSED or name.startswith(_PREFIXES)}
    request = json.dumps({"command": sys.argv[2:], "folder": os.getcwd(), "environment": environment}).encode()
    descriptors = array.array("i", [1, theirs.fileno()])
    door.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    theirs.close()
    answer = mine.recv(16)
    sys.exit(int(answer or b"1"))


if __name__ == "__main__":
    main()
