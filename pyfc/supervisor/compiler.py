"""Compiles the code of functions ahead of their instances, each in a worker that does nothing else.

Instances share a read-only cache: what one of them could write, another would run. So it is filled by a worker in the
same sandbox: Python's loads none of the code, Node.js has to load the handler's module once, without a network. Small
code is not worth it.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from pyfc.errors import PyfcError
from pyfc.host.bundle import Artefact
from pyfc.host.expectation import LinkClosed
from pyfc.host.launch import Launcher
from pyfc.host.link import Link
from pyfc.host.sandbox import Cell, Sandbox
from pyfc.host.spares import undone
from pyfc.model.function import Function
from pyfc.supervisor.birth import Birth
from pyfc.tasks import Tasks
from pyfc.wire import frames

_log = logging.getLogger(__name__)
_WORTH = 64 * 1024
"""Bytes of code below which compiling it costs an instance less than a millisecond or two."""
_MOST_TIME = 300.0
_DONE = ".compiled"


class _Job(NamedTuple):
    function: Function
    artefact: Artefact
    birth: Birth


class Compiler:
    """One at a time, in the background, at the lowest priority."""

    def __init__(self, launcher: Launcher, sandbox: Sandbox) -> None:
        self._launcher = launcher
        self._sandbox = sandbox
        self._jobs: deque[_Job] = deque()
        self._tasks = Tasks()

    def add(self, function: Function, artefact: Artefact, birth: Birth) -> None:
        """Compile the function's code, unless that has been done, or instances write to the cache themselves."""
        if (
            not birth.spec.runtime.compiles
            or not birth.init.sandbox
            or function.code is None
            or (function.code.size < _WORTH and not function.code.packages)
        ):
            return
        if (artefact.cache / _DONE).exists() or any(job.artefact == artefact for job in self._jobs):
            return
        self._jobs.append(_Job(function, artefact, birth))
        if not self._tasks:
            self._tasks.begin("compiling ahead", self._run())

    async def close(self) -> None:
        """Give up what has not been compiled."""
        await self._tasks.close()

    async def _run(self) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            try:
                await self._compile(job)
            except (PyfcError, TimeoutError, LinkClosed, OSError) as error:
                _log.info("the code of %s is not compiled ahead: %s", job.function.name, error)
            except Exception:
                _log.exception("compiling the code of %s ahead failed", job.function.name)

    async def _compile(self, job: _Job) -> None:
        function, artefact = job.function, job.artefact
        interpreter = job.birth.spec.interpreter
        wish = self._sandbox.wish(artefact, function.limits, interpreter, network=False, compiles=True)

        def confine(cell: Cell) -> dict[str, Any]:
            return self._sandbox.confine(wish, cell, function.limits)

        worker = await self._launcher.launch(job.birth.spec.alone(confine))
        with undone(worker):
            link = Link(worker, "compiler", job.birth.init._replace(mark=""), 0)
        try:
            await link.expectation.frame(frames.HELLO, _MOST_TIME)
            if worker.cell.uid:
                os.chown(artefact.cache, worker.cell.uid, worker.cell.uid)
            init = job.birth.init._replace(handler="", initializer="", mark="", sandbox=confine(worker.cell))
            wanted = {"load": False, "preload": [function.handler], "snapshot": False}
            link.send(frames.INIT, init._replace(template=wanted))
            await link.expectation.frame(frames.READY, _MOST_TIME)
            _show(artefact.cache)
            if worker.cell.uid:
                os.chown(artefact.cache, 0, 0)
            (artefact.cache / _DONE).touch()
        finally:
            link.life.kill()


def _show(cache: Path) -> None:
    """Let every instance read what one worker has written."""
    for root, _, files in os.walk(cache):
        os.chmod(root, 0o755)  # noqa: S103, PTH101  read-only by its mount
        for name in files:
            os.chmod(os.path.join(root, name), 0o644)  # noqa: PTH101, PTH118
