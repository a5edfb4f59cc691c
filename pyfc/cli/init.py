"""`pyfc init NAME`: a new folder with an event function and an HTTP function, ready to be served."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from pyfc.dev.output import say
from pyfc.errors import InvalidArgument
from pyfc.host.runtimes import ROOT, found
from pyfc.project.files import is_folder, is_there


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    names = [runtime.name for runtime in found() if (runtime.folder / "template").is_dir()]
    parser.add_argument("--runtime", choices=names, default="python", help="its language (default python)")
    parser.add_argument("name", metavar="NAME", type=Path, help="the folder to make; it must be new or empty")


def run(options: argparse.Namespace) -> int:
    """See module."""
    folder: Path = options.name
    if folder.is_symlink():
        raise InvalidArgument(message=f"{folder} is a link, to {folder.readlink()}; name the folder itself")
    if is_there(folder) and (not is_folder(folder) or any(folder.iterdir())):
        raise InvalidArgument(message=f"{folder} is there already and is not empty; choose another name")
    ignored = shutil.ignore_patterns("__pycache__")
    try:
        shutil.copytree(ROOT / options.runtime / "template", folder, ignore=ignored, dirs_exist_ok=True)
    except shutil.Error as error:
        source, target, reason = error.args[0][0]
        raise InvalidArgument(message=f"{target} can not be made of {source}: {reason}") from error
    say(f"Made {folder}/ with service demo: event function hello, HTTP function web.")
    say(f"Serve it:  pyfc serve {folder}")
    return 0
