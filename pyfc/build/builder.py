"""Builds what functions need, once for each content, and remembers the last result of each folder that was good.

    ROOT/built/DIGEST/        what is shown at the root of the code: packages, or node_modules
    ROOT/last/FOLDER          for a folder of code: the digests of its last good result, by manifest

A result is built beside and renamed into place: it is whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyfc.build.builtins import builtins_of
from pyfc.build.lean import import_time, size_of, strip
from pyfc.build.manifest import Manifest, manifests
from pyfc.build.tools import install


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was installed for one manifest."""

    manifest: Manifest
    folder: Path
    is_new: bool
    seconds: float
    size: int
    size_before: int = 0
    """Of what was installed, before a lean build took away what is not needed; 0 if it took nothing away."""
    import_seconds: tuple[float | None, float | None] = (None, None)
    """Of a lean build: before and after."""


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where results are kept: `$XDG_CACHE_HOME/pyfc/build`, by default `~/.cache/pyfc/build`."""
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pyfc" / "build"


class Builder:
    """`root`: where results are kept. `progress(source, line)` hears what the installers say."""

    def __init__(self, root: Path, progress: Callable[[str, str], None] = lambda *_: None) -> None:
        self._root = root
        self._progress = progress

    async def build(self, folder: Path, interpreter: str, version: str, *, lean: bool | None = None) -> list[Built]:
        """Install what the code in `folder` needs. `lean`: without what no function needs; None for whatever was built
        last. Raises ProjectError; what was built before stays.
        """
        found: list[Built] = []
        last = self._last(folder)
        for manifest in _all_of(folder):
            wanted = last.get(manifest.source, {}).get("lean", False) if lean is None else lean
            found.append(await self._one(manifest, interpreter, version, lean=wanted))
            last[manifest.source] = {"digest": found[-1].folder.name, "lean": wanted}
        if found:
            self._remember(folder, last)
        return found

    def missing(self, folder: Path) -> list[Manifest]:
        """What the code in `folder` needs and does not bring along itself."""
        return [manifest for manifest in _all_of(folder) if not _is_vendored(manifest)]

    def last_good(self, folder: Path) -> list[Path]:
        """What was last built for `folder`."""
        places = [self._root / "built" / each["digest"] for each in self._last(folder).values()]
        return [place for place in places if place.is_dir()]

    async def _one(self, manifest: Manifest, interpreter: str, version: str, *, lean: bool) -> Built:
        runs = version if manifest.tool == "pip" else ""
        digest = manifest.digest(runs, platform.machine(), platform.system(), "lean" if lean else "")
        place = self._root / "built" / digest
        began = time.monotonic()
        if place.is_dir():
            return Built(manifest=manifest, folder=place, is_new=False, seconds=0.0, size=size_of(place))
        place.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
        before = 0
        times: tuple[float | None, float | None] = (None, None)
        try:
            await install(manifest, new, interpreter, lambda line: self._progress(manifest.source, line))
            if lean:
                before, first = size_of(new), await import_time(manifest, new, interpreter)
                strip(manifest.tool, new)
                times = (first, await import_time(manifest, new, interpreter))
            new.chmod(0o755)
            if not place.is_dir():
                new.rename(place)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return Built(
            manifest=manifest,
            folder=place,
            is_new=True,
            seconds=time.monotonic() - began,
            size=size_of(place),
            size_before=before,
            import_seconds=times,
        )

    def _file_of(self, folder: Path) -> Path:
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
        return self._root / "last" / name

    def _last(self, folder: Path) -> dict[str, dict[str, Any]]:
        try:
            found: dict[str, dict[str, Any]] = json.loads(self._file_of(folder).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def _remember(self, folder: Path, last: dict[str, dict[str, Any]]) -> None:
        path = self._file_of(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_text(json.dumps(last), encoding="utf-8")
        path.with_suffix(".new").replace(path)


def _all_of(folder: Path) -> list[Manifest]:
    return [*manifests(folder), *(builtins_of(folder) if folder.is_dir() else [])]


def _is_vendored(manifest: Manifest) -> bool:
    """Whether what is needed lies in the folder already, put there by hand."""
    if manifest.tool == "npm":
        return all((manifest.folder / "node_modules" / name).exists() for name in manifest.names)
    found = {path.name.partition("-")[0].lower().replace("_", "-") for path in manifest.folder.glob("*.dist-info")}
    return bool(manifest.names) and all(
        name.lower().replace("_", "-").replace(".", "-") in found for name in manifest.names
    )
