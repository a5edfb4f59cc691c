"""What of installed packages no function needs: tests, caches, documentation, types, maps; and how large things are."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyfc import nofollow
from pyfc.build.manifest import Manifest, canonical
from pyfc.build.workshop import Workshop

_FOLDERS = {
    "pip": {"tests", "test", "__pycache__", "docs", "doc", "examples", "benchmarks", "include"},
    "npm": {"test", "tests", "__tests__", "docs", "doc", "example", "examples", ".github", "benchmark", "coverage"},
}
_SUFFIXES = {
    "pip": {".pyc", ".pyo", ".pyi", ".pxd", ".pyx", ".c", ".h", ".cpp", ".a"},
    "npm": {".md", ".map", ".ts", ".flow", ".markdown", ".tsbuildinfo"},
}
_KEPT = ("license", "licence", "notice", "copying")
_TIMES = 3


def strip(tool: str, target: Path) -> None:
    """Remove from `target` what is not needed at run time. Licences stay."""
    for path in sorted(_below(target), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if path.name in _FOLDERS[tool] and not _is_package(path):
                nofollow.remove(path)
        elif path.suffix in _SUFFIXES[tool] and not path.name.lower().startswith(_KEPT):
            path.unlink(missing_ok=True)


def _is_package(path: Path) -> bool:
    """Whether a folder is itself what somebody asked for: `node_modules/test`, or a top-level `tests` of pip's."""
    return path.parent.name == "node_modules" or path.parent.name.startswith("@")


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        yield from (Path(root, name) for name in (*folders, *files))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.lstat().st_size for each in _below(path) if not each.is_dir())


class Part(NamedTuple):
    """One package."""

    name: str
    size: int


def parts(target: Path) -> list[Part]:
    """The packages in `target`, the largest first."""
    folders = [target / "node_modules"] if (target / "node_modules").is_dir() else [target]
    found: list[Part] = []
    for folder in folders:
        for path in folder.iterdir():
            if path.name.startswith((".", "_")) or path.name.endswith((".dist-info", ".data")):
                continue
            names = [path] if not path.name.startswith("@") else list(path.iterdir())
            found += [Part(str(each.relative_to(folder)), size_of(each)) for each in names]
    return sorted(found, key=lambda part: (-part.size, part.name))


async def import_time(manifest: Manifest, target: Path, interpreter: str, shop: Workshop) -> float | None:
    """Seconds that importing everything the manifest names takes, the interpreter's own start taken off; None if
    something cannot be imported. Importing is code of packages: it happens in `shop`.
    """
    command, program = _importing(manifest, target, interpreter)
    commands = ([*command, program], [*command, ""])
    told: list[str] = []
    status = await shop.script(
        [sys.executable, "-I", "-S", "-c", _CLOCK, json.dumps(commands)], shop.own_home, told.append,
        variables={}, programs=[sys.executable, commands[0][0]], readable=[target],
    )  # fmt: skip
    try:
        took = [float(text) for text in told[-1].split()] if status == 0 and told else []
    except ValueError:
        return None  # a package prints at its end
    return max(took[0] - took[1], 0.0) if len(took) == 2 else None


def _importing(manifest: Manifest, target: Path, interpreter: str) -> tuple[list[str], str]:
    """A command, and the program for it that imports everything the manifest names."""
    if manifest.tool == "pip":
        names = [name for folder in target.glob("*.dist-info") for name in _modules(folder, manifest)]
        program = f"import sys; sys.path.insert(0, {str(target)!r})\n" + "".join(f"import {each}\n" for each in names)
        return [interpreter, "-I", "-S", "-c"], program
    program = "".join(f"require({str(target / 'node_modules' / name)!r});" for name in manifest.names)
    return [shutil.which("node") or "node", "-e"], program


_CLOCK = f"""
import json, subprocess, sys, time
found = []
for command in json.loads(sys.argv[1]):
    times = []
    for _ in range({_TIMES}):
        began = time.monotonic()
        subprocess.run(command, stdin=-3, stdout=-3, stderr=-3, check=True)
        times.append(time.monotonic() - began)
    found.append(min(times))
print(*found)
"""


def _modules(info: Path, manifest: Manifest) -> list[str]:
    """What is imported of an installed distribution that the manifest names itself."""
    if canonical(info.name.partition("-")[0]) not in set(map(canonical, manifest.names)):
        return []
    record = (info / "RECORD").read_text(encoding="utf-8", errors="replace") if (info / "RECORD").is_file() else ""
    tops = {line.split(",")[0].split("/")[0] for line in record.splitlines()}
    found = {
        top.removesuffix(".py") for top in tops if top.endswith(".py") or (info.parent / top / "__init__.py").is_file()
    }
    return sorted(each for each in found if each.isidentifier())
