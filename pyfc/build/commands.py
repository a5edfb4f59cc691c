"""Commands that installed packages bring along (`gunicorn`, npm's `.bin`), made to run wherever they are copied to.

pip writes the path of an interpreter into their first line, npm makes links to files that look for their package from
where they lie: neither outlives a copy.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

FOLDER = "bin"
"""Of pip's commands, beside the packages."""
_NPM = ("node_modules", ".bin")
_LARGEST = 64 * 1024
_INTERPRETER = re.compile(
    rb"#!(?:[^\n]*/(?:python|pypy)[^/\n]*|/bin/sh\n'{3}exec' [^\n]+ \"\$0\" \"\$@\"\n' '{3})(?=\r?\n)"
)
"""The first line; the first three where the path is a long one."""
_PORTABLE = b"#!/usr/bin/env python3"


def make_portable(result: Path) -> None:
    """Let the commands of a result of pip, which is the server's own and has no odd files, name no interpreter of this
    machine.
    """
    folder = result / FOLDER
    for path in sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else ():
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        data = path.read_bytes()
        if (found := _INTERPRETER.match(data)) is not None:
            path.write_bytes(_PORTABLE + data[found.end() :])


def stand_in(folder: Path, path: str, real: Path) -> bytes | None:
    """What stands for the link at `path` in `folder`, which leads to `real`, in a copy of the folder: a program for the
    shell, and for Node.js too, that starts the file where it lies. None if the link is none of npm's commands.
    """
    *above, first, second, _ = ["", "", *path.split("/")]
    if (first, second) != _NPM:
        return None
    target = os.path.relpath(real, os.path.realpath(folder.joinpath(*above, first)))
    if target.startswith(".."):
        return None
    shell = f'\':\' //; exec "$(dirname "$0")"/../{shlex.quote(target)} "$@"'
    return f"#!/bin/sh\n{shell}\nrequire({json.dumps('../' + target)})\n".encode()
