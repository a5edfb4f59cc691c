"""The installers: each fills a folder with what a manifest names, to be shown at the root of the function's code."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from pyfc.build.manifest import Manifest
from pyfc.errors import InvalidArgument, ProjectError

_KEPT_LINES = 30
_FAULTS = (
    re.compile(r"No matching distribution found for (?P<name>\S+)"),
    re.compile(r"Could not find a version that satisfies the requirement (?P<name>\S+)"),
    re.compile(r"Because (?P<name>\S+) was not found"),
    re.compile(r"404\s+'?(?P<name>[^\s'@]+)@?[^']*'? is not in this registry"),
    re.compile(r"No matching version found for (?P<name>\S+?)\.?$"),
    re.compile(r"Failed (?:to build|building wheel for) (?P<name>\S+)"),
    re.compile(r"request to \S+/(?P<name>[^/\s]+) failed"),
)
Progress = Callable[[str], None]


async def install(manifest: Manifest, target: Path, interpreter: str, progress: Progress) -> None:
    """Install what `manifest` names into `target`. Raises ProjectError naming the package that could not be had."""
    if manifest.tool == "pip":
        await _pip(manifest, target, interpreter, progress)
    else:
        await _npm(manifest, target, progress)


async def _pip(manifest: Manifest, target: Path, interpreter: str, progress: Progress) -> None:
    wanted = list(manifest.packages) or ["-r", "requirements.txt"]
    uv = shutil.which("uv")
    if uv is not None:
        command = [uv, "pip", "install", "--python", interpreter, "--target", str(target), *wanted]
    else:
        borrows = interpreter != sys.executable and not await _has_pip(interpreter) and find_spec("pip") is not None
        pip = [sys.executable, "-m", "pip", "--python", interpreter] if borrows else [interpreter, "-m", "pip"]
        command = [*pip, "install", *_PIP, "--target", str(target), *wanted]
    await _run(command, manifest, manifest.folder, progress)
    shutil.rmtree(target / "bin", ignore_errors=True)  # whose first lines name the interpreter of this machine


async def _has_pip(interpreter: str) -> bool:
    """Its own fits it; that of an older Python may not run in it."""
    process = await asyncio.create_subprocess_exec(
        interpreter, "-c", "import pip", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await process.wait() == 0


_PIP = ("--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--upgrade", "--retries", "1")


async def _npm(manifest: Manifest, target: Path, progress: Progress) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise InvalidArgument(message=f"{manifest.folder / manifest.source} needs npm, which is not on PATH")
    place = target / ".build"
    skipped = shutil.ignore_patterns("node_modules", ".git")
    if manifest.packages:
        place.mkdir()  # named one by one: what else the folder needs is another manifest's
    else:
        shutil.copytree(manifest.folder, place, ignore=skipped)
    options = [
        "--omit=dev",
        "--no-audit",
        "--no-fund",
        "--install-links",
        "--loglevel=http",
        "--fetch-retries=1",
        *manifest.packages,
    ]
    if (place / "package-lock.json").is_file() and not manifest.packages:
        try:
            await _run([npm, "ci", *options], manifest, place, progress)
        except ProjectError as error:  # a lock that does not fit its package.json, or names a registry that is gone
            progress(str(error))
            (place / "package-lock.json").unlink()
            await _run([npm, "install", *options], manifest, place, progress)
    else:
        await _run([npm, "install", *options], manifest, place, progress)
    if (place / "node_modules").is_dir():
        for path in [*(place / "node_modules").glob("*"), *(place / "node_modules").glob("@*/*")]:
            if path.is_symlink():  # to a package beside the function's files, which stay behind
                real = path.resolve()
                path.unlink()
                shutil.copytree(real, path, ignore=skipped)
        (place / "node_modules").rename(target / "node_modules")
    shutil.rmtree(place)


async def _run(command: list[str], manifest: Manifest, folder: Path, progress: Progress) -> None:
    """Run an installer, telling what it does."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async for data in process.stdout:
            line = data.decode("utf-8", "replace").rstrip()
            if line:
                lines = [*lines[-_KEPT_LINES:], line]
                progress(line)
        status = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    if status:
        raise ProjectError(where=str(manifest.folder / manifest.source), message=_fault(lines, command))


def _fault(lines: list[str], command: list[str]) -> str:
    text = "\n".join(lines)
    tool = Path(command[0]).name if "pip" not in command else "pip"
    for pattern in _FAULTS:
        found = pattern.search(text)
        if found is not None:
            return f"{tool} can not install '{found['name'].strip(chr(39))}':\n{_tail(lines)}"
    return f"{tool} failed:\n{_tail(lines)}"


def _tail(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines[-6:])
