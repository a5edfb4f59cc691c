"""Modules that FC's own runtimes have (provided.py), so that functions use them without naming them anywhere. Which of
them a function uses is read from its text.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.build.manifest import Manifest, canonical, manifests, name_of
from pyfc.build.packages import installed, own_texts
from pyfc.build.provided import NODE, modules, words
from pyfc.errors import InvalidArgument

SOURCE = "FC's built-in modules"
_LARGEST = 1024 * 1024
_REQUIRED = re.compile(r"(?:require\(|import\(|from)\s*['\"](?P<name>[^'\".][^'\"]*)['\"]")
_IMPORTED = re.compile(r"^\s*(?:from\s+(?P<name>[\w.]+)|import\s+(?P<names>[\w.,\t ]+))", re.MULTILINE)


def builtins_of(path: Path, boundary: Boundary, *, is_built: bool = True) -> list[Manifest]:
    """Those that the code in a folder, or one file of code, uses and nothing in it provides. `is_built`: what it asks
    for itself is installed, and needs nobody else to do that.
    """
    if not path.is_dir():
        return _of_file(path, boundary)
    found = []
    others = installed(path)
    node = sorted(_names(path, ".js", others, boundary) & set(NODE) - _declared(path, boundary))
    node = [name for name in node if not (path / "node_modules" / name).exists()]
    if node:
        found.append(_of_node(path, node))
    python = {name for name in _names(path, ".py", others, boundary) if not _provides(path, name)}
    packages = _packages(python) - (_required(path, boundary) if is_built else set())
    if packages:
        found.append(_of_python(path, packages))
    return found


def _provides(folder: Path, module: str) -> bool:
    """Whether a folder has a module of this name."""
    place = folder.joinpath(*module.split("."))
    return place.exists() or place.with_name(f"{place.name}.py").exists()


def _required(folder: Path, boundary: Boundary) -> set[str]:
    """What is installed by pip for a folder anyway."""
    found = manifests(folder, boundary.root or Path("/"))
    return {canonical(name) for each in found if each.tool == "pip" for name in each.names}


def _packages(names: Iterable[str]) -> set[str]:
    """The packages that provide modules of these names."""
    known = modules()
    return {canonical(known[name]) for name in names if name in known}


def _of_file(path: Path, boundary: Boundary) -> list[Manifest]:
    """A file alone has nothing beside it that could provide anything."""
    if path.suffix not in {".py", ".js"}:
        return []
    used = _mentioned(boundary.read(path, _LARGEST), path.suffix)
    if path.suffix == ".js":
        node = sorted(used & set(NODE))
        return [_of_node(path.parent, node)] if node else []
    packages = _packages(used)
    return [_of_python(path.parent, packages)] if packages else []


def _of_python(folder: Path, packages: set[str]) -> Manifest:
    names = sorted(name for name in modules().values() if canonical(name) in packages)
    return _manifest("pip", folder, [word for name in dict.fromkeys(names) for word in words(name)])


def _of_node(folder: Path, names: list[str]) -> Manifest:
    return _manifest("npm", folder, [f"{name}@{NODE[name]}" for name in names])


def _manifest(tool: str, folder: Path, packages: list[str]) -> Manifest:
    names = tuple(dict.fromkeys(map(name_of, packages)))
    return Manifest(tool=tool, folder=folder, source=SOURCE, packages=tuple(packages), names=names, is_ours=True)


def _names(folder: Path, suffix: str, others: frozenset[str], boundary: Boundary) -> set[str]:
    """What the function's own files mention."""
    texts = own_texts(folder, suffix, others, boundary)
    return {name for data in texts for name in _mentioned(data, suffix)}


def _mentioned(data: bytes, suffix: str) -> set[str]:
    """The modules that a file names: of Python each by its first part, and by its first two."""
    if suffix == ".js":
        return {match["name"] for match in _REQUIRED.finditer(data.decode("utf-8", "replace"))}
    parts = [name.split(".") for name in _imports(data)]
    return {".".join(each[:count]) for each in parts for count in (1, 2)}


def _imports(data: bytes) -> Iterator[str]:
    """The names in the import statements of a file, wherever they stand."""
    try:
        with warnings.catch_warnings(action="ignore"):
            found = list(ast.walk(ast.parse(data)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # of Python 2, or no Python: by its lines
        yield from _import_lines(data.decode("utf-8", "replace"))
        return
    for node in found:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _import_lines(text: str) -> Iterator[str]:
    for match in _IMPORTED.finditer(re.sub(r"\\\r?\n", " ", text)):
        if match["name"]:
            yield match["name"]
        else:
            yield from (word.split()[0] for word in match["names"].split(",") if word.strip(". \t"))


def _declared(folder: Path, boundary: Boundary) -> set[str]:
    try:
        return set(json.loads(boundary.read(folder / "package.json", _LARGEST)).get("dependencies") or {})
    except (InvalidArgument, ValueError, AttributeError, TypeError, RecursionError):
        return set()
