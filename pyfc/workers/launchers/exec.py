"""Start a worker as a program of its own (Node.js, say), by the zygote of pyfc's own interpreter, which locks it in.

1. Spares are such programs that have been started for no function: they have said Hello and run nothing of the user's.
   One that is taken is fitted out from outside, by the zygote: it is shown its function's code.
2. Spares are kept per size of memory and disk, which are limits of a process from its start. A size has them as long as
   there is a function of it.
3. Where the sandbox has no namespaces nothing can be shown to a program that runs, so each is started for its function;
   so is one whose function has no network, or declares variables that count when a program starts.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import Counter

from pyfc.errors import HostRefused
from pyfc.host.process import Process, is_memory_short
from pyfc.host.runtimes import Runtime
from pyfc.sandbox.sandbox import Cell, Sandbox
from pyfc.wire import frames
from pyfc.workers.launch import LaunchSpec, ProgramSpec, Worker, start
from pyfc.workers.launchers.fork import ForkLauncher
from pyfc.workers.spares import Spares, undone

_log = logging.getLogger(__name__)
_NOBODYS = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
    "HOME": "/tmp",  # noqa: S108  FC's own value
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "LD_LIBRARY_PATH": "/code:/code/lib:/usr/local/lib",
}
"""The environment of a program that is started ahead: what most functions have, and nothing of any of them."""
_Key = tuple[str, str, int, int]


class ExecLauncher:
    """`base`: the spec whose zygote starts the programs; `spares`: how many are kept per runtime and size."""

    def __init__(self, fork: ForkLauncher, base: LaunchSpec, sandbox: Sandbox, spares: int) -> None:
        self._fork = fork
        self._base = base
        self._sandbox = sandbox
        self._spares_wanted = spares
        self._spares: dict[_Key, Spares] = {}
        self._holders: Counter[_Key] = Counter()
        self._greetings: set[asyncio.Future[None]] = set()

    def hold(self, spec: LaunchSpec) -> None:
        """A function is served whose instances may be spares."""
        program = _program(spec)
        if program.needs_start or self._sandbox.mode == "plain":
            return
        key = _key(spec)
        self._holders[key] += 1
        if key not in self._spares:
            self._spares[key] = Spares(lambda: self._spare(spec), self._wanted)
            self._spares[key].refill()

    def release(self, spec: LaunchSpec) -> None:
        """It is served no more."""
        key = _key(spec)
        if _program(spec).needs_start or key not in self._holders:
            return
        self._holders[key] -= 1
        if not self._holders[key]:
            del self._holders[key]
            self._spares.pop(key).drop()

    def _wanted(self) -> int:
        return 0 if is_memory_short() else self._spares_wanted

    def status(self, spec: LaunchSpec) -> str:
        """See Launcher."""
        return f"{spec.runtime.title} has none"

    async def launch(self, spec: LaunchSpec) -> Worker:
        """See Launcher."""
        spares = None if _program(spec).needs_start else self._spares.get(_key(spec))
        if spares is None:
            return await self._execute(spec, _program(spec))
        worker = spares.take()
        spares.refill()
        if worker is None:
            return await self._execute(spec, _program(spec))
        try:
            with undone(worker):
                await self._furnish(worker, _program(spec))
        except HostRefused as error:
            _log.info("a program that was started ahead is of no use: %s", error)
        except Exception:
            _log.exception("a program that was started ahead is of no use")
        else:
            return worker
        return await self._execute(spec, _program(spec))

    async def _furnish(self, worker: Worker, program: ProgramSpec) -> None:
        wish = program.confine(worker.cell)
        if wish:
            zygote = await self._fork.zygote(self._base)
            await zygote.furnish(worker.process, wish)

    async def _spare(self, spec: LaunchSpec) -> Worker:
        """A program that is nobody's yet."""
        program = _program(spec)
        nobody = ProgramSpec(
            environment=_NOBODYS,
            confine=lambda cell: self._sandbox.blank(cell, program.size),
            size=program.size,
            needs_start=False,
        )
        worker = await self._execute(spec, nobody)
        with undone(worker):
            await self._said_hello(worker)
        return worker

    async def _said_hello(self, worker: Worker) -> None:
        """Return when a program has said Hello, which waits in its pipe; or has ended, or is of no use any more. Before
        that it may not even be in its own namespaces, and what is shown to it would be shown to everybody.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._greetings.add(future)
        loop.add_reader(worker.incoming, _settle, future)
        try:
            await future
        finally:
            loop.remove_reader(worker.incoming)
            self._greetings.discard(future)

    async def _execute(self, spec: LaunchSpec, program: ProgramSpec) -> Worker:
        zygote = await self._fork.zygote(self._base)
        argv = self._argv(spec.runtime, spec.interpreter, program.size.memory_size)

        async def order(cell: Cell, descriptors: list[int]) -> Process:
            environment = {**program.environment, **cell.environment}
            wish = program.confine(cell)
            return await zygote.execute(frames.Exec(spec.limits, wish, argv, environment), descriptors)

        worker = await start(self._sandbox, order)
        return dataclasses.replace(worker, exhausted=spec.runtime.exhausted.encode())

    def _argv(self, runtime: Runtime, interpreter: str, memory: int) -> list[str]:
        root = self._sandbox.place_of(runtime.folder)
        return [each.format(interpreter=interpreter, root=root, memory=memory) for each in runtime.argv]

    async def close(self) -> None:
        """See Launcher. The zygote, which is the fork launcher's, ends the programs."""
        for spares in self._spares.values():
            spares.drop()
            for future in self._greetings:
                _settle(future)
            await spares.close()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _program(spec: LaunchSpec) -> ProgramSpec:
    assert spec.program is not None
    return spec.program


def _key(spec: LaunchSpec) -> _Key:
    size = _program(spec).size
    return spec.runtime.name, spec.interpreter, size.memory_size, size.disk_size
