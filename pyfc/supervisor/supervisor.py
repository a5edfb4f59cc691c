"""Makes pools match the registry, and publishes the table by which calls find them.

Nobody tells the supervisor what to do: it reads what changed in the desired state, builds the new pool, publishes a
new table and drains the old pool. The table is replaced whole, never edited, so a call sees the old version or the
new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial

from pyfc.bundles.bundle import Bundles
from pyfc.calls.table import Entry, Table
from pyfc.errors import HostRefused, Internal, NotFound, NotSupportedYet
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Function, Service
from pyfc.model.invocation import Invocation, Reply, Result, Route, Ticket
from pyfc.model.names import Target
from pyfc.model.resources import Config
from pyfc.observe.journal import Journal, OutputRecord
from pyfc.registry.deploy import opt_of
from pyfc.registry.registry import Change, Registry, key_of
from pyfc.sandbox.sandbox import Sandbox
from pyfc.settings import Settings
from pyfc.supervisor.birth import birth, compiler_of, paused
from pyfc.supervisor.compiler import Compiler
from pyfc.supervisor.draft import Dormant, Draft, scale
from pyfc.supervisor.pool import Pool
from pyfc.supervisor.reserve import SUPERSEDED
from pyfc.supervisor.scaler import Scaler
from pyfc.tasks import Tasks, while_alive
from pyfc.workers.launchers.by_runtime import Launchers

_log = logging.getLogger(__name__)
_EAGER = 256
"""Pools that are made before they are needed."""
_REPEAT = 1.0
"""Seconds after which a version that was given up is tried again, if nothing newer came after all."""


class Refusal:
    """The route of a function that can not be run: it says why."""

    def __init__(self, what: str, advice: str) -> None:
        self._what = what
        self._advice = advice

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        """See Route."""
        raise NotSupportedYet(what=self._what, advice=self._advice)


class Supervisor:
    """The pools of one server. `on_table` is called with each new table."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        bundles: Bundles,
        runtimes: Runtimes,
        journal: Journal,
        sandbox: Sandbox,
        role: Mapping[str, str],
    ) -> None:
        """`role`: the credentials that functions get."""
        self._role = role
        self.table = Table({}, {}, {}, {})
        self.on_table: Callable[[Table], None] = lambda _: None
        self._settings = settings
        self._registry = registry
        self._bundles = bundles
        self._runtimes = runtimes
        self._journal = journal
        self._launcher = Launchers(settings, runtimes, sandbox)
        self._sandbox = sandbox
        self._compiler = Compiler(self._launcher, sandbox)
        self._scaler = Scaler(settings.maximum_server_instances)
        self._pools: set[Pool] = set()
        self._draining: set[Pool] = set()
        self._revision = -1
        self._configs: dict[tuple[str, str, str, str], Config] = {}
        """By service, function, qualifier and kind."""
        self._refused: HostRefused | None = None
        self._failed: dict[str, int] = {}
        """What is not served as it was declared: revisions by key."""
        self._given_up: dict[Target, Function] = {}
        """Newest versions whose proof was given up; they are tried again with the next change, or a moment later."""
        self._moved = asyncio.Condition()
        self._prepared = asyncio.Event()
        self.following: asyncio.Task[None] | None = None
        """What makes the table follow the registry."""
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to follow the registry; the zygotes warm up meanwhile."""
        name = "serving what the registry says"
        self.following = self._tasks.begin(name, self._follow(self._registry.changes()))

    async def caught_up(self, revision: int) -> None:
        """Return when everything up to `revision` of the registry is served, and what there was at the start. Raises
        HostRefused if nothing can be, Unavailable if the registry is followed no more, Internal if this very revision
        can not be served.
        """
        assert self.following is not None
        await while_alive(self.following, self._reached(revision))
        if self._refused is not None:
            raise self._refused
        failed = [name for name, when in self._failed.items() if when == revision > 0]
        if failed:
            raise Internal(detail=f"{', '.join(failed)} can not be served as it was declared: see the server's log")

    async def _reached(self, revision: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._revision >= revision or self._refused is not None)

    async def _prepare(self) -> None:
        """Warm up; how workers are locked in decides what instances are born with."""
        try:
            await self._launcher.prepare()
        except HostRefused as error:
            async with self._moved:
                self._refused = error
                self._moved.notify_all()
        self._prepared.set()

    def config(self, target: Target, kind: str) -> Config | None:
        """A configuration of one function and qualifier."""
        return self._configs.get((*target, kind))

    async def prepared(self) -> None:
        """Return when it is known how workers are locked in here. Raises Unavailable if that will not be."""
        assert self.following is not None
        await while_alive(self.following, self._prepared.wait())

    def codes(self) -> list[str]:
        """Digests of the code that instances and templates have or may get."""
        served = [entry.function for entry in self.table.entries.values()]
        functions = [*served, *(pool.function for pool in self._draining | self._pools)]
        return [*self._launcher.codes(), *(digest for function in functions for digest in function.codes)]

    async def _follow(self, batches: AsyncIterator[list[Change]]) -> None:
        await self._prepare()
        following: asyncio.Task[list[Change]] | None = None
        try:
            while True:
                following = following or asyncio.get_running_loop().create_task(_next(batches))
                await asyncio.wait({following}, timeout=_REPEAT if self._given_up else None)
                changes, following = (following.result(), None) if following.done() else ([], following)
                await self._take(changes)
        finally:
            if following is not None:
                following.cancel()

    async def _take(self, changes: list[Change]) -> None:
        """Apply what has changed, and what was given up before for something newer that did not concern it."""
        given_up, self._given_up = self._given_up, {}
        for change in changes:
            kind, *names = change.key.split("/")
            if kind == "functions":
                given_up.pop(Target(*names), None)
        again = [Change(0, key_of(function), function) for function in given_up.values()]
        try:
            failed = await self._apply([*changes, *again])
        except Exception:
            _log.exception("a change of the registry could not be applied")
            failed = {change.key for change in changes}
        for change in changes:
            self._failed.pop(change.key, None)
        self._failed |= {change.key: change.revision for change in changes if change.key in failed}
        if changes or self._revision < 0:
            async with self._moved:
                self._revision = max(self._revision, 0, *(change.revision for change in changes))
                self._moved.notify_all()

    async def _apply(self, changes: Iterable[Change]) -> set[str]:
        """Serve what has changed; returns the keys of what can not be. While files are watched, a new version replaces
        one that has been called only when an instance of it has started; else the old one goes on.
        """
        draft = Draft(self.table, self._configs, self._entry)
        for change in changes:
            draft.apply(change)
        retired = draft.retired
        if self._settings.reload:
            retired = await self._prove(draft.entries, retired)
        self.table = draft.table()
        scale(self.table, self._configs, self._settings.maximum_instance_count)
        self.on_table(self.table)
        for entry in retired:
            self._retire(entry.route)
        return draft.failed

    def _entry(self, service: Service, function: Function, *, eager: bool) -> Entry:
        """A function that can be called from now on; with its pool if that is wanted and there are not too many."""
        eager = eager and (len(self._pools) < _EAGER or function.provision.is_needed)
        route = self._route(service, function) if eager else Dormant(partial(self._wake, service, function))
        runtime = self._runtimes.get(function.runtime)
        serves = runtime is not None and runtime.serves and function.runtime not in runtime.pulls
        return Entry(function, route, (), is_server=serves)

    def _wake(self, service: Service, function: Function, dormant: Dormant) -> Route:
        """Make the pool of a function that is called for the first time."""
        target = function.target
        entry = self.table.entries.get(target)
        route = self._route(service, function)
        if entry is not None and entry.route is dormant:
            self.table = self.table._replace(entries={**self.table.entries, target: entry._replace(route=route)})
            scale(self.table, self._configs, self._settings.maximum_instance_count, target)
            self.on_table(self.table)
        else:  # it was replaced while this call was on its way
            self._retire(route)
        return route

    async def _prove(self, entries: dict[Target, Entry], retired: list[Entry]) -> list[Entry]:
        """Start an instance of each new version; put the old entry back where that fails. Returns what is to retire."""
        pairs = [(old, entries[old.function.target]) for old in retired if old.function.target in entries]
        outcomes = await asyncio.gather(*(_proof(old.route, new.route) for old, new in pairs))
        for (old, new), result in zip(pairs, outcomes, strict=True):
            if result is not None and result.fault is not None and result.fault.type == SUPERSEDED:
                self._given_up[new.function.target] = new.function
            if result is not None:
                entries[new.function.target] = old._replace(newest=result)
                retired[retired.index(old)] = new
        return retired

    def _route(self, service: Service, function: Function) -> Route:
        runtime = self._runtimes.get(function.runtime)
        if runtime is None or function.code is None:
            what = f"function '{function.name}' of service '{function.service}' with runtime '{function.runtime}'"
            return Refusal(what, self._runtimes.why_not(function.runtime))
        interpreter = self._runtimes.interpreter(function.runtime)
        assert interpreter is not None
        compiler = compiler_of(function, runtime, interpreter)
        artefact = self._bundles.artefact(function.code, function.opt, compiler)
        if function.is_called(self._settings.debug):
            function = paused(function)
        born = birth(service, function, artefact, runtime, interpreter.path, self._settings, self._sandbox, self._role)
        born = dataclasses.replace(born, present=partial(self._present, function))
        self._compiler.add(function, artefact, born)
        pool = Pool(
            function,
            born,
            self._settings,
            self._launcher,
            self._scaler,
            on_output=self._output,
        )
        self._pools.add(pool)
        self._scaler.add(pool)
        self._launcher.hold(born.spec)
        pool.population.reserve.look()
        return pool

    async def _present(self, function: Function) -> None:
        """Have the function's code where its workers look for it: what is gone is made again. Raises CodeLost."""
        if function.code is not None:
            await self._bundles.restore(function.code)
        if function.opt is None or self._bundles.has(function.opt):
            return
        with contextlib.suppress(NotFound):  # a version of a layer that was deleted
            await opt_of(self._registry, self._bundles, function.layers)
        await self._bundles.restore(function.opt)

    def _output(self, function: Function, instance_id: str, request_id: str, data: bytes) -> None:
        self._journal.add(OutputRecord(time.time(), function, instance_id, request_id, data))

    def _retire(self, route: Route) -> None:
        if isinstance(route, Pool):
            self._pools.discard(route)
            self._scaler.remove(route)
            self._draining.add(route)
            route.drain()
            self._launcher.release(route.population.birth.spec)
            self._tasks.begin(f"the end of {route.function.service}/{route.function.name}", self._drained(route))

    async def _drained(self, pool: Pool) -> None:
        await pool.roster.drained.wait()
        self._draining.discard(pool)

    def give_up_proofs(self) -> None:
        """Wait for no version that has not started yet: newer ones have come."""
        for pool in list(self._pools):
            pool.population.reserve.give_up()

    def kill(self) -> None:
        """End every instance now."""
        for pool in self._draining | self._pools:
            pool.kill()

    async def close(self) -> None:
        """Drain every pool, then end the zygotes and whatever is left."""
        if self.following is not None:
            self.following.cancel()
        await self._compiler.close()
        pools = self._draining | self._pools
        for pool in pools:
            pool.drain()
        try:
            async with asyncio.timeout(STOP_TIMEOUT + min(self._settings.drain_timeout, _longest_pre_stop(pools))):
                await asyncio.gather(*(pool.roster.drained.wait() for pool in pools))
        except TimeoutError:
            self.kill()
        await self._launcher.close()


async def _next(batches: AsyncIterator[list[Change]]) -> list[Change]:
    return await anext(batches)


async def _proof(old: Route, new: Route) -> Result | None:
    has_served = isinstance(old, Pool) and old.population.start_took > 0 and not old.population.birth.init.debug_port
    return await new.population.reserve.prove() if has_served and isinstance(new, Pool) else None


def _longest_pre_stop(pools: Iterable[Pool]) -> float:
    hooks = [pool.function.pre_stop for pool in pools]
    return max((float(hook.timeout) for hook in hooks if hook.handler), default=0.0)


STOP_TIMEOUT = 2.0
"""Seconds that instances without calls get to end when the server stops."""
