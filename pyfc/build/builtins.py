"""Modules that FC's own runtimes have, so that functions use them without naming them anywhere (FC's "built-in modules"
pages). Which of them a function uses is read from its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.build.manifest import Manifest
from pyfc.build.packages import installed, own_texts
from pyfc.errors import InvalidArgument

SOURCE = "FC's built-in modules"
_NODE = ("raw-body", "body", "co", "gm", "ali-oss", "aliyun-sdk", "@alicloud/fc2", "ali-mns", "tablestore")
_PYTHON = {
    "oss2": "oss2==2.19.1", "fc2": "aliyun-fc2==2.5.2", "tablestore": "tablestore", "mns": "aliyun-mns==1.1.5",
    "aliyunsdkcore": "aliyun-python-sdk-core", "wand": "Wand", "numpy": "numpy", "scipy": "scipy",
    "matplotlib": "matplotlib", "cv2": "opencv-python-headless", "scrapy": "Scrapy", "chardet": "chardet",
}  # fmt: skip
"""By the name that is imported. What comes as source, and so runs code while it is installed, is of one version."""
_SOURCES = frozenset({"oss2 2.19.1", "aliyun-fc2 2.5.2", "aliyun-mns 1.1.5", "crcmod 1.7"})
"""What comes as source of all that these packages need."""
_LARGEST = 1024 * 1024
_REQUIRED = re.compile(r"(?:require\(|import\(|from)\s*['\"](?P<name>[^'\".][^'\"]*)['\"]")
_IMPORTED = re.compile(r"^\s*(?:from\s+(?P<name>\w+)|import\s+(?P<names>[\w.,\t ]+))", re.MULTILINE)


def builtins_of(path: Path, boundary: Boundary) -> list[Manifest]:
    """Those that the code in a folder, or one file of code, uses and nothing in it provides."""
    if not path.is_dir():
        return _of_file(path, boundary)
    found = []
    others = installed(path)
    node = sorted(_names(path, ".js", others, boundary) & set(_NODE) - _declared(path, boundary))
    node = [name for name in node if not (path / "node_modules" / name).exists()]
    if node:
        found.append(_manifest("npm", path, node, node))
    python = _names(path, ".py", others, boundary) & set(_PYTHON)
    python = {name for name in python if not any((path / each).exists() for each in (name, f"{name}.py"))}
    if python and not (path / "requirements.txt").exists():
        found.append(_of_python(path, python))
    return found


def _of_file(path: Path, boundary: Boundary) -> list[Manifest]:
    """A file alone has nothing beside it that could provide anything."""
    if path.suffix not in {".py", ".js"}:
        return []
    used = _mentioned(boundary.read(path, _LARGEST), path.suffix)
    if path.suffix == ".js":
        node = sorted(used & set(_NODE))
        return [_manifest("npm", path.parent, node, node)] if node else []
    python = used & set(_PYTHON)
    return [_of_python(path.parent, python)] if python else []


def _of_python(folder: Path, names: set[str]) -> Manifest:
    return _manifest("pip", folder, sorted(_PYTHON[name] for name in names), sorted(names))


def are_known(manifest: Manifest, packages: Iterable[str]) -> bool:
    """Whether pyfc itself has named what is installed, and these (name and version each) are what it then expects to
    run code: nobody has to be asked.
    """
    return manifest.is_ours and set(packages) <= _SOURCES


def _manifest(tool: str, folder: Path, packages: list[str], names: list[str]) -> Manifest:
    return Manifest(tool=tool, folder=folder, source=SOURCE, packages=tuple(packages), names=tuple(names), is_ours=True)


def _names(folder: Path, suffix: str, others: frozenset[str], boundary: Boundary) -> set[str]:
    """What the function's own files mention."""
    texts = own_texts(folder, suffix, others, boundary)
    return {name for data in texts for name in _mentioned(data, suffix)}


def _mentioned(data: bytes, suffix: str) -> set[str]:
    """The modules that a file names, each by its first part."""
    text = data.decode("utf-8", "replace")
    if suffix == ".js":
        return {match["name"] for match in _REQUIRED.finditer(text)}
    found: set[str] = set()
    for match in _IMPORTED.finditer(text):
        words = [match["name"]] if match["name"] else match["names"].split(",")
        found.update(word.split(".")[0].split()[0] for word in words if word.strip(". \t"))
    return found


def _declared(folder: Path, boundary: Boundary) -> set[str]:
    try:
        return set(json.loads(boundary.read(folder / "package.json", _LARGEST)).get("dependencies") or {})
    except (InvalidArgument, ValueError, AttributeError, TypeError, RecursionError):
        return set()
