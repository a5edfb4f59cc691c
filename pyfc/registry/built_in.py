"""FC's built-in modules for functions that clients make: what their code uses and nothing in it provides is installed,
and lies in /opt as after their layers.
"""

from __future__ import annotations

import asyncio
import logging

from pyfc.boundary import Boundary
from pyfc.build.builder import Builder
from pyfc.build.builtins import SOURCE, builtins_of
from pyfc.build.official import Packages
from pyfc.bundles.bundle import Bundles
from pyfc.errors import PyfcError
from pyfc.host.interpreters import Interpreter
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Code, Function
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_TOOLS = {"python": "pip", "nodejs": "npm"}
"""What installs the modules of a runtime, by how its name begins."""
_PATIENCE = 20.0
"""Seconds that a client waits for an installer. It goes on, and what it has made is there when code is next sent."""


class BuiltIn:
    """Installs them, unless `installs` says that nothing is to be installed."""

    def __init__(self, builder: Builder, bundles: Bundles, runtimes: Runtimes, *, installs: bool) -> None:
        self._builder = builder
        self._bundles = bundles
        self._runtimes = runtimes
        self._installs = installs
        self._tasks = Tasks()
        self._turn = asyncio.Lock()

    async def of(self, function: Function, code: Code | None) -> Code | None:
        """The modules that a function with this code uses; None if it uses none. What can not be had is logged."""
        tool = next((tool for name, tool in _TOOLS.items() if function.runtime.startswith(name)), "")
        is_there = tool and self._runtimes.get(function.runtime) is not None
        interpreter = self._runtimes.interpreter(function.runtime) if is_there else None
        if code is None or interpreter is None or not self._installs:
            return None
        words = await asyncio.to_thread(self._used, code, tool)
        if not words:
            return None
        name = f"{function.service}/{function.name}"
        work = self._install(name, Packages(tool, words), interpreter)
        task = self._tasks.begin(f"installing {', '.join(words)} for {name}", work)
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
        return task.result() if done else None

    def _used(self, code: Code, tool: str) -> tuple[str, ...]:
        folder = self._bundles.artefact(code).folder
        try:
            found = builtins_of(folder, Boundary(folder, refuses=False))
        except PyfcError as error:  # of what cannot be looked through; it is code all the same
            _log.warning("%s are not looked for: %s", SOURCE, error)
            return ()
        return next((manifest.packages for manifest in found if manifest.tool == tool), ())

    async def _install(self, name: str, wanted: Packages, interpreter: Interpreter) -> Code | None:
        layer = "-".join(each.replace("/", "_") for each in wanted.words)
        try:
            async with self._turn:
                folder = await self._builder.layer(layer, wanted, interpreter.path, interpreter.version)
            return await self._bundles.put(folder, (), Boundary(None))
        except PyfcError as error:
            _log.warning("%s: %s; function %s has to do without", SOURCE, error, name)
            return None

    async def close(self) -> None:
        """The server stops: installers end."""
        await self._tasks.close()
