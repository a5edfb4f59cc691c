"""Compiles the code of functions ahead of their instances, each in a worker that does nothing else.

Instances share a read-only cache: what one of them could write, another would run. So it is filled by a worker in the
same sandbox: Python's loads none of the code, Node.js has to load the handler's module once, without a network. What
it leaves is a stranger's: when it is dead, plain files are copied, and anything else refuses it all. Small code is not
worth it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from pyfc import nofollow
from pyfc.bundles.bundle import Artefact
from pyfc.errors import InvalidArgument, PyfcError
from pyfc.host.process import Exit
from pyfc.model.function import Function
from pyfc.sandbox.sandbox import Cell, Sandbox
from pyfc.supervisor.birth import Birth
from pyfc.tasks import Tasks
from pyfc.wire import frames
from pyfc.workers.handshake import LinkClosed
from pyfc.workers.interface import Calls, WithoutCalls
from pyfc.workers.launch import Launcher
from pyfc.workers.link import Link
from pyfc.workers.spares import undone

_log = logging.getLogger(__name__)
_WORTH = 64 * 1024
"""Bytes of code below which compiling it costs an instance less than a millisecond or two."""
_MOST_TIME = 300.0
_DONE = ".compiled"
_MEGABYTE = 1024 * 1024


class _Job(NamedTuple):
    function: Function
    artefact: Artefact
    birth: Birth


class _Owner(WithoutCalls):
    """Waits for nothing but the end of its worker."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def closed(self, _link: Calls, _how: Exit, /) -> None:
        self.gone.set()


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
            except InvalidArgument as error:
                _log.warning("what was compiled of %s is thrown away: %s", job.function.name, error)
            except (PyfcError, TimeoutError, LinkClosed, OSError) as error:
                _log.info("the code of %s is not compiled ahead: %s", job.function.name, error)
            except Exception:
                _log.exception("compiling the code of %s ahead failed", job.function.name)

    async def _compile(self, job: _Job) -> None:
        """A worker writes to a folder of its own, which nobody else is shown; what is good of it is copied."""
        cache = job.artefact.cache
        if (cache / _DONE).exists():
            return  # another function of the same code came before
        folder = cache.with_name(f"{cache.name}.work")
        await asyncio.to_thread(_make_empty, folder)
        try:
            await self._fill(job, dataclasses.replace(job.artefact, cache=folder))
            await asyncio.to_thread(keep, folder, cache, job.function.limits.disk_size * _MEGABYTE)
        finally:
            await asyncio.to_thread(nofollow.remove, folder)

    async def _fill(self, job: _Job, artefact: Artefact) -> None:
        """Let a worker compile into the cache of `artefact`, and wait for its death."""
        function = job.function
        interpreter = job.birth.spec.interpreter
        wish = self._sandbox.wish(artefact, function.limits, interpreter, network=False, compiles=True)

        def confine(cell: Cell) -> dict[str, Any]:
            return self._sandbox.confine(wish, cell, function.limits)

        worker = await self._launcher.launch(job.birth.spec.alone(confine))
        owner = _Owner()
        with undone(worker):
            link = Link(worker, owner, "compiler", job.birth.init._replace(mark=""), 0)
        try:
            await link.expectation.frame(frames.HELLO, _MOST_TIME)
            if worker.cell.uid:
                with nofollow.opened_folder(artefact.cache) as folder:
                    os.fchown(folder, worker.cell.uid, worker.cell.uid)
            init = job.birth.init._replace(handler="", initializer="", mark="", sandbox=confine(worker.cell))
            wanted = {"load": False, "preload": [function.handler], "snapshot": False}
            init = init._replace(template=wanted, cache=self._sandbox.places(artefact)[1])
            link.send(frames.INIT, init)
            await link.expectation.frame(frames.READY, _MOST_TIME)
        finally:
            link.life.kill()
        await asyncio.wait_for(owner.gone.wait(), _MOST_TIME)


def _make_empty(folder: Path) -> None:
    """A server that was killed may have left one."""
    nofollow.remove(folder)
    folder.mkdir(mode=0o755)


def keep(folder: Path, cache: Path, most: int) -> None:
    """Show every instance what one worker, which is dead, has left in `folder`: each entry is whole or not there.
    Raises InvalidArgument or OSError, with nothing of it kept, if there is anything but folders and plain files or more
    than `most` bytes.
    """
    copy = cache.with_name(f"{cache.name}.new")
    nofollow.remove(copy)
    try:
        nofollow.copy_plain(folder, copy, most)
        for entry in copy.iterdir():
            nofollow.remove(cache / entry.name)  # of a server that was killed just here
            entry.rename(cache / entry.name)
        (cache / _DONE).touch()
    finally:
        nofollow.remove(copy)
