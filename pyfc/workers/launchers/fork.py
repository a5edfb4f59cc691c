"""Start a worker as a fork of its interpreter's warm zygote, and keep spares: forked workers that wait for their Init.

A spare is a worker like any other that nobody has told yet what it is to be; it has run no user code.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from pyfc.errors import HostRefused, refusing
from pyfc.sandbox.sandbox import Sandbox
from pyfc.workers.launch import LaunchSpec, Worker, start
from pyfc.workers.spares import Spares
from pyfc.workers.zygote import Zygote


class ForkLauncher:
    """Keeps one zygote per interpreter; a zygote that has died is started again for the next worker."""

    def __init__(self, spares: int, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._spares_wanted = spares
        self._zygotes: dict[tuple[str, Path], Zygote] = {}
        self._spares: dict[tuple[str, Path], Spares] = {}

    async def prepare(self, spec: LaunchSpec) -> None:
        """Start the zygote and the spares ahead of their first use. Returns when it is known how workers are locked
        in. Raises HostRefused.
        """
        await self.zygote(spec)
        self._spares_of(spec).refill()

    async def launch(self, spec: LaunchSpec) -> Worker:
        """See Launcher."""
        spares = self._spares_of(spec)
        worker = spares.take() or await self._fork(spec)
        spares.refill()
        return worker

    def _spares_of(self, spec: LaunchSpec) -> Spares:
        key = spec.interpreter, spec.runtime.zygote
        if key not in self._spares:
            self._spares[key] = Spares(lambda: self._fork(spec), lambda: self._spares_wanted)
        return self._spares[key]

    def status(self, spec: LaunchSpec) -> str:
        """See Launcher."""
        return f"{spec.runtime.name} has none"

    async def _fork(self, spec: LaunchSpec) -> Worker:
        zygote = await self.zygote(spec)
        return await start(self._sandbox, lambda _, descriptors: zygote.fork(spec.limits, descriptors))

    async def zygote(self, spec: LaunchSpec) -> Zygote:
        """The zygote of such workers, locked in. Raises HostRefused."""
        key = interpreter, program = spec.interpreter, spec.runtime.zygote
        zygote = self._zygotes.get(key)
        if zygote is None or zygote.ended:
            with refusing(f"{interpreter} cannot be started"):
                zygote = self._zygotes[key] = Zygote(interpreter, program, self._sandbox.profile(interpreter))
        if not zygote.nested.done() or not self._sandbox.mode:
            nested = await asyncio.shield(zygote.nested)
            try:
                self._sandbox.told(nested.mode, nested.refused)
            except HostRefused:
                if self._zygotes.get(key) is zygote:  # the next launch tries another one
                    del self._zygotes[key]
                    await zygote.close()
                raise
        return zygote

    async def close(self) -> None:
        """See Launcher."""
        left = [await spares.close() for spares in self._spares.values()]
        for zygote in self._zygotes.values():
            await zygote.close()
        for workers in left:
            while workers:
                workers.popleft().close()
