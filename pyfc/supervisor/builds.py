"""What functions need and do not bring along is installed beside the server.

1. What was built before is at hand at once. What was not is built while the server answers already; calls of the
   functions that need it are held (held.py).
2. At most one installer a processor runs. A folder that a call waits for comes next.
3. What can not be had is told, and the last good result stands in for it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from pyfc.boundary import Boundary
from pyfc.build.builder import Builder
from pyfc.errors import PyfcError
from pyfc.host.runtimes import Runtimes
from pyfc.project.interface import Project
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)


_Given = tuple[Path, str, str, Boundary]
"""What a builder is given: folder, interpreter, its version, the project's boundary."""


class Outcome(NamedTuple):
    """The end of a build that went on beside the server."""

    names: list[str]
    """SERVICE/FUNCTION of those that it was for."""
    seconds: float
    warning: str
    """What could not be had; '' if all could."""


class _Pending(NamedTuple):
    folder: Path
    build: Callable[[], Awaitable[str]]
    """Returns a warning; '' if all went well."""
    names: list[str]


class Builds:
    """The builds of one server. `prepared` is awaited before anything is built. `on_built` is called when a build
    beside the server is over, and makes its functions be served.
    """

    def __init__(
        self,
        builder: Builder,
        runtimes: Runtimes,
        prepared: Callable[[], Awaitable[None]],
        on_built: Callable[[Outcome], Awaitable[None]],
    ) -> None:
        self._builder = builder
        self._runtimes = runtimes
        self._prepared = prepared
        self._on_built = on_built
        self._waiting: list[_Pending] = []
        self._pending: dict[str, _Pending] = {}
        """Those that wait and those that run, by their folder."""
        self._failed: set[Path] = set()
        """Beside the server: not to be tried again for what is served now."""
        self._tasks = Tasks()
        self._room = os.cpu_count() or 1

    def is_pending(self, folder: str) -> bool:
        """Whether what the code in this folder needs is still being built."""
        return folder in self._pending

    def said(self, folder: str) -> str:
        """The last line of the installer that works for a folder; '' if none has begun."""
        return self._builder.said.get(Path(folder).resolve(), "")

    def hurry(self, folder: str) -> None:
        """Somebody waits for it: it comes next."""
        found = self._pending.get(folder)
        if found is not None and found in self._waiting:
            self._waiting.remove(found)
            self._waiting.insert(0, found)

    async def built_for(
        self, project: Project, *, beside: bool, again: bool = False
    ) -> tuple[dict[Path, list[Path]], list[str]]:
        """What was installed for the functions of `project`, by folder of code; and what could not be, in words.
        `beside`: what is not at hand is built beside the server, and counts as not there until then; else it is waited
        for. `again`: what has failed is not tried once more.
        """
        found: dict[Path, list[Path]] = {}
        warnings: list[str] = []
        for declaration in project.functions:
            folder, runtime = declaration.code, declaration.function.runtime
            name = f"{declaration.function.service}/{declaration.function.name}"
            if folder is None or self._runtimes.get(runtime) is None:
                continue
            if folder in found:
                self._join(folder, name)
                continue
            try:
                if not self._builder.missing(folder, project.boundary):
                    continue
                await self._prepared()
                interpreter = self._runtimes.interpreter(runtime)
                assert interpreter is not None
                given = (folder, interpreter.path, interpreter.version, project.boundary)
                found[folder] = await self._built(name, given, beside=beside, again=again)
            except PyfcError as error:
                found[folder] = self._builder.last_good(folder)
                warnings.append(_warning(error, stands_in=bool(found[folder])))
        if self._builder.weakness:
            warnings.append(self._builder.weakness)
        return found, warnings

    async def _built(self, name: str, given: _Given, *, beside: bool, again: bool) -> list[Path]:
        """What there is for one folder now; see `built_for`."""
        folder = given[0]
        if self.is_pending(str(folder)) or (again and folder in self._failed):
            return self._builder.last_good(folder)
        if beside and not self._builder.is_at_hand(*given):
            self._add(folder, name, given)
            return self._builder.last_good(folder)
        made = await self._builder.build(*given)
        self._failed.discard(folder)
        return [each.folder for each in made]

    def _join(self, folder: Path, name: str) -> None:
        """Another function needs what is being built for this folder."""
        pending = self._pending.get(str(folder))
        if pending is not None and name not in pending.names:
            pending.names.append(name)

    def _add(self, folder: Path, name: str, given: _Given) -> None:
        async def build() -> str:
            try:
                await self._builder.build(*given)
            except PyfcError as error:
                self._failed.add(folder)
                return _warning(error, stands_in=bool(self._builder.last_good(folder)))
            return ""

        pending = _Pending(folder, build, [name])
        self._pending[str(folder)] = pending
        self._waiting.append(pending)

    @property
    def names(self) -> list[str]:
        """SERVICE/FUNCTION of those that wait for a build."""
        return [name for pending in self._pending.values() for name in pending.names]

    def start(self) -> None:
        """Begin to work through what waits."""
        for number in range(min(self._room, len(self._waiting))):
            self._tasks.begin(f"installer {number + 1}: what functions need is not built", self._work())

    async def _work(self) -> None:
        while self._waiting:
            pending = self._waiting.pop(0)
            began = time.monotonic()
            try:
                warning = await pending.build()
            except Exception as error:  # a mistake of ours: its calls wait no longer for that
                _log.exception("%s can not be built", pending.folder)
                warning = f"{pending.folder} can not be built: {error!r}"
                self._failed.add(pending.folder)
            del self._pending[str(pending.folder)]
            await self._on_built(Outcome(pending.names, time.monotonic() - began, warning))

    async def close(self) -> None:
        """End what runs; nothing of it is left."""
        self._waiting.clear()
        await self._tasks.close()


def _warning(error: PyfcError, *, stands_in: bool) -> str:
    what = "; what was built before is served" if stands_in else "; the function has to do without"
    first, *others = str(error).splitlines()
    return "\n".join([first.rstrip(":") + what, *others])
