"""The launchers of one server: which of them starts the workers of a function is its runtime's to say.

A start that meets the want of descriptors waits a moment for those that only pass: another start has twice as many as
what comes of it, connections that were turned away linger, files are read.
"""

from __future__ import annotations

import asyncio
import sys
import time

from pyfc.errors import NoDescriptors
from pyfc.host.runtimes import Runtimes
from pyfc.sandbox.sandbox import LIMITS, Sandbox
from pyfc.settings import Settings
from pyfc.workers.launch import LaunchSpec, Worker
from pyfc.workers.launchers.exec import ExecLauncher
from pyfc.workers.launchers.fork import ForkLauncher
from pyfc.workers.launchers.template import TemplateLauncher

_PATIENCE = 2.0
"""Seconds in which a start that finds no descriptor is tried again, every `_PAUSE` seconds."""
_PAUSE = 0.05


class Launchers:
    """A Launcher of workers of any runtime."""

    def __init__(self, settings: Settings, runtimes: Runtimes, sandbox: Sandbox) -> None:
        self._base = LaunchSpec(runtime=runtimes.base, interpreter=sys.executable, limits=LIMITS)
        fork = ForkLauncher(settings.spare_workers, sandbox)
        self._template = TemplateLauncher(fork, sandbox, settings.templates, settings.spare_copies)
        self._exec = ExecLauncher(fork, self._base, sandbox, settings.spare_workers)

    async def prepare(self) -> None:
        """Start the zygote of pyfc's own interpreter. Returns when it is known how workers are locked in here. Raises
        HostRefused.
        """
        await self._template.prepare(self._base)

    def _of(self, spec: LaunchSpec) -> TemplateLauncher | ExecLauncher:
        return self._exec if spec.runtime.start == "exec" else self._template

    def hold(self, spec: LaunchSpec) -> None:
        """A function is served whose workers `spec` describes."""
        self._of(spec).hold(spec)

    def release(self, spec: LaunchSpec) -> None:
        """It is served no more."""
        self._of(spec).release(spec)

    def status(self, spec: LaunchSpec) -> str:
        """See Launcher."""
        return self._of(spec).status(spec)

    def codes(self) -> list[str]:
        """Digests of the code that templates have."""
        return self._template.codes()

    async def launch(self, spec: LaunchSpec) -> Worker:
        """See Launcher."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return await self._of(spec).launch(spec)
            except NoDescriptors:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(_PAUSE)

    async def close(self) -> None:
        """See Launcher."""
        await self._exec.close()
        await self._template.close()
