"""Start a worker as a fork of its runtime's warm zygote, and keep spares: forked workers that wait for their Init.

A spare is a worker like any other that nobody has told yet what it is to be; it has run no user code. One that is
taken is replaced a moment later, so that its own start is not slowed down by that of the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from pyfc.errors import HostRefused
from pyfc.host.launch import LaunchSpec, Worker, start
from pyfc.host.runtimes import Runtime
from pyfc.host.sandbox import Sandbox
from pyfc.host.zygote import Zygote

_log = logging.getLogger(__name__)
_REFILL_DELAY = 0.01


class ForkLauncher:
    """Keeps one zygote per runtime; a zygote that has died is started again for the next worker."""

    def __init__(self, spares: int, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._spares_wanted = spares
        self._zygotes: dict[str, Zygote] = {}
        self._spares: dict[str, deque[Worker]] = {}
        self._refills: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def prepare(self, spec: LaunchSpec) -> None:
        """Start the zygote and the spares ahead of their first use. Returns when it is known how workers are locked
        in. Raises HostRefused.
        """
        await self.zygote(spec.runtime)
        self._refill_later(spec)

    async def launch(self, spec: LaunchSpec) -> Worker:
        """See Launcher."""
        self._refill_later(spec)
        spares = self._spares.get(spec.runtime.name)
        while spares:
            worker = spares.popleft()
            if worker.process.exit is None:
                return worker
            worker.close()
        return await self._fork(spec)

    def status(self, spec: LaunchSpec) -> str:
        """See Launcher."""
        return f"{spec.runtime.name} has none"

    async def _fork(self, spec: LaunchSpec) -> Worker:
        zygote = await self.zygote(spec.runtime)
        return await start(self._sandbox, lambda _, descriptors: zygote.fork(spec.limits, descriptors))

    async def zygote(self, runtime: Runtime) -> Zygote:
        """The runtime's zygote, locked in. Raises HostRefused."""
        zygote = self._zygotes.get(runtime.name)
        if zygote is None or zygote.ended:
            zygote = self._zygotes[runtime.name] = Zygote(runtime.folder / runtime.zygote, self._sandbox.profile())
        if not zygote.nested.done() or not self._sandbox.mode:
            nested = await asyncio.shield(zygote.nested)
            self._sandbox.told(nested.mode, nested.refused)
        return zygote

    def _refill_later(self, spec: LaunchSpec) -> None:
        name = spec.runtime.name
        if self._spares_wanted and name not in self._refills and not self._closed:
            loop = asyncio.get_running_loop()
            self._refills[name] = loop.call_later(_REFILL_DELAY, self._start_refill, spec)

    def _start_refill(self, spec: LaunchSpec) -> None:
        task = asyncio.get_running_loop().create_task(self._refill(spec))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refill(self, spec: LaunchSpec) -> None:
        spares = self._spares.setdefault(spec.runtime.name, deque())
        try:
            while len(spares) < self._spares_wanted and not self._closed:
                spares.append(await self._fork(spec))
        except HostRefused as error:
            _log.info("no spare worker: %s", error)  # the next launch will tell whoever needs it
        finally:
            self._refills.pop(spec.runtime.name, None)

    async def close(self) -> None:
        """See Launcher."""
        self._closed = True
        for timer in self._refills.values():
            timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for zygote in self._zygotes.values():
            await zygote.close()
        for spares in self._spares.values():
            while spares:
                spares.popleft().close()
