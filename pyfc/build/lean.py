"""What of installed packages no function needs: tests, caches, documentation, types, maps; and how large things are."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyfc.build.manifest import Manifest

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
                shutil.rmtree(path)
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


async def import_time(manifest: Manifest, target: Path, interpreter: str) -> float | None:
    """Seconds that importing everything the manifest names takes, the interpreter's own start taken off; None if
    something can not be imported.
    """
    if manifest.tool == "pip":
        names = [name for folder in target.glob("*.dist-info") for name in _modules(folder, manifest)]
        program = f"import sys; sys.path.insert(0, {str(target)!r})\n" + "".join(f"import {each}\n" for each in names)
        commands = ([interpreter, "-I", "-S", "-c", program], [interpreter, "-I", "-S", "-c", ""])
    else:
        program = "".join(f"require({str(target / 'node_modules' / name)!r});" for name in manifest.names)
        node = shutil.which("node") or "node"
        commands = ([node, "-e", program], [node, "-e", ""])
    took = [await _fastest(command) for command in commands]
    return max(took[0] - took[1], 0.0) if took[0] is not None and took[1] is not None else None


def _modules(info: Path, manifest: Manifest) -> list[str]:
    """What is imported of an installed distribution that the manifest names itself."""
    name = info.name.partition("-")[0].lower().replace("_", "-")
    if name not in {each.lower().replace("_", "-") for each in manifest.names}:
        return []
    record = (info / "RECORD").read_text(encoding="utf-8", errors="replace") if (info / "RECORD").is_file() else ""
    tops = {line.split(",")[0].split("/")[0] for line in record.splitlines()}
    found = {
        top.removesuffix(".py") for top in tops if top.endswith(".py") or (info.parent / top / "__init__.py").is_file()
    }
    return sorted(each for each in found if each.isidentifier())


async def _fastest(command: list[str]) -> float | None:
    best: float | None = None
    for _ in range(_TIMES):
        began = time.monotonic()
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet)
        if await process.wait():
            return None
        best = min(time.monotonic() - began, best or sys.float_info.max)
    return best
