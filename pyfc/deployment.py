"""A folder comes to be served: checked, built, handed over, proved, swept. What becomes of it in the registry is
registry/deploy.py's, what is installed supervisor/builds.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from pyfc.errors import PyfcError
from pyfc.host.runtimes import Runtimes
from pyfc.project.interface import Project
from pyfc.registry.deploy import Deployer, Inputs, Report
from pyfc.registry.operations import Operations
from pyfc.sandbox.protections import require
from pyfc.sandbox.sandbox import Sandbox
from pyfc.supervisor.birth import debugger
from pyfc.supervisor.builds import Builds, Outcome, Progress
from pyfc.supervisor.supervisor import Supervisor


class Deployment:
    """Deploys folders onto one server, one at a time."""

    def __init__(
        self, operations: Operations, runtimes: Runtimes, builds: Builds, supervisor: Supervisor, sandbox: Sandbox
    ) -> None:
        self.builds = builds
        self._settings = operations.settings
        self._operations = operations
        self._runtimes = runtimes
        self._supervisor = supervisor
        self._sandbox = sandbox
        self._deployer = Deployer(operations.registry, operations.bundles, runtimes)
        self._turn = asyncio.Lock()
        self._project: Project | None = None

    async def deploy(self, project: Project, changed: frozenset[Path] | None = None, *, beside: bool = False) -> Report:
        """Serve `project`. Returns when every function of it can be called. `changed`: what has changed on disk since
        the last time, if that is known. `beside`: what functions need is installed while the server answers, from
        `start_builds` on; until then their calls wait.
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
            official = await self.builds.official_for(project, warnings, installs=self._settings.build)
            if built or self._settings.reload:
                await self._supervisor.prepared()  # how workers are locked in decides how they find packages
            report = await self._deployer.deploy(project, Inputs(built, official, changed))
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

    def start_builds(self, hear: Callable[[Outcome], None], tell: Callable[[Progress], None]) -> None:
        """Begin to install what is not there yet; `hear` is told of each end, when what it was for is served, `tell` of
        how it comes along.
        """

        async def ended(outcome: Outcome) -> None:
            hear(await self._serve_built(outcome))

        self.builds.start(ended, tell)

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
