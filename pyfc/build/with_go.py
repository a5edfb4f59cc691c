"""Makes programs by Go. Its compiler runs no code of what it compiles, as long as no C is among it, so all of it counts
as downloading.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pyfc import nofollow
from pyfc.build.job import Hear
from pyfc.build.manifest import Manifest
from pyfc.build.steps import Output, fault_of
from pyfc.build.workshop import Workshop
from pyfc.errors import InvalidArgument

_MODULE = "function"
"""The name of one that has none."""


class Go:
    """Fills the result of a workshop with the programs that a manifest names."""

    def __init__(self, manifest: Manifest, shop: Workshop, progress: Hear) -> None:
        go = shutil.which("go")
        if go is None:
            raise InvalidArgument(message=f"{manifest.folder / manifest.source} needs go, which is not on PATH")
        self._go = os.path.realpath(go)
        self._manifest = manifest
        self._shop = shop
        self._progress = progress
        self._place = shop.furnish(manifest)

    async def install(self) -> None:
        """Do it. Raises ProjectError."""
        if not (self._place / "go.mod").exists():
            await self._run("mod", "init", _MODULE)
        await self._run("mod", "tidy")
        made = self._shop.tmp / "program"
        await self._run("build", "-trimpath", "-o", str(made), ".")
        first, *others = (self._shop.result / name for name in self._manifest.names)
        for target in (first, *others):
            target.parent.mkdir(parents=True, exist_ok=True)
        nofollow.move(self._shop.tmp, made, first)
        for target in others:
            nofollow.copy_file(first, target)

    async def _run(self, *words: str) -> None:
        output = Output(self._progress)
        downloads = self._shop.downloads("go")
        variables = {
            "CGO_ENABLED": "0",
            "GOCACHE": str(downloads / "build"),
            "GOENV": "off",
            "GOFLAGS": "-mod=mod -modcacherw",
            "GOMODCACHE": str(downloads / "modules"),
            "GOTOOLCHAIN": "local",
            "GOVCS": "off",
        }
        status = await self._shop.download(
            [self._go, *words], self._place, "go", output.hear, variables=variables, programs=[self._go],
            readable=[Path(self._go).parents[1]],
        )  # fmt: skip
        if status:
            raise fault_of(self._manifest, output.lines, f"go {words[0]}")
