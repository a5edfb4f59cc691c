"""What a function's folder says that it needs: requirements.txt, package.json, and the lists of a Funfile."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from pyfc.errors import ProjectError

_INSTALL = re.compile(
    r"^RUN\s+(?:fun-install\s+)?(?P<tool>pip|npm|apt-get|apt)3?\s+install\s+(?P<words>.*)$", re.IGNORECASE
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOCKS = ("package-lock.json", "npm-shrinkwrap.json", ".npmrc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one tool is to install for one folder."""

    tool: str
    """`pip` or `npm`."""
    folder: Path
    source: str
    """The file that says so, for messages."""
    packages: tuple[str, ...] = ()
    """Named one by one; else the tool reads its own file."""
    names: tuple[str, ...] = ()
    """Names of all that is asked for, without versions."""
    files: tuple[Path, ...] = field(default=())
    """What its result depends on."""

    def digest(self, *others: str) -> str:
        """A name for the result: the same for the same contents and `others`, whatever the folder."""
        found = hashlib.sha256("\0".join((self.tool, *self.packages, *others)).encode())
        for path in self.files:
            found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return found.hexdigest()[:32]


def manifests(folder: Path) -> list[Manifest]:
    """What is to be installed for the code in `folder`. Raises ProjectError for a file that can not be read."""
    if not folder.is_dir():
        return []
    found = [*_requirements(folder), *_package(folder)]
    for tool, source, words in _funfile(folder):
        names = tuple(_name_of(word) for word in words)
        found.append(Manifest(tool=tool, folder=folder, source=source, packages=tuple(words), names=names))
    return found


def _requirements(folder: Path) -> list[Manifest]:
    path = folder / "requirements.txt"
    if not path.is_file():
        return []
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    names = tuple(_name_of(line) for line in lines if line and not line.startswith(("-", ".", "/")))
    if not any(lines):
        return []
    files = [path, *sorted(each for each in folder.glob("*.txt") if each != path)]
    if any(line.startswith((".", "-e", "/")) for line in lines):
        files += _all_files(folder)
    return [Manifest(tool="pip", folder=folder, source=path.name, names=names, files=tuple(files))]


def _package(folder: Path) -> list[Manifest]:
    path = folder / "package.json"
    if not path.is_file():
        return []
    try:
        needed = json.loads(path.read_text(encoding="utf-8")).get("dependencies") or {}
    except (ValueError, AttributeError) as error:
        raise ProjectError(where=f"{path}:1", message=f"is not JSON: {error}") from error
    if not needed:
        return []
    files = [path, *(folder / name for name in _LOCKS if (folder / name).is_file())]
    if any(str(version).startswith(("file:", ".", "/")) for version in needed.values()):
        files += _all_files(folder)
    return [Manifest(tool="npm", folder=folder, source=path.name, names=tuple(needed), files=tuple(files))]


def _funfile(folder: Path) -> list[tuple[str, str, list[str]]]:
    """Tool, `Funfile:line` and words of each RUN line that installs something."""
    path = folder / "Funfile"
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = _INSTALL.match(line.strip())
        if match is None:
            continue
        words = [word for word in shlex.split(match["words"]) if not word.startswith("-")]
        if match["tool"].lower().startswith("apt"):
            raise ProjectError(
                where=f"{path}:{number}",
                message=f"packages of the system are not the function's to install: apt install {' '.join(words)}",
            )
        found.append((match["tool"].lower(), f"Funfile:{number}", words))
    return found


def _all_files(folder: Path) -> list[Path]:
    skipped = {"node_modules", "__pycache__", ".git"}
    return sorted(path for path in folder.rglob("*") if path.is_file() and not skipped & set(path.parts))


def _name_of(requirement: str) -> str:
    if requirement.startswith("@"):  # npm's scopes
        scope, _, rest = requirement.partition("/")
        return f"{scope}/{rest.partition('@')[0]}"
    found = _NAME.match(requirement)
    return found.group() if found is not None else requirement
