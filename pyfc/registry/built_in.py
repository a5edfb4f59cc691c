"""What is installed for functions that clients make: the packages of FC's official layers, and those of FC's built-in
modules that their code uses and nothing in it provides. All of it lies in /opt, the modules as after the layers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pyfc.boundary import Boundary
from pyfc.build.builder import Builder
from pyfc.build.builtins import SOURCE, builtins_of
from pyfc.build.leaving import gist
from pyfc.build.manifest import name_of as package_of
from pyfc.build.official import Packages, name_of, packages_of, programs_of, stand_in
from pyfc.bundles.bundle import Bundles
from pyfc.errors import PyfcError
from pyfc.host.interpreters import Interpreter
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Code, Function
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_TOOLS = {"python": "pip", "nodejs": "npm"}
"""What installs the modules of a runtime, by how its name begins."""
_LONGEST = 100
"""Characters of the name of a folder."""
_PATIENCE = 20.0
"""Seconds that a client waits for installers."""


class Added(NamedTuple):
    """What is installed for one function, as far as it is there."""

    official: Mapping[str, Code] = MappingProxyType({})
    """Its official layers, by ARN."""
    built_in: Code | None = None
    """The built-in modules that its code uses."""
    left_out: Mapping[str, str] = MappingProxyType({})
    """What could not be had, by name, each with the reason."""
    pending: asyncio.Task[Added] | None = None
    """What goes on after the client's patience: it brings all of this."""


class BuiltIn:
    """Installs them, unless `installs` says that nothing is to be installed."""

    def __init__(self, builder: Builder, bundles: Bundles, runtimes: Runtimes, *, installs: bool) -> None:
        self._builder = builder
        self._bundles = bundles
        self._runtimes = runtimes
        self._installs = installs
        self._tasks = Tasks()
        self._turn = asyncio.Lock()

    async def of(self, function: Function, code: Code | None) -> Added:
        """What a function with this code needs. What cannot be had is logged, and the function does without."""
        is_there = self._runtimes.get(function.runtime) is not None
        interpreter = self._runtimes.interpreter(function.runtime) if is_there else None
        layers, left_out = self._layers(function, is_possible=interpreter is not None and self._installs)
        if code is None or interpreter is None or not self._installs:
            return Added(left_out=left_out)
        words = await asyncio.to_thread(self._used, code, function.runtime)
        programs = _programs(function)
        if not any((layers, programs, words.words)):
            return Added(left_out=left_out)
        work = self._all(f"{function.service}/{function.name}", layers, programs, words, interpreter, left_out)
        task = self._tasks.begin(f"installing what {function.service}/{function.name} needs", work)
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
        return task.result() if done else Added(left_out=left_out, pending=task)

    def later(self, added: Added, lay: Callable[[asyncio.Task[Added]], Coroutine[Any, Any, None]], name: str) -> None:
        """Have `lay` wait for what is pending, and lay it under the function."""
        if added.pending is not None:
            self._tasks.begin(f"laying what was installed under {name}", lay(added.pending))

    def _layers(self, function: Function, *, is_possible: bool) -> tuple[dict[str, Packages], dict[str, str]]:
        """The official layers that are packages, by ARN; and those that are missing, by name."""
        found, missing = {}, {}
        for arn in filter(name_of, function.layers):
            packages = packages_of(arn)
            if packages is not None and is_possible:
                found[arn] = packages
            else:
                reason = stand_in(arn)
                _log.warning("function %s/%s: %s", function.service, function.name, reason)
                if not programs_of(arn):
                    missing[_layer(arn)] = reason
        return found, missing

    def _used(self, code: Code, runtime: str) -> Packages:
        """The built-in modules that the code uses."""
        tool = next((tool for name, tool in _TOOLS.items() if runtime.startswith(name)), "")
        if not tool:
            return Packages(tool, ())
        folder = self._bundles.artefact(code).folder
        try:
            found = builtins_of(folder, Boundary(folder, refuses=False), is_built=False)
        except PyfcError as error:  # of what cannot be looked through; it is code all the same
            _log.warning("%s are not looked for: %s", SOURCE, error)
            return Packages(tool, ())
        return Packages(tool, next((manifest.packages for manifest in found if manifest.tool == tool), ()))

    async def _all(
        self,
        function: str,
        layers: Mapping[str, Packages],
        programs: Mapping[str, Mapping[str, bytes]],
        used: Packages,
        interpreter: Interpreter,
        missing: Mapping[str, str],
    ) -> Added:
        official: dict[str, Code] = {}
        left_out = dict(missing)
        for arn, files in programs.items():
            official[arn] = await self._bundles.put(self._builder.layer_of(name_of(arn), files), (), Boundary(None))
        for arn, packages in layers.items():
            try:
                official[arn] = await self._install(name_of(arn), packages, interpreter)
            except PyfcError as error:
                left_out[_layer(arn)] = _without(function, name_of(arn), error)
        if not used.words:
            return Added(official, left_out=left_out)
        names = dict.fromkeys(package_of(each).replace("/", "_") for each in used.words)
        name = "-".join(names)[:_LONGEST]
        try:
            return Added(official, await self._install(name, used, interpreter), left_out)
        except PyfcError as error:
            left_out[", ".join(names)[:_LONGEST]] = _without(function, name, error)
            return Added(official, left_out=left_out)

    async def _install(self, name: str, wanted: Packages, interpreter: Interpreter) -> Code:
        """Raises PyfcError."""
        async with self._turn:
            folder = await self._builder.layer(name, wanted, interpreter.path, interpreter.version)
        return await self._bundles.put(folder, (), Boundary(None))

    async def close(self) -> None:
        """The server stops: installers end."""
        await self._tasks.close()


def _layer(arn: str) -> str:
    return f"official layer {name_of(arn)}"


def _without(function: str, name: str, error: PyfcError) -> str:
    """What people are told of it."""
    _log.warning("%s: %s; function %s has to do without", name, error, function)
    return gist(str(error))


def _programs(function: Function) -> dict[str, dict[str, bytes]]:
    """The official layers of programs, by ARN, with their files."""
    return {arn: files for arn in function.layers if (files := programs_of(arn))}
