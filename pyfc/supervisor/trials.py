"""What a function takes with another memory size: it is run in an instance of a trial's own, under all of its limits.

1. A trial has a pool that is in no table: nobody else's call comes to it, and what is served does not change.
2. Its first call is a cold start of its own code (no copy of a template), the others are warm, one after the other.
3. It goes with all that it has started, however it ends: also when nobody waits for it any more.
4. Its calls are nobody's: they are in no log, no metric and no bill.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from pyfc.calls.paths import serving
from pyfc.calls.table import Entry, Table
from pyfc.errors import Unavailable
from pyfc.model.function import Function, Provision
from pyfc.model.invocation import HttpRequest, Invocation, Kind, Result, invoke
from pyfc.model.names import Target, request_id
from pyfc.supervisor.making import Maker, Refusal
from pyfc.supervisor.pool import Pool
from pyfc.tasks import Tasks

MOST_CALLS = 1000


class Trial(NamedTuple):
    """What is to be tried."""

    target: Target
    memory: int
    """MB, instead of those that are declared."""
    event: bytes
    warm: int
    """Calls after the one that is cold, as long as none fails."""


class Trials:
    """The trials of one server. `table`: what it serves."""

    def __init__(self, maker: Maker, table: Callable[[], Table]) -> None:
        self._maker = maker
        self._table = table
        self._tasks = Tasks()
        self._is_over = False

    async def run(self, trial: Trial) -> dict[str, Any]:
        """The limits of the instance, and what its calls took. Raises NotFound and its like for what is not served,
        HostRefused, Unavailable when the server stops.
        """
        entry, _ = serving(self._table(), trial.target, {})
        limits = dataclasses.replace(entry.function.limits, memory_size=trial.memory)
        function = dataclasses.replace(
            entry.function, limits=limits, provision=Provision(), maximum_instance_count=1, affinity=None
        )
        async with self._pool(function) as pool:
            calls = [_told(result) async for result in _called(pool, entry, trial)]
        if self._is_over:
            raise Unavailable(message="the server is stopping")
        return {
            "memory": trial.memory,
            "vcpu": function.vcpu,
            "isVcpuDeclared": function.is_vcpu_declared,
            "disk": limits.disk_size,
            "calls": calls,
        }

    def end(self) -> None:
        """End all of them now: the server stops, and need not wait for them."""
        self._is_over = True
        for pool in self._maker.tried:
            pool.kill()

    @asynccontextmanager
    async def _pool(self, function: Function) -> AsyncIterator[Pool]:
        """The pool of a trial; nothing is left of it afterwards."""
        if self._maker.is_held(function):
            raise Unavailable(message=f"what {function.service}/{function.name} needs is still being installed")
        pool = self._maker.trial(self._table().services[function.service], function)
        if isinstance(pool, Refusal):
            raise pool.error
        try:
            yield pool
            pool.drain()
        except BaseException:
            pool.kill()
            raise
        finally:
            ending = self._tasks.begin(f"the end of a trial of {function.name}", self._ended(pool))
            await asyncio.shield(ending)

    async def _ended(self, pool: Pool) -> None:
        await pool.roster.drained.wait()
        self._maker.tried.discard(pool)


async def _called(pool: Pool, entry: Entry, trial: Trial) -> AsyncIterator[Result]:
    """The results of the calls, up to the first that failed."""
    for _ in range(1 + trial.warm):
        result = await invoke(pool, _call(entry, trial))
        yield result
        if result.fault is not None:
            return


def _call(entry: Entry, trial: Trial) -> Invocation:
    request = None
    if _is_asked_by_http(entry):
        size = str(len(trial.event))
        request = HttpRequest("POST" if trial.event else "GET", "/", "/", "127.0.0.1", [("content-length", size)])
    kind = Kind.EVENT if request is None else Kind.HTTP
    return Invocation(request_id(), trial.target, kind, trial.event, request)


def _is_asked_by_http(entry: Entry) -> bool:
    """Whether its function is called by HTTP requests alone, and not by JSON events of them."""
    configs: Iterable[Any] = (trigger.config for trigger in entry.triggers if trigger.type == "http")
    return any(entry.is_server or config.get("convention") != "event" for config in configs)


def _told(result: Result) -> dict[str, Any]:
    usage, fault = result.usage, result.fault
    phases = usage.start.phases if usage.start is not None else None
    return {
        "cold": usage.cold,
        "coldStartMs": None if phases is None else sum(phases) * 1000,
        "durationMs": usage.duration * 1000,
        "memoryMb": usage.peak_memory,
        "fault": "" if fault is None else fault.kind.value,
        "message": "" if fault is None else fault.message,
    }
