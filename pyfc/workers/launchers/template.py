"""Start a worker as a copy of its function's template: a process that has imported the function already.

1. The first instance of a function imports for itself, so that its call waits for nothing else. The template is made
   when a second one is needed, or a moment later. `first` makes it for the first instance too; `off` never.
2. Copies are kept ready, as spares: one, two while instances are asked for in quick succession, none while the machine
   is short of memory.
3. Where there can be no template, or it is not what it must be (workers/template.py), instances are forks of the
   zygote, as if there were no templates; `status` says why.
"""

from __future__ import annotations

import asyncio
import logging
import time

from pyfc.errors import HostRefused
from pyfc.host.descriptors import BUDGET
from pyfc.host.process import is_memory_short
from pyfc.sandbox.sandbox import Sandbox
from pyfc.tasks import Tasks
from pyfc.workers.launch import LaunchSpec, TemplateSpec, Worker
from pyfc.workers.launchers.fork import ForkLauncher
from pyfc.workers.spares import Spares, undone
from pyfc.workers.template import Template

_log = logging.getLogger(__name__)
_LATER = 0.5
"""Seconds after the first instance: one that is needed at the same time asks earlier."""
_QUICK = 1.0
"""Seconds between two instances below which two spares are kept."""


class TemplateLauncher:
    """Launches by templates where it can, else by `fork`. `choice`: auto, first or off."""

    def __init__(self, fork: ForkLauncher, sandbox: Sandbox, choice: str, spares: int) -> None:
        self._fork = fork
        self._sandbox = sandbox
        self._choice = choice
        self._spares = spares
        self._sources: dict[str, _Source] = {}
        self._closing = Tasks()

    async def prepare(self, spec: LaunchSpec) -> None:
        """See ForkLauncher."""
        await self._fork.prepare(spec)

    def hold(self, spec: LaunchSpec) -> None:
        """A function is served whose instances may be copies of this template."""
        wanted = spec.template
        if wanted is None or self._choice == "off" or not self._sandbox.bears_templates:
            return
        source = self._sources.get(wanted.key)
        if source is None:
            template = Template(self._sandbox, spec, lambda: self._fork.zygote(spec))
            source = self._sources[wanted.key] = _Source(template, self._spares, is_wanted=self._choice == "first")
        source.holders += 1

    def release(self, spec: LaunchSpec) -> None:
        """It is served no more; the template goes with the last function that needs it."""
        source = self._source(spec)
        if source is None or spec.template is None:
            return
        source.holders -= 1
        if not source.holders:
            del self._sources[spec.template.key]
            self._closing.begin("the end of a template", source.close(now=False))

    def _source(self, spec: LaunchSpec) -> _Source | None:
        return self._sources.get(spec.template.key) if spec.template is not None else None

    def status(self, spec: LaunchSpec) -> str:
        """See Launcher."""
        if spec.template is None:
            return self._fork.status(spec)
        source = self._source(spec)
        if source is None:
            return "switched off" if self._choice == "off" else "this sandbox has no namespaces"
        return source.template.refusal or ("ready" if source.template.is_ready else "none")

    def codes(self) -> list[str]:
        """Digests of the code that templates have, in whose place their copies are shown theirs."""
        return [source.template.code for source in self._sources.values()]

    async def launch(self, spec: LaunchSpec) -> Worker:
        """See Launcher."""
        source = self._source(spec)
        if source is None or spec.template is None or source.template.refusal:
            return await self._fork.launch(spec)
        if not source.is_wanted:
            source.want_later()
            return await self._fork.launch(spec)
        if BUDGET.are_short() and not source.template.is_ready:
            return await self._fork.launch(spec)
        try:
            return await source.launch(spec.template)
        except HostRefused as error:
            _log.info("an instance is forked without its template: %s", error)
        except Exception:
            _log.exception("an instance is forked without its template")
        return await self._fork.launch(spec)

    async def close(self) -> None:
        """See Launcher."""
        for source in self._sources.values():
            await source.close(now=True)
        await self._closing.close()
        await self._fork.close()


class _Source:
    """A template and its spares, which are shown their code when they are needed."""

    def __init__(self, template: Template, spares: int, *, is_wanted: bool) -> None:
        self.template = template
        self.holders = 0
        """Functions that need it."""
        self.is_wanted = is_wanted
        self._most_spares = spares
        self._spares = Spares(template.bear, self._wanted)
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        self._task: asyncio.Task[None] | None = None
        self._last_launch = 0.0
        self._is_quick = False

    def want_later(self) -> None:
        """The first instance imports for itself; the next one is to be a copy."""
        self.is_wanted = True
        self._timer = asyncio.get_running_loop().call_later(_LATER, self._start)

    def _start(self) -> None:
        self._task = self._tasks.begin("making a template", self._make())

    async def _make(self) -> None:
        """The template, and its first spares."""
        if BUDGET.are_short():
            return
        try:
            with BUDGET.making():
                await self.template.live()
        except HostRefused as error:
            _log.info("no template for now: %s", error)  # the next launch will tell whoever needs it
            return
        except Exception:
            _log.exception("no template could be made")
            return
        self._spares.refill()

    async def launch(self, spec: TemplateSpec) -> Worker:
        """A copy, from the spares or made now. Raises HostRefused."""
        now = time.monotonic()
        self._is_quick, self._last_launch = now - self._last_launch < _QUICK, now
        if not self.template.is_ready:
            with BUDGET.making():
                await self.template.live()
        worker = self._spares.take() or await self.template.bear()
        self._spares.refill()
        with undone(worker):
            return await self.template.fit(worker, spec)

    def _wanted(self) -> int:
        if not self._most_spares or is_memory_short():
            return 0
        return self._most_spares + (1 if self._is_quick else 0)

    async def close(self, *, now: bool) -> None:
        """End the template and its spares; see Template.close."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._spares.drop()
        await self.template.close(now=now)
