"""What a function's folder says that it needs: requirements.txt, package.json, and the lists of a Funfile.

Nothing is read that lies, or leads by links, outside of the project.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyfc import nofollow
from pyfc.build import fun_yml, funfile
from pyfc.build.fun_yml import INSTALLED, Task
from pyfc.errors import InvalidArgument, ProjectError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LOCKS = ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock")
"""Files from which npm takes versions and addresses."""
_FILES = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]+(?P<path>\S+)")
_PLACES = re.compile(
    r"(?:(?:-e|--editable|-f|--find-links)[\s=]+|[\w.-]+(?:\[[^\]]*\])?\s*@\s*)?(?P<path>(?:file:|\.|/)[^\s;\[#]*)"
)
SCRIPTS = ("preinstall", "install", "postinstall", "prepare")
"""Of a package.json, run when it is installed."""
SKIPPED = frozenset({"node_modules", "__pycache__", ".git"})
"""Names of no part of what a manifest depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one tool is to install for one folder."""

    tool: str
    """`pip`, `npm`, `go` or `maven`."""
    folder: Path
    source: str
    """The file that says so, for messages."""
    bound: Path | None = None
    """The project; None for `folder` alone."""
    packages: tuple[str, ...] = ()
    """Named one by one; else the tool reads its own file."""
    names: tuple[str, ...] = ()
    """Names of all that is asked for, without versions; of programs their paths in the folder."""
    files: tuple[Path, ...] = ()
    """Files and folders that its result depends on."""
    is_ours: bool = False
    """Whether the packages are named by pyfc, not by somebody's file."""
    without: tuple[str, ...] = ()
    """Names of packages that are left out, since they cannot be had."""

    @property
    def root(self) -> Path:
        """What holds everything that it depends on."""
        return self.bound or self.folder

    @property
    def words(self) -> tuple[str, ...]:
        """`packages` that are not left out."""
        left_out = {canonical(name) for name in self.without}
        return tuple(word for word in self.packages if canonical(name_of(word)) not in left_out)

    def digest(self, *others: str) -> str:
        """A name for the result: the same for the same contents and `others`, whatever the folder."""
        left_out = ("without", *self.without) if self.without else ()
        parts = (self.tool, *self.packages, "", *self.names, *others, *left_out)
        found = hashlib.sha256("\0".join(parts).encode())
        for path in self.files:
            for name, content in _contents(path):
                found.update(f"{os.path.relpath(path, self.folder)}/{name}\0{len(content)}\0".encode() + content)
        return found.hexdigest()[:32]


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    if not path.is_dir():
        yield "", _read(path)
        return
    for entry in nofollow.walk(path.resolve(), SKIPPED):
        if stat.S_ISREG(entry.status.st_mode):
            with open(nofollow.open_plain(entry.name, entry.parent), "rb") as file:
                yield entry.path, file.read()
        elif stat.S_ISLNK(entry.status.st_mode):
            yield entry.path, os.fsencode(os.readlink(entry.name, dir_fd=entry.parent))


def manifests(folder: Path, bound: Path | None = None) -> list[Manifest]:
    """What is to be installed for the code in `folder` of the project `bound`. Raises ProjectError for a file that
    cannot be read, and for one outside of the project.
    """
    if not folder.is_dir():
        return []
    folder = folder.resolve()
    bound = bound.resolve() if bound is not None and folder.is_relative_to(bound.resolve()) else None
    found = [*_requirements(folder, bound), *_package(folder, bound)]
    for task in _tasks(folder, bound):
        names = tuple(name_of(word) for word in task.words)
        source = task.where.removeprefix(f"{folder}/")
        found.append(Manifest(tool=task.tool, folder=folder, source=source, packages=task.words, names=names))
    return found


def _inside(path: Path, folder: Path, bound: Path | None, where: str) -> Path:
    """`path`, put straight. Raises ProjectError if that, or what it leads to, is outside of the project."""
    root, straight = bound or folder, Path(os.path.normpath(path))
    if not straight.is_relative_to(root) or not straight.resolve().is_relative_to(root.resolve()):
        raise ProjectError(where=where, message=f"{os.path.relpath(path, folder)} lies outside of {root}")
    return straight


def _read(path: Path) -> bytes:
    try:
        with open(nofollow.open_plain(path.resolve()), "rb") as file:  # `_inside` has seen where it leads
            return file.read()
    except (OSError, InvalidArgument) as error:
        raise ProjectError(where=str(path), message=f"can not be read: {error}") from error


def _text(folder: Path, name: str, bound: Path | None) -> str | None:
    """The text of a file in a folder of code; None if it is not there."""
    path = folder / name
    if not path.is_file():
        return None
    return _read(_inside(path, folder, bound, str(path))).decode("utf-8", "replace")


def _requirements(folder: Path, bound: Path | None) -> list[Manifest]:
    text = _text(folder, "requirements.txt", bound)
    lines = _lines(text or "")
    if not any(lines):
        return []
    path = folder / "requirements.txt"
    names: dict[str, None] = {}
    files: dict[Path, None] = {}
    _follow(path, folder, bound, files, names)
    return [
        Manifest(
            tool="pip", folder=folder, source=path.name, bound=bound, names=tuple(names), files=_outermost(files, path)
        )
    ]


def _lines(text: str) -> list[str]:
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def statements(text: str) -> list[str]:
    """The lines of a requirements file as they stand there, each with those that go on with it."""
    return re.findall(r"(?:[^\n]*\\\r?\n)*[^\n]*(?:\n|\Z)", text)


def _follow(path: Path, folder: Path, bound: Path | None, found: dict[Path, None], names: dict[str, None]) -> None:
    """Add a file of requirements and what it names on this machine to `found`, and its packages to `names`."""
    real = _inside(path, folder, bound, str(path))
    if real in found:
        return
    found[real] = None
    for line in _lines(_read(real).decode("utf-8", "replace")):
        where = f"{path}: {line[:100]}"
        if (match := _FILES.match(line)) is not None and "://" not in match["path"]:
            asks = not line.startswith(("-c", "--constraint"))
            _follow(path.parent / match["path"], folder, bound, found, names if asks else {})
        elif (match := _PLACES.match(line)) is not None:
            place = folder / match["path"].removeprefix("file:").replace("//", "/", 1).partition("?")[0]
            if place.exists():
                found[_inside(place, folder, bound, where)] = None
        if not line.startswith(("-", ".", "/")):
            names[name_of(line)] = None


def _outermost(found: dict[Path, None], first: Path) -> tuple[Path, ...]:
    """Without what lies in another one, `first` at the front."""
    paths = [path for path in found if not any(other in path.parents for other in found)]
    return tuple(sorted(paths, key=lambda path: (path != first, path)))


def _package(folder: Path, bound: Path | None) -> list[Manifest]:
    path = folder / "package.json"
    text = _text(folder, path.name, bound)
    if text is None:
        return []
    document = _dependent(text, path)
    needed = document["dependencies"]
    if not needed:
        return []
    places = _places(needed)
    named = {folder / name: str(path) for name in _present(folder)}
    named |= {folder / place: f"{path}: {place}" for place in places}
    if places or has_scripts(document) or document.get("workspaces"):
        named[folder] = str(path)
    found = {_inside(each, folder, bound, where): None for each, where in named.items()}
    files = _outermost(found, path)
    return [Manifest(tool="npm", folder=folder, source=path.name, bound=bound, names=tuple(needed), files=files)]


def _places(needed: Mapping[str, Any]) -> list[str]:
    """Folders and archives of one's own among the dependencies."""
    versions = map(str, needed.values())
    return [version.removeprefix("file:") for version in versions if version.startswith(("file:", ".", "/"))]


def _dependent(text: str, path: Path) -> dict[str, Any]:
    """A package.json, with its dependencies if it has none. Raises ProjectError."""
    try:
        document = json.loads(text)
        needed = document.get("dependencies") or {}
        needed.values()
    except (ValueError, AttributeError, RecursionError) as error:
        raise ProjectError(where=f"{path}:1", message=f"is not JSON: {error}") from error
    return {**document, "dependencies": needed}


def _present(folder: Path) -> list[str]:
    return [name for name in ("package.json", *LOCKS, ".npmrc") if (folder / name).is_file()]


def has_scripts(document: dict[str, Any]) -> bool:
    """Whether a package.json has something to be run when it is installed."""
    scripts = document.get("scripts")
    return isinstance(scripts, dict) and any(scripts.get(name) for name in SCRIPTS)


def _tasks(folder: Path, bound: Path | None) -> list[Task]:
    """What a Funfile and a fun.yml have installed; `project/load` tells what else they ask for."""
    found: list[Task] = []
    for file in (funfile, fun_yml):
        text = _text(folder, file.NAME, bound)
        found += [] if text is None else file.tasks(text, str(folder / file.NAME))
    return [task for task in found if task.tool in INSTALLED]


def canonical(name: str) -> str:
    """A package's name as it is compared."""
    return name if name.startswith("@") else re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """The name of the package that pip or npm is asked for by these words."""
    if requirement.startswith("@"):  # npm's scopes
        scope, _, rest = requirement.partition("/")
        return f"{scope}/{rest.partition('@')[0]}"
    found = _NAME.match(requirement)
    return found.group() if found is not None else requirement
