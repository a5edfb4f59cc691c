"""FC's official layers: what they hold, installed as packages, or programs that this machine has to have.

A layer is named by its ARN, `acs:fc:REGION:official:layers/NAME/versions/N`, or by NAME. Its versions differ in the
packages' versions, and only the newest of a line is had here.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from pyfc.model.function import Function

_ARN = re.compile(r"acs:fc:[^:]*:official:layers/(?P<name>[A-Za-z0-9_.-]+)/versions/\d+")


class Packages(NamedTuple):
    """What one of pip and npm installs, and the folder of the layer in which it lies."""

    tool: str
    words: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where functions look for it in /opt."""
        return "python" if self.tool == "pip" else "nodejs"

    @property
    def variable(self) -> tuple[str, str]:
        """What programs of custom runtimes find it by: FC has them set it, since it looks nowhere for them."""
        return ("PYTHONPATH", "/opt/python") if self.tool == "pip" else ("NODE_PATH", "/opt/nodejs/node_modules")


_PACKAGES = {
    "Python3-Flask2x": Packages("pip", ("Flask>=2,<3", "Werkzeug>=2,<3", "Flask-SQLAlchemy<4", "requests<3")),
    "Python3-Flask1x": Packages("pip", ("Flask>=1,<2", "Werkzeug<2", "Jinja2<3", "itsdangerous<2", "MarkupSafe<2.1")),
    "Python3-Flask3x": Packages("pip", ("Flask>=3,<4",)),
    "Python3-FastAPI0x": Packages("pip", ("fastapi<1", "uvicorn<1")),
    "Python3-Django3x": Packages("pip", ("Django>=3,<4",)),
    "Python39-Pandas1x": Packages("pip", ("pandas>=1,<2", "numpy<2")),
    "Python3x-Pandas2x": Packages("pip", ("pandas>=2,<3",)),
    "Python3x-PyMongo4x": Packages("pip", ("pymongo>=4,<5",)),
    "Python39-OSS2": Packages("pip", ("oss2==2.19.1",)),
    "Python310-OSS2": Packages("pip", ("oss2==2.19.1",)),
    "Python39-SciPy1x": Packages("pip", ("scipy>=1,<2", "numpy<2")),
    "Python39-OpenCV": Packages("pip", ("opencv-python-headless<5",)),
    "Python310-Opencv4x": Packages("pip", ("opencv-python-headless<5",)),
    "Python310-PyTorch2x": Packages("pip", ("torch>=2,<3",)),
    "Python39-PyTorch1x": Packages("pip", ("torch>=1,<2", "numpy<2")),
    "Python310-TensorFlow2x": Packages("pip", ("tensorflow>=2,<3",)),
    "Nodejs-Express4x": Packages("npm", ("express@4",)),
    "Nodejs-Aliyun-SDK": Packages("npm", ("@alicloud/pop-core@1", "ali-oss@6", "@alicloud/fc2@2", "cloudevents@8")),
}


class _Programs(NamedTuple):
    """A layer of programs: they are this machine's."""

    pattern: re.Pattern[str]
    names: tuple[str, ...]
    """The first is what the layer is for."""
    folder: str = ""
    """Where in it they lie, by the groups of the pattern; '' if functions find them by PATH alone."""


_PROGRAMS = (
    _Programs(re.compile(r"Nodejs(\d+)"), ("node", "npm", "npx"), "nodejs{0}/bin"),
    _Programs(re.compile(r"Python\d+(?:\.\d+)?"), ("python3",)),
    _Programs(re.compile(r"Java(\d+)"), ("java", "keytool"), "java{0}/bin"),
    _Programs(re.compile(r"PHP(\d)(\d)(?:-Debian\d+)?"), ("php", "php-cgi"), "php{0}.{1}/bin"),
    _Programs(re.compile(r"Nginx"), ("nginx",), "bin"),
    _Programs(re.compile(r"Go([\d.]+)"), ("go", "gofmt"), "go{0}/bin"),
    _Programs(re.compile(r"Dotnet([\w.]+)"), ("dotnet",), "dotnet{0}"),
    _Programs(re.compile(r"FFmpeg\w*"), ("ffmpeg", "ffprobe"), "bin"),
    _Programs(re.compile(r"Ruby[\d.]+"), ("ruby",)),
)
_STARTER = '#!/bin/sh\n{before}exec {path} "$@"\n'
_BEFORE = {"nginx": "mkdir -p /var/lib/nginx /var/log/nginx\n"}
"""What a program of this machine needs that one of FC's does not."""
_CONFIGURATIONS = {"nginx": (Path("/etc/nginx"), "nginx/conf", ("mime.types", "*_params", "fastcgi.conf"))}
"""What configurations of functions include: where this machine has it, where FC's layer has it, and which files."""


def name_of(layer: str) -> str:
    """The name of an official layer; '' for any other."""
    match = _ARN.fullmatch(layer)
    if match is not None:
        return match["name"]
    return layer if layer in _PACKAGES or (":" not in layer and "#" not in layer and _program(layer)) else ""


LAYERS_OF_PACKAGES = tuple(sorted(_PACKAGES))
"""Names of the official layers that packages are installed for."""


def arn_of(name: str, region: str) -> str:
    """An ARN of an official layer: any version is the same here."""
    return f"acs:fc:{region}:official:layers/{name}/versions/1"


def contents_of(layer: str) -> str:
    """What an official layer has here, in words; '' for what is none, or is not known."""
    if (packages := packages_of(layer)) is not None:
        return f"{packages.tool}: {', '.join(packages.words)}"
    program = _program(name_of(layer))
    return f"{program} of this machine" if program else ""


def packages_of(layer: str) -> Packages | None:
    """What an official layer has installed; None for what is none, or no layer of packages."""
    return _PACKAGES.get(name_of(layer))


def programs_of(layer: str, find: Callable[[str], str | None] = shutil.which) -> dict[str, bytes]:
    """What stands in for an official layer of programs, by its path in the layer: scripts that start those of this
    machine. Nothing for another layer, and where the program is not here.
    """
    programs, groups = _programs(name_of(layer)) or (None, ())
    if programs is None or not programs.folder or find(programs.names[0]) is None:
        return {}
    folder = programs.folder.format(*groups)
    paths = {name: path for name in programs.names if (path := find(name)) is not None}
    return {**{f"{folder}/{name}": _starter(name, path) for name, path in paths.items()}, **_configuration(programs)}


def _starter(name: str, path: str) -> bytes:
    return _STARTER.format(before=_BEFORE.get(name, ""), path=shlex.quote(path)).encode()


def _configuration(programs: _Programs) -> dict[str, bytes]:
    place, folder, patterns = _CONFIGURATIONS.get(programs.names[0], (Path(), "", ()))
    files = [path for pattern in patterns for path in sorted(place.glob(pattern)) if path.is_file()]
    return {f"{folder}/{path.name}": path.read_bytes() for path in files}


def unfound(function: Function) -> list[str]:
    """Which official layers of packages a function of a custom runtime does not look into, in words."""
    told = []
    for name in map(name_of, function.layers):
        if (packages := _PACKAGES.get(name)) is None:
            continue
        variable, folder = packages.variable
        if folder not in function.environment_variables.get(variable, "").split(":"):
            place = f"function {function.service}/{function.name}"
            told.append(f"{place} has official layer {name} and does not set {variable}={folder}, by which it finds it")
    return told


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
    found = _programs(name)
    return found[0].names[0] if found is not None else ""


def _programs(name: str) -> tuple[_Programs, Sequence[str]] | None:
    """Of the layer with this name, with the groups of its pattern."""
    for each in _PROGRAMS:
        if (match := each.pattern.fullmatch(name)) is not None:
            return each, match.groups()
    return None
