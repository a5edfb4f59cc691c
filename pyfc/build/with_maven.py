"""Makes programs by Maven. Its plugins are code of packages: they run only if the user lets them, and download what
they need only if they may use the network.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pyfc import nofollow
from pyfc.build.consent import Answer, Script
from pyfc.build.job import Hear
from pyfc.build.manifest import Manifest
from pyfc.build.steps import Consent, Output, fault_of
from pyfc.build.workshop import Workshop
from pyfc.errors import InvalidArgument, ProjectError

_GOAL = "package"
_NO_NETWORK = "plugins have no network here; `pyfc build --yes --network` lets them download what they need"


class Maven:
    """Fills `target` in the result of a workshop with the archives that a pom.xml makes."""

    def __init__(self, manifest: Manifest, shop: Workshop, consent: Consent, progress: Hear) -> None:
        found = {name: shutil.which(name) for name in ("mvn", "java")}
        missing = [name for name, path in found.items() if path is None]
        if missing:
            where = manifest.folder / manifest.source
            raise InvalidArgument(message=f"{where} needs {' and '.join(missing)}, which is not on PATH")
        self._programs = [os.path.realpath(path) for path in found.values() if path is not None]
        self._manifest = manifest
        self._shop = shop
        self._consent = consent
        self._progress = progress
        self._place = shop.furnish(manifest)

    async def install(self) -> None:
        """Do it. Raises ProjectError."""
        script = Script("Maven's plugins", f"mvn {_GOAL}")
        answer = await self._consent.to(self._manifest, [script], self._shop)
        network = answer is Answer.NETWORK
        output = Output(self._progress)
        repository = self._shop.cache / "maven"
        words = ["-B", "-q", "-DskipTests", f"-Dmaven.repo.local={repository}", *([] if network else ["-o"]), _GOAL]
        status = await self._shop.script(
            [self._programs[0], *words], self._place, output.hear, programs=self._programs, network=network,
            variables=self._variables(),
        )  # fmt: skip
        if status:
            raise fault_of(self._manifest, [*output.lines, *([] if network else [_NO_NETWORK])], "mvn")
        self._take()

    def _variables(self) -> dict[str, str]:
        return {
            "JAVA_HOME": str(Path(self._programs[1]).parents[1]),
            "MAVEN_OPTS": f"-Duser.home={self._shop.own_home}",
        }

    def _take(self) -> None:
        """The archives that were made. Plugins have written the folder, so it is moved first, as npm's is."""
        made = self._shop.result / "target"
        try:
            nofollow.move(self._shop.tree, self._place / "target", made)
        except (OSError, InvalidArgument) as error:
            where = str(self._manifest.folder / self._manifest.source)
            raise ProjectError(where=where, message=f"mvn {_GOAL} has made no folder target") from error
        with nofollow.opened_folder(made) as folder:
            others = [name for name in os.listdir(folder) if not name.endswith((".jar", ".war"))]
        for name in others:
            nofollow.remove(made / name)
