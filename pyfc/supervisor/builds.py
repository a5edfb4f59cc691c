"""What functions need and do not bring along is installed beside the server.

1. What was built before is at hand at once. What was not is built while the server answers already; calls of the
   functions that need it are held (held.py).
2. At most one installer a processor runs. A folder that a call waits for comes next.
3. What cannot be had is told, and the last good result stands in for it. It is tried again when the server starts
   anew, or what is asked for changes; what could be had is served meanwhile.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pyfc.build.builder import Builder, Wanted
from pyfc.build.consent import Ask
from pyfc.build.leaving import gist
from pyfc.build.official import name_of, packages_of, programs_of, stand_in, unfound
from pyfc.build.programs import started
from pyfc.errors import PyfcError
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Function
from pyfc.project.interface import Declaration, Project
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """The end of a build that went on beside the server."""

    names: list[str]
    """SERVICE/FUNCTION of those that it was for."""
    seconds: float
    warning: str
    """What could not be had; '' if all could."""


class Progress(NamedTuple):
    """A build that goes on beside the server."""

    names: list[str]
    """SERVICE/FUNCTION of those that it is for."""
    seconds: float
    """Since it began."""
    line: str
    """What its installer has just said; '' when it begins."""


class _Pending(NamedTuple):
    folder: Path
    build: Callable[[], Awaitable[str]]
    """Returns a warning; '' if all went well."""
    names: list[str]
    holds: bool
    """Whether calls wait for it; else what could be had before serves them."""


class Builds:
    """The builds of one server."""

    def __init__(self, builder: Builder, runtimes: Runtimes) -> None:
        self._builder = builder
        self._runtimes = runtimes
        self._waiting: list[_Pending] = []
        self._pending: dict[str, _Pending] = {}
        """Those that wait and those that run, by their folder."""
        self._files: dict[str, str] = {}
        """Code that is one file and has a build, by its folder: by that it is known when it runs."""
        self._failed: dict[Path, str] = {}
        """Beside the server, with the reasons: not to be tried again for what is served now."""
        self._partial: dict[Path, dict[str, str]] = {}
        """What was left out, each with the reason: not to be tried again while the same is asked for."""
        self._tell: Callable[[Progress], None] = lambda _: None
        self._began: dict[str, float] = {}
        """When what is being built was begun, by the folder."""
        self._took: dict[str, float] = {}
        """Seconds of the last build, by the folder."""
        self._tasks = Tasks()
        self._room = os.cpu_count() or 1

    def is_pending(self, folder: str) -> bool:
        """Whether calls wait for what the code in this folder needs."""
        found = self._pending.get(self._key(folder))
        return found is not None and found.holds

    def _key(self, folder: str) -> str:
        """By what a build for code in this folder is known."""
        return folder if folder in self._pending else self._files.get(folder, folder)

    def said(self, folder: str) -> str:
        """The last line of the installer that works for a folder; '' if it has said nothing."""
        return self._builder.said.get(_place(folder), "")

    def describe(self, folder: str) -> dict[str, Any]:
        """What people want to know of the builds for a folder: what is going on and since when, how long the last one
        took, what was left out, and why it has failed.
        """
        found: dict[str, Any] = {}
        folder = self._key(folder)
        if folder in self._pending:
            found["building"] = self.said(folder) if folder in self._began else "it waits for its turn"
        if folder in self._began:
            found["buildingSeconds"] = round(time.monotonic() - self._began[folder], 1)
        if folder in self._took:
            found["builtSeconds"] = round(self._took[folder], 1)
        if left_out := self._partial.get(Path(folder)):
            found["leftOut"] = {name: gist(why) for name, why in left_out.items()}
        if (failed := self._failed.get(Path(folder), "")) and folder not in self._pending:
            found["failed"] = gist(failed)
        return found

    def has_failed(self, folder: str) -> bool:
        """Whether what the code in this folder needs could not be built."""
        return Path(self._key(folder)) in self._failed

    def ask_by(self, ask: Ask) -> None:
        """See Builder."""
        self._builder.ask_by(ask)

    def hurry(self, folder: str) -> None:
        """Somebody waits for it: it comes next."""
        found = self._pending.get(self._key(folder))
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
        wanted = wanted_by(project, self._runtimes)
        for declaration in project.functions:
            folder = declaration.code
            if folder is None or self._runtimes.get(declaration.function.runtime) is None:
                continue
            if folder not in wanted:
                self._also_for(folder, declaration)
                continue
            each, name = wanted.pop(folder), _name_of(declaration)
            try:
                if self._builder.missing(each):
                    found[folder] = await self._folders(each, name, warnings, beside=beside, again=again)
            except PyfcError as error:
                found[folder] = self._builder.last_good(folder)
                warnings.append(_warning(error, stands_in=bool(found[folder])))
        if self._builder.weakness:
            warnings.append(self._builder.weakness)
        return found, warnings

    async def official_for(self, project: Project, warnings: list[str], *, installs: bool) -> dict[str, Path]:
        """The official layers of the project's functions, by ARN, as far as they can be had; `warnings` tell of which
        programs of this machine stand in for them, and what is missing.
        """
        functions = [
            each.function for each in project.functions if self._runtimes.get(each.function.runtime) is not None
        ]
        wanted = {arn: each.runtime for each in functions for arn in each.layers if name_of(arn)}
        warnings += self._unfound(functions)
        found = {
            arn: await self._official(arn, runtime, warnings, installs=installs) for arn, runtime in wanted.items()
        }
        return {arn: folder for arn, folder in found.items() if folder is not None}

    def _unfound(self, functions: Iterable[Function]) -> list[str]:
        runtimes = ((function, self._runtimes.get(function.runtime)) for function in functions)
        programs = [function for function, runtime in runtimes if runtime is not None and runtime.serves]
        return [text for function in programs for text in unfound(function)]

    async def _official(self, arn: str, runtime: str, warnings: list[str], *, installs: bool) -> Path | None:
        packages, interpreter = packages_of(arn), self._runtimes.interpreter(runtime)
        if packages is None or interpreter is None or not installs:
            warnings.append(stand_in(arn))
            programs = programs_of(arn)
            return self._builder.layer_of(name_of(arn), programs) if programs else None
        try:
            return await self._builder.layer(name_of(arn), packages, interpreter.path, interpreter.version)
        except PyfcError as error:
            warnings.append(f"{error}; its functions have to do without")
            return None

    def _also_for(self, folder: Path, declaration: Declaration) -> None:
        pending, name = self._pending.get(str(folder)), _name_of(declaration)
        if pending is not None and name not in pending.names:
            pending.names.append(name)

    async def _folders(
        self, wanted: Wanted, name: str, warnings: list[str], *, beside: bool, again: bool
    ) -> list[Path]:
        """What is there now of what is wanted for the function of this name. Raises PyfcError."""
        folder = wanted.folder
        is_left = self._is_left(wanted, again=again)
        if not is_left and beside and not self._builder.is_at_hand(wanted):
            self._add(wanted, name, holds=not self._builder.is_at_hand(wanted, partly=True))
            is_left = True
        if is_left:
            return self._builder.last_good(folder)
        made = await self._builder.build(wanted)
        self._failed.pop(folder, None)
        if warning := self._left_out(folder):
            warnings.append(warning)
        return [each.folder for each in made]

    def _is_left(self, wanted: Wanted, *, again: bool) -> bool:
        """Whether a folder is being built, or has been as far as it can be."""
        folder = wanted.folder
        if str(folder) in self._pending or (again and folder in self._failed):
            return True
        return bool(self._partial.get(folder)) and self._builder.is_at_hand(wanted, partly=True)

    def _left_out(self, folder: Path) -> str:
        """What was left out of what was built last for a folder, in words; '' if nothing was."""
        found = self._builder.left_out(folder)
        self._partial[folder] = found
        return "\n".join(f"{gist(why)}; {name} is left out" for name, why in found.items())

    def _add(self, wanted: Wanted, name: str, *, holds: bool) -> None:
        folder = wanted.folder

        async def build() -> str:
            try:
                await self._builder.build(wanted)
            except PyfcError as error:
                warning = self._failed[folder] = _warning(error, stands_in=bool(self._builder.last_good(folder)))
                return warning
            return self._left_out(folder)

        if not holds:
            self._partial[folder] = self._builder.left_out(folder)  # until it is known anew
        pending = _Pending(folder, build, [name], holds)
        self._pending[str(folder)] = pending
        if folder.is_file():
            self._files[str(folder.parent)] = str(folder)
        self._waiting.append(pending)

    @property
    def names(self) -> list[str]:
        """SERVICE/FUNCTION of those that wait for a build."""
        return [name for pending in self._pending.values() for name in pending.names]

    @property
    def held(self) -> list[str]:
        """SERVICE/FUNCTION of those whose calls wait for a build."""
        return [name for pending in self._pending.values() if pending.holds for name in pending.names]

    def start(self, ended: Callable[[Outcome], Awaitable[None]], tell: Callable[[Progress], None]) -> None:
        """Begin to work through what waits; `ended` is awaited after each build, `tell` hears how they come along."""
        self._tell = tell
        self._builder.follow_by(self._heard)
        for number in range(min(self._room, len(self._waiting))):
            self._tasks.begin(f"installer {number + 1}: what functions need is not built", self._work(ended))

    def _heard(self, place: Path, line: str) -> None:
        for folder, began in self._began.items():
            if _place(folder) == place:
                self._tell(Progress(self._pending[folder].names, time.monotonic() - began, line))

    async def _work(self, ended: Callable[[Outcome], Awaitable[None]]) -> None:
        while self._waiting:
            pending = self._waiting.pop(0)
            place, began = str(pending.folder), time.monotonic()
            self._began[place] = began
            self._tell(Progress(pending.names, 0.0, ""))
            try:
                warning = await pending.build()
            except Exception as error:  # a mistake of ours: its calls wait no longer for that
                _log.exception("%s can not be built", pending.folder)
                warning = f"{pending.folder} can not be built: {error!r}"
                self._failed[pending.folder] = warning
            del self._pending[place], self._began[place]
            self._took[place] = time.monotonic() - began
            await ended(Outcome(pending.names, self._took[place], warning))

    async def close(self) -> None:
        """End what runs; nothing of it is left."""
        self._waiting.clear()
        await self._tasks.close()


def wanted_by(project: Project, runtimes: Runtimes) -> dict[Path, Wanted]:
    """What is to be built for each folder of code; the interpreter is that of its first function with a runtime."""
    starts = _started_by(project, runtimes)
    found: dict[Path, Wanted] = {}
    for declaration in project.functions:
        folder, runtime = declaration.code, declaration.function.runtime
        if folder is None or folder in found or runtimes.get(runtime) is None:
            continue
        interpreter = runtimes.interpreter(runtime)
        assert interpreter is not None
        found[folder] = Wanted(folder, interpreter.path, interpreter.version, project.boundary, starts[folder])
    return found


def _started_by(project: Project, runtimes: Runtimes) -> dict[Path, tuple[str, ...]]:
    """The programs in each folder of code that functions of custom runtimes start."""
    found: dict[Path, tuple[str, ...]] = {}
    for declaration in project.functions:
        folder, function = declaration.code, declaration.function
        if folder is None:
            continue
        runtime = runtimes.get(function.runtime)
        is_program = runtime is not None and runtime.serves
        pulls = is_program and runtime is not None and function.runtime in runtime.pulls
        found[folder] = found.get(folder, ()) + ((started(function, pulls=pulls),) if is_program else ())
    return found


def _place(path: str) -> Path:
    """The folder that an installer works in for a folder of code, or a file."""
    place = Path(path).resolve()
    return place.parent if place.is_file() else place


def _name_of(declaration: Declaration) -> str:
    return f"{declaration.function.service}/{declaration.function.name}"


def _warning(error: PyfcError, *, stands_in: bool) -> str:
    what = "; what was built before is served" if stands_in else "; the function has to do without"
    return "\n".join([gist(str(error)) + what, *str(error).splitlines()[1:]])
