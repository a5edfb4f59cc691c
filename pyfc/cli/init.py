"""`pyfc init NAME`: a new folder with an event function and an HTTP function, ready to be served."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from pyfc.dev.output import say
from pyfc.errors import InvalidArgument
from pyfc.host.runtimes import ROOT, found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    names = [runtime.name for runtime in found() if (runtime.folder / "template").is_dir()]
    parser.add_argument("--runtime", choices=names, default="python", help="its language (default python)")
    parser.add_argument("name", metavar="NAME", type=Path, help="the folder to make; it must be new or empty")


def run(options: argparse.Namespace) -> int:
    """See module."""
    folder: Path = options.name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidArgument(message=f"{folder} is there already and is not empty; choose another name")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / options.runtime / "template", folder, ignore=ignored, dirs_exist_ok=True)
    say(f"Made {folder}/ with service demo: event function hello, HTTP function web.")
    say(f"Serve it:  pyfc serve {folder}")
    return 0
