"""A project becomes desired state: the one path of `serve` and of hot reload, later of the management API.

Everything that can fail (reading code, unpacking archives) comes first; the writes come last, so that a project with
a mistake changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pyfc.errors import InvalidArgument, ProjectError
from pyfc.host.bundle import Bundles
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Code, Function
from pyfc.model.names import Target
from pyfc.project.interface import Declaration, Project
from pyfc.registry.registry import Registry


class Report(NamedTuple):
    """What a deployment did."""

    revision: int
    """The registry's revision that contains it."""
    functions: list[Function]
    refused: list[str]
    """Functions that are declared and can not be run, each with the reason."""
    changed: list[str]
    """SERVICE/FUNCTION of those that are new, different or gone."""
    warnings: list[str] = []  # noqa: RUF012  never changed
    """What could not be installed, in words."""


class Deployer:
    """Writes projects into the registry."""

    def __init__(
        self, registry: Registry, bundles: Bundles, runtimes: Runtimes, in_use: Callable[[], Iterable[str]]
    ) -> None:
        """`in_use` tells digests of the code of instances, which stays also when nothing declares it any more."""
        self._in_use = in_use
        self._registry = registry
        self._bundles = bundles
        self._runtimes = runtimes

    async def deploy(self, project: Project, built: Mapping[Path, Sequence[Path]] = MappingProxyType({})) -> Report:
        """Make `project` the desired state. `built`: what was installed for a folder of code. Raises
        ProjectError with file and line; then nothing has changed.
        """
        refused: list[str] = []
        kept: dict[Path, Code] = {}
        functions: list[Function] = []
        for declaration in project.functions:
            if self._runtimes.get(declaration.function.runtime) is None:
                refused.append(self._refusal(declaration.function))
                functions.append(declaration.function)
            else:
                functions.append(await self._bundle(declaration, kept, built))
        codes = [function.code for function in functions if function.code is not None]
        self._bundles.sweep([*self._in_use(), *(digest for code in codes for digest in (code.digest, code.packages))])
        before = {function.target: function for function in await self._registry.functions()}
        after = {function.target: function for function in functions}
        gone = [target for target in before if target not in after]
        revision = await self._write(project, functions, gone)
        changed = [*gone, *(target for target in after if before.get(target) != after[target])]
        return Report(revision, functions, refused, sorted(f"{target.service}/{target.function}" for target in changed))

    def _refusal(self, function: Function) -> str:
        reason = self._runtimes.why_not(function.runtime)
        return f"runtime {function.runtime} of {function.service}/{function.name} ({reason})"

    async def _bundle(
        self, declaration: Declaration, kept: dict[Path, Code], built: Mapping[Path, Sequence[Path]]
    ) -> Function:
        path = declaration.code
        if path is None:
            return declaration.function
        if path not in kept:
            try:
                kept[path] = await self._bundles.put(path, built.get(path, ()))
            except ProjectError:
                raise
            except InvalidArgument as error:
                raise ProjectError(where=declaration.where, message=str(error)) from error
        return dataclasses.replace(declaration.function, code=kept[path])

    async def _write(self, project: Project, functions: list[Function], gone: list[Target]) -> int:
        revision = 0
        for service in project.services:
            revision = max(revision, await self._registry.put(service))
        for target in gone:
            revision = max(revision, await self._registry.delete_function(target.service, target.function))
        for function in functions:
            revision = max(revision, await self._registry.put(function))
        for trigger in project.triggers:
            revision = max(revision, await self._registry.put(trigger))
        return revision
