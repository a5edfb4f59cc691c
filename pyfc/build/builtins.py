"""Modules that FC's own runtimes have, so that functions use them without naming them anywhere (FC's "built-in modules"
pages). Which of them a function uses is read from its text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.build.manifest import Manifest
from pyfc.build.packages import installed, own_texts
from pyfc.errors import InvalidArgument

SOURCE = "FC's built-in modules"
_NODE = ("raw-body", "body", "co", "gm", "ali-oss", "aliyun-sdk", "@alicloud/fc2", "ali-mns", "tablestore")
_PYTHON = {
    "oss2": "oss2", "fc2": "aliyun-fc2", "tablestore": "tablestore", "aliyunsdkcore": "aliyun-python-sdk-core",
    "mns": "aliyun-mns", "wand": "Wand", "numpy": "numpy", "scipy": "scipy", "matplotlib": "matplotlib",
    "cv2": "opencv-python-headless", "scrapy": "Scrapy",
}  # fmt: skip
"""By the name that is imported."""
_LARGEST = 1024 * 1024
_REQUIRED = re.compile(r"(?:require\(|import\(|from)\s*['\"](?P<name>[^'\".][^'\"]*)['\"]")
_IMPORTED = re.compile(r"^\s*(?:from|import)\s+(?P<name>\w+)", re.MULTILINE)


def builtins_of(folder: Path, boundary: Boundary) -> list[Manifest]:
    """Those that the code in `folder` uses and nothing in it provides."""
    found = []
    others = installed(folder)
    node = sorted(_names(folder, ".js", others, _REQUIRED, boundary) & set(_NODE) - _declared(folder, boundary))
    node = [name for name in node if not (folder / "node_modules" / name).exists()]
    if node:
        found.append(_manifest("npm", folder, node, node))
    python = _names(folder, ".py", others, _IMPORTED, boundary) & set(_PYTHON)
    python = {name for name in python if not any((folder / each).exists() for each in (name, f"{name}.py"))}
    if python and not (folder / "requirements.txt").exists():
        found.append(_manifest("pip", folder, sorted(_PYTHON[name] for name in python), sorted(python)))
    return found


def _manifest(tool: str, folder: Path, packages: list[str], names: list[str]) -> Manifest:
    return Manifest(tool=tool, folder=folder, source=SOURCE, packages=tuple(packages), names=tuple(names))


def _names(folder: Path, suffix: str, others: frozenset[str], mention: re.Pattern[str], boundary: Boundary) -> set[str]:
    """What the function's own files mention."""
    found: set[str] = set()
    for data in own_texts(folder, suffix, others, boundary):
        text = data.decode("utf-8", "replace")
        found.update(match["name"] for match in mention.finditer(text))
    return found


def _declared(folder: Path, boundary: Boundary) -> set[str]:
    try:
        return set(json.loads(boundary.read(folder / "package.json", _LARGEST)).get("dependencies") or {})
    except (InvalidArgument, ValueError, AttributeError, TypeError, RecursionError):
        return set()
