"""Makes what serves a function: its pool, or what says why there can be none."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import partial

from pyfc.bundles.bundle import Artefact, Bundles
from pyfc.errors import NotFound, NotSupportedYet
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Function, Service
from pyfc.model.invocation import Invocation, Reply, Ticket
from pyfc.registry.deploy import opt_of
from pyfc.registry.registry import Registry
from pyfc.supervisor.affine import AffinePool
from pyfc.supervisor.birth import Birth, BirthContext, Subject, birth, compiler_of, paused
from pyfc.supervisor.builds import Builds
from pyfc.supervisor.compiler import Compiler
from pyfc.supervisor.held import Held
from pyfc.supervisor.interface import PoolContext
from pyfc.supervisor.pool import Pool
from pyfc.supervisor.profiles import Profiling


class Refusal:
    """The route of a function that cannot be run: it says why."""

    def __init__(self, what: str, advice: str) -> None:
        self.error = NotSupportedYet(what=what, advice=advice)

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        """See Route."""
        raise NotSupportedYet(**self.error.fields)


class Maker:
    """Makes pools for one server."""

    def __init__(
        self,
        registry: Registry,
        bundles: Bundles,
        runtimes: Runtimes,
        builds: Builds,
        pools: PoolContext,
        births: BirthContext,
        profiling: Profiling | None = None,
    ) -> None:
        self.compiler = Compiler(pools.launcher, births.sandbox)
        self.tried: set[Pool] = set()
        """The pools of trials (trials.py)."""
        self._settings = pools.settings
        self._registry = registry
        self._bundles = bundles
        self._runtimes = runtimes
        self._pools = pools
        self._births = births
        self._builds = builds
        self._profiling = profiling

    def is_held(self, function: Function) -> bool:
        """Whether it needs what is still being installed."""
        source = function.code.source if function.code is not None and not function.version_id else ""
        return bool(source) and self._builds.is_pending(source)

    def held(self, function: Function) -> Held:
        """The route of such a function."""
        builds, settings, code = self._builds, self._settings, function.code
        assert code is not None
        hurry, said = partial(builds.hurry, code.source), partial(builds.said, code.source)
        return Held(function, settings.build_wait, settings.maximum_waiting_calls, hurry, said)

    def is_server(self, function: Function) -> bool:
        """Whether it is a server of HTTP itself, which calls reach as they are."""
        runtime = self._runtimes.get(function.runtime)
        return runtime is not None and runtime.serves and function.runtime not in runtime.pulls

    def make(self, service: Service, function: Function) -> Pool | Refusal:
        """The route of a function. Raises InvalidArgument for a debugger that is not there."""
        if function.is_called(self._settings.debug):
            function = paused(function)
        made = self._born(service, function)
        if isinstance(made, Refusal):
            return made
        born, artefact = made
        self.compiler.add(function, artefact, born)
        watch = self._profiling.watch(function, born) if self._profiling is not None else None
        if watch is not None:
            born = dataclasses.replace(born, woken=watch.arm)
        pool = (AffinePool if function.affinity is not None else Pool)(function, born, self._pools)
        if watch is not None:
            watch.follow(pool)
        return pool

    def trial(self, service: Service, function: Function) -> Pool | Refusal:
        """A pool that is tried beside the one that serves the function: without a template, which would outlive it."""
        made = self._born(service, function)
        if isinstance(made, Refusal):
            return made
        born = made[0]
        pool = Pool(function, dataclasses.replace(born, spec=born.spec.without_template()), self._pools)
        self.tried.add(pool)
        return pool

    def _born(self, service: Service, function: Function) -> tuple[Birth, Artefact] | Refusal:
        """What its instances are born with, and its code."""
        runtime = self._runtimes.get(function.runtime)
        if runtime is None or function.code is None:
            what = f"function '{function.name}' of service '{function.service}' with runtime '{function.runtime}'"
            return Refusal(what, self._runtimes.why_not(function.runtime))
        interpreter = self._runtimes.interpreter(function.runtime)
        assert interpreter is not None
        compiler = compiler_of(function, runtime, interpreter)
        artefact = self._bundles.artefact(function.code, function.opt, compiler)
        born = birth(Subject(service, function, artefact, runtime, interpreter.path), self._births)
        lacks = partial(self._builds.has_failed, artefact.source)
        born = dataclasses.replace(born, present=partial(self._present, function), lacks=lacks)
        return born, artefact

    async def _present(self, function: Function) -> None:
        """Have the function's code where its workers look for it: what is gone is made again. Raises CodeLost."""
        if function.code is not None:
            await self._bundles.restore(function.code)
        if function.opt is None or self._bundles.has(function.opt):
            return
        with contextlib.suppress(NotFound):  # a version of a layer that was deleted
            await opt_of(self._registry, self._bundles, function.layers)
        await self._bundles.restore(function.opt)
