"""A folder comes to be served: checked, built, handed over, proved, swept. What becomes of it in the registry is
registry/deploy.py's, what is installed supervisor/builds.py's.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from pyfc.build.builder import Builder
from pyfc.build.official import name_of, packages_of, stand_in
from pyfc.errors import PyfcError
from pyfc.host.runtimes import Runtimes
from pyfc.project.interface import Project
from pyfc.registry.deploy import Deployer, Given, Report
from pyfc.registry.operations import Operations
from pyfc.sandbox.protections import require
from pyfc.sandbox.sandbox import Sandbox
from pyfc.supervisor.birth import debugger
from pyfc.supervisor.builds import Builds, Outcome
from pyfc.supervisor.supervisor import Supervisor


class Deployment:
    """Deploys folders onto one server, one at a time."""

    def __init__(
        self, operations: Operations, runtimes: Runtimes, builder: Builder, supervisor: Supervisor, sandbox: Sandbox
    ) -> None:
        self.builder = builder
        self.builds = Builds(builder, runtimes, self._serve_built)
        self._settings = operations.settings
        self._operations = operations
        self._runtimes = runtimes
        self._supervisor = supervisor
        self._sandbox = sandbox
        self._deployer = Deployer(operations.registry, operations.bundles, runtimes)
        self._turn = asyncio.Lock()
        self._project: Project | None = None
        supervisor.hold_for(self.builds)

    async def deploy(self, project: Project, changed: frozenset[Path] | None = None, *, beside: bool = False) -> Report:
        """Serve `project`. Returns when every function of it can be called. `changed`: what has changed on disk since
        the last time, if that is known. `beside`: what functions need is installed while the server answers, from
        `builds.start` on; until then their calls wait.
        """
        report = await self._deploy(project, changed, beside=beside, again=False)
        self._supervisor.follow_builds()
        return report

    async def _deploy(self, project: Project, changed: frozenset[Path] | None, *, beside: bool, again: bool) -> Report:
        async with self._turn:
            self._check(project)
            built: dict[Path, list[Path]] = {}
            warnings: list[str] = []
            if self._settings.build:
                built, warnings = await self.builds.built_for(project, beside=beside, again=again)
            official = await self._official_layers(project, warnings)
            if built or self._settings.reload:
                await self._supervisor.prepared()  # how workers are locked in decides how they find packages
            report = await self._deployer.deploy(project, Given(built, official, changed))
            self._project = project
            await self._supervisor.caught_up(report.revision)
            self._operations.collect()
            require(self._sandbox)
            return report._replace(warnings=warnings)

    def _check(self, project: Project) -> None:
        """Raise InvalidArgument if a function is to be debugged and there is nothing to do it with."""
        for declaration in project.functions:
            runtime = self._runtimes.get(declaration.function.runtime)
            if runtime is not None and declaration.function.is_called(self._settings.debug):
                debugger(runtime, self._settings.debugger)

    async def _serve_built(self, outcome: Outcome) -> Outcome:
        """A build beside the server is over: serve what it was for. What is to be told of it."""
        warnings = [outcome.warning] if outcome.warning else []
        if self._project is not None:
            try:
                await self._deploy(self._project, None, beside=False, again=True)
            except PyfcError as error:
                warnings.append(str(error))
        self._supervisor.follow_builds()
        return outcome._replace(warning="\n".join(warnings))

    async def _official_layers(self, project: Project, warnings: list[str]) -> dict[str, Path]:
        """The official layers of the project's functions, as far as they are packages that can be had; of all others
        it is told what stands in for them, or what is missing.
        """
        functions = [
            each.function for each in project.functions if self._runtimes.get(each.function.runtime) is not None
        ]
        wanted = {arn: each.runtime for each in functions for arn in each.layers if name_of(arn)}
        found = {arn: await self._official_layer(arn, runtime, warnings) for arn, runtime in wanted.items()}
        return {arn: folder for arn, folder in found.items() if folder is not None}

    async def _official_layer(self, arn: str, runtime: str, warnings: list[str]) -> Path | None:
        packages, interpreter = packages_of(arn), self._runtimes.interpreter(runtime)
        if packages is None or interpreter is None or not self._settings.build:
            warnings.append(stand_in(arn))
            return None
        try:
            return await self.builder.layer(name_of(arn), packages, interpreter.path, interpreter.version)
        except PyfcError as error:
            warnings.append(f"{error}; its functions have to do without")
            return None
