"""FC's official layers: what they hold, installed as packages, or programs that this machine has to have.

A layer is named by its ARN, `acs:fc:REGION:official:layers/NAME/versions/N`, or by NAME. Its versions differ in the
packages' versions, and only the newest of a line is had here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from typing import NamedTuple

_ARN = re.compile(r"acs:fc:[^:]*:official:layers/(?P<name>[A-Za-z0-9_.-]+)/versions/\d+")


class Packages(NamedTuple):
    """What one of pip and npm installs, and the folder of the layer in which it lies."""

    tool: str
    words: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where functions look for it in /opt."""
        return "python" if self.tool == "pip" else "nodejs"


_PACKAGES = {
    "Python3-Flask2x": Packages("pip", ("Flask>=2,<3", "Werkzeug>=2,<3", "Flask-SQLAlchemy<4", "requests<3")),
    "Python3-Flask1x": Packages("pip", ("Flask>=1,<2", "Werkzeug<2", "Jinja2<3", "itsdangerous<2", "MarkupSafe<2.1")),
    "Python3-FastAPI0x": Packages("pip", ("fastapi<1", "uvicorn<1")),
    "Python3-Django3x": Packages("pip", ("Django>=3,<4",)),
    "Python39-Pandas1x": Packages("pip", ("pandas>=1,<2", "numpy<2")),
    "Python39-SciPy1x": Packages("pip", ("scipy>=1,<2", "numpy<2")),
    "Python39-OpenCV": Packages("pip", ("opencv-python-headless<5",)),
    "Python39-PyTorch1x": Packages("pip", ("torch>=1,<2", "numpy<2")),
    "Python310-TensorFlow2x": Packages("pip", ("tensorflow>=2,<3",)),
    "Nodejs-Express4x": Packages("npm", ("express@4",)),
    "Nodejs-Aliyun-SDK": Packages("npm", ("@alicloud/pop-core@1", "ali-oss@6")),
}
_PROGRAMS = (
    (re.compile(r"Nodejs\d+"), "node"), (re.compile(r"Python\d+(?:\.\d+)?"), "python3"),
    (re.compile(r"Java\d+"), "java"), (re.compile(r"PHP\d+(?:-Debian\d+)?"), "php"), (re.compile(r"Nginx"), "nginx"),
    (re.compile(r"Go[\d.]+"), "go"), (re.compile(r"Dotnet[\w.]+"), "dotnet"), (re.compile(r"FFmpeg\w*"), "ffmpeg"),
    (re.compile(r"Ruby[\d.]+"), "ruby"),
)  # fmt: skip
"""Layers of a program: it is this machine's."""


def name_of(layer: str) -> str:
    """The name of an official layer; '' for any other."""
    match = _ARN.fullmatch(layer)
    if match is not None:
        return match["name"]
    return layer if layer in _PACKAGES or (":" not in layer and "#" not in layer and _program(layer)) else ""


def packages_of(layer: str) -> Packages | None:
    """What an official layer has installed; None for what is none, or no layer of packages."""
    return _PACKAGES.get(name_of(layer))


def stand_in(layer: str, find: Callable[[str], str | None] = shutil.which) -> str:
    """What stands in for an official layer that is not installed, or is missing, in words."""
    name = name_of(layer)
    program = _program(name)
    if name in _PACKAGES:
        return f"official layer {name} is not installed (build is off)"
    if not program:
        known = ", ".join(sorted(_PACKAGES))
        return f"official layer {name} is missing: pyfc does not know what it holds, it knows {known}"
    path = find(program)
    if path is None:
        return f"official layer {name} is missing: {program}, installed on this machine, would stand in for it"
    return f"official layer {name}: {path} of this machine stands in for it"


def _program(name: str) -> str:
    return next((program for pattern, program in _PROGRAMS if pattern.fullmatch(name)), "")
