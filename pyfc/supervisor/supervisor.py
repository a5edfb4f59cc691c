"""Makes pools match the registry, and publishes the table by which calls find them.

Nobody tells the supervisor what to do: it reads what changed in the desired state, builds the new pool, publishes a
new table and drains the old pool. The table is replaced whole, never edited, so a call sees the old version or the
new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial

from pyfc.calls.table import Entry, Table
from pyfc.errors import FunctionNotFound, HostRefused
from pyfc.model.function import Function, Service
from pyfc.model.invocation import Result, Route
from pyfc.model.names import Target
from pyfc.model.resources import Config
from pyfc.observe.lives import Sample
from pyfc.observe.metrics.gauges import Instances
from pyfc.registry.registry import Change, Registry, key_of
from pyfc.settings import Settings
from pyfc.supervisor.affine import pools_of
from pyfc.supervisor.draft import Dormant, Draft, scale
from pyfc.supervisor.held import Held
from pyfc.supervisor.making import Maker
from pyfc.supervisor.pool import Pool
from pyfc.supervisor.progress import Progress
from pyfc.supervisor.reserve import SUPERSEDED
from pyfc.supervisor.samples import held, samples
from pyfc.supervisor.scaler import Scaler
from pyfc.tasks import Tasks, while_alive
from pyfc.workers.launchers.by_runtime import Launchers

_log = logging.getLogger(__name__)
_EAGER = 256
"""Pools that are made before they are needed."""
_REPEAT = 1.0
"""Seconds after which a version that was given up is tried again, if nothing newer came after all."""


class Supervisor:
    """The pools of one server."""

    def __init__(
        self, settings: Settings, registry: Registry, maker: Maker, launcher: Launchers, scaler: Scaler
    ) -> None:
        self.table = Table({}, {}, {}, {})
        self._on_table: Callable[[Table], None] = lambda _: None
        self._settings = settings
        self._registry = registry
        self.maker = maker
        self._launcher = launcher
        self._scaler = scaler
        self._pools: set[Pool] = set()
        self._draining: set[Pool] = set()
        self._configs: dict[tuple[str, str, str, str], Config] = {}
        """By service, function, qualifier and kind."""
        self._given_up: dict[Target, Function] = {}
        """Newest versions whose proof was given up; they are tried again with the next change, or a moment later."""
        self._progress = Progress()
        self._prepared = asyncio.Event()
        self.following: asyncio.Task[None] | None = None
        """What makes the table follow the registry."""
        self._tasks = Tasks()

    def publish(self, action: Callable[[Table], None]) -> None:
        """Have `action` called with each new table."""
        self._on_table = action

    def start(self) -> None:
        """Begin to follow the registry; the zygotes warm up meanwhile."""
        name = "serving what the registry says"
        self.following = self._tasks.begin(name, self._follow(self._registry.changes()))

    async def caught_up(self, revision: int) -> None:
        """Return when everything up to `revision` of the registry is served, and what there was at the start. Raises
        HostRefused if nothing can be, Unavailable if the registry is followed no more, Internal if this very revision
        cannot be served.
        """
        assert self.following is not None
        await while_alive(self.following, self._progress.reached(revision))
        self._progress.check(revision)

    async def _prepare(self) -> None:
        """Warm up; how workers are locked in decides what instances are born with."""
        try:
            await self._launcher.prepare()
        except HostRefused as error:
            await self._progress.refuse(error)
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
        functions = [*served, *(pool.function for pool in self._all())]
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
        concerned = {change.key for change in changes}
        again = [Change(0, key_of(each), each) for each in given_up.values() if key_of(each) not in concerned]
        try:
            failed = await self._apply([*changes, *again])
        except Exception:
            _log.exception("a change of the registry could not be applied")
            failed = concerned
        await self._progress.move(changes, failed)

    async def _apply(self, changes: Iterable[Change]) -> set[str]:
        """Serve what has changed; returns the keys of what cannot be. While files are watched, a new version replaces
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
        self._on_table(self.table)
        for entry in retired:
            self._retire(entry.route)
        return draft.failed

    def _entry(self, service: Service, function: Function, *, eager: bool) -> Entry:
        """A function that can be called from now on; with its pool if that is wanted and there are not too many."""
        if self.maker.is_held(function):
            return Entry(function, self.maker.held(function), (), is_server=self.maker.is_server(function))
        eager = eager and (len(self._pools) < _EAGER or function.provision.is_needed)
        route = self._route(service, function) if eager else Dormant(partial(self._wake, service, function))
        return Entry(function, route, (), is_server=self.maker.is_server(function))

    def follow_builds(self) -> None:
        """Hold the calls of functions that need what is being built, and let those go that need it no longer."""
        entries = dict(self.table.entries)
        changed: list[tuple[Entry, Entry]] = []
        for target, entry in self.table.entries.items():
            is_held = isinstance(entry.route, Held)
            if is_held == self.maker.is_held(entry.function):
                continue
            service = self.table.services[target.service]
            made = self._entry(service, entry.function, eager=True)
            entries[target] = made._replace(triggers=entry.triggers)
            changed.append((entry, entries[target]))
        if not changed:
            return
        self.table = self.table._replace(entries=entries)
        scale(self.table, self._configs, self._settings.maximum_instance_count)
        self._on_table(self.table)
        for old, _ in changed:
            self._retire(old.route)

    def _wake(self, service: Service, function: Function, dormant: Dormant) -> Route:
        """Make the pool of a function that is called for the first time."""
        target = function.target
        entry = self.table.entries.get(target)
        route = self._route(service, function)
        if entry is not None and entry.route is dormant:
            self.table = self.table._replace(entries={**self.table.entries, target: entry._replace(route=route)})
            scale(self.table, self._configs, self._settings.maximum_instance_count, target)
            self._on_table(self.table)
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
        route = self.maker.make(service, function)
        if isinstance(route, Pool):
            self._pools.add(route)
            self._scaler.add(route)
            self._launcher.hold(route.population.birth.spec)
            route.population.reserve.look()
        return route

    def _retire(self, route: Route) -> None:
        if isinstance(route, Held):
            entry = self.table.entries.get(route.function.target)
            if entry is not None:
                route.release(entry.route)
            else:
                route.refuse(FunctionNotFound(function=route.function.name, service=route.function.service))
        if isinstance(route, Pool):
            self._pools.discard(route)
            self._scaler.remove(route)
            self._draining.add(route)
            route.drain()
            self._launcher.release(route.population.birth.spec)
            self._tasks.begin(f"the end of {route.function.service}/{route.function.name}", self._drained(route))

    async def _drained(self, pool: Pool) -> None:
        await _emptied(pool)
        self._draining.discard(pool)

    async def samples(self, is_wanted: Callable[[Function], bool]) -> list[Sample]:
        """What the instances of those functions use now for which that is wanted."""
        return await samples(self._with_instances(), is_wanted)

    def held(self) -> list[Instances]:
        """Which functions have instances now."""
        return held(self._with_instances())

    def _with_instances(self) -> Iterator[Pool]:
        return (each for pool in self._draining | self._pools for each in pools_of(pool))

    def give_up_proofs(self) -> None:
        """Wait for no version that has not started yet: newer ones have come."""
        for pool in list(self._pools):
            pool.population.reserve.give_up()

    def refuse_held(self) -> None:
        """Let no call wait for packages any more: the server stops."""
        for entry in self.table.entries.values():
            if isinstance(entry.route, Held):
                entry.route.refuse()

    def _all(self) -> set[Pool]:
        """Every pool that has, or may have, instances."""
        return self._draining | self._pools | self.maker.tried

    def kill(self) -> None:
        """End every instance now."""
        for pool in self._all():
            pool.kill()

    async def close(self) -> None:
        """Drain every pool, then end the zygotes and whatever is left."""
        if self.following is not None:
            self.following.cancel()
        await self.maker.compiler.close()
        pools = self._all()
        for pool in pools:
            pool.drain()
        try:
            async with asyncio.timeout(STOP_TIMEOUT + min(self._settings.drain_timeout, _longest_pre_stop(pools))):
                await asyncio.gather(*(_emptied(pool) for pool in pools))
        except TimeoutError:
            self.kill()
        await self._launcher.close()


async def _next(batches: AsyncIterator[list[Change]]) -> list[Change]:
    return await anext(batches)


async def _emptied(pool: Pool) -> None:
    """Return when it has no instance."""
    await asyncio.gather(*(each.roster.drained.wait() for each in pools_of(pool)))


async def _proof(old: Route, new: Route) -> Result | None:
    has_served = isinstance(old, Pool) and old.population.start_took > 0 and not old.population.birth.init.debug_port
    return await new.population.reserve.prove() if has_served and isinstance(new, Pool) else None


def _longest_pre_stop(pools: Iterable[Pool]) -> float:
    hooks = [pool.function.pre_stop for pool in pools]
    return max((float(hook.timeout) for hook in hooks if hook.handler), default=0.0)


STOP_TIMEOUT = 2.0
"""Seconds that instances without calls get to end when the server stops."""
