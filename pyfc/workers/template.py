"""One template, its keeper and its copies, seen from the supervisor.

The template is a worker that says Hello, is told what to be, and says Ready when it has imported its function. From
then on the keeper has it make copies (keeper.py), which say Hello again: to others they are workers like any other.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Callable, Coroutine

from pyfc.errors import HostRefused, InstanceLost
from pyfc.host.process import Exit, Process
from pyfc.sandbox.sandbox import Cell, Sandbox
from pyfc.tasks import Tasks
from pyfc.wire import frames
from pyfc.workers.handshake import LinkClosed
from pyfc.workers.interface import Calls, WithoutCalls
from pyfc.workers.launch import LaunchSpec, TemplateSpec, Worker, start
from pyfc.workers.link import Link
from pyfc.workers.spares import undone
from pyfc.workers.zygote import Keeper, NotMade, Zygote

_MOST_DEATHS = 3
"""In succession, of templates that did not have a long life."""
_LONG_LIFE = 60.0
"""Seconds."""
_PRELUDE = 65536
_NOBODY = "00000000-0000-0000-0000-000000000000"
"""Stands for the request in the context of an initializer that runs for no call."""


class Useless(HostRefused):
    """there is no template: {reason}"""


class Template(WithoutCalls):
    """A template that is made when it is first needed, and again when it has died. `zygote` finds whom to fork."""

    def __init__(self, sandbox: Sandbox, spec: LaunchSpec, zygote: Callable[[], Coroutine[None, None, Zygote]]) -> None:
        assert spec.template is not None
        self.refusal = ""
        """Why there can be no template; '' if there can."""
        self._sandbox = sandbox
        self._limits = spec.limits
        self._spec: TemplateSpec = spec.template
        self._zygote = zygote
        self._keeper: Keeper | None = None
        self._link: Link | None = None
        self._starting: asyncio.Task[Link] | None = None
        self._prelude = b""
        self._cells: list[Cell] = []
        """Of templates that have been: their users own namespaces of copies that live on."""
        self._copies = _Copies()
        self._lives = _Lives()
        self._last: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._closed = False

    @property
    def code(self) -> str:
        """Digest of the code that it has."""
        return str(self._spec.init.sandbox.get("digest", ""))

    @property
    def is_ready(self) -> bool:
        """Whether it has imported its function and lives."""
        return self._link is not None

    async def bear(self) -> Worker:
        """A copy, which waits to be told what to be. Raises HostRefused; Useless when there will never be one."""
        spec = self._spec
        template = (await self.live()).worker
        keeper = self._keeper
        assert keeper is not None

        async def order(cell: Cell, descriptors: list[int]) -> Process:
            spec.confine(cell)
            group = cell.group.name if cell.group is not None and cell.group.is_joined else ""
            processes = self._sandbox.most_processes
            process = await keeper.bear(frames.Bear(cell.uid, group, spec.disk, processes), descriptors)
            if cell.group is not None and not cell.group.is_joined:
                cell.group.take(process.pid)
            return process

        try:
            joins_as = template.cell.uid or os.geteuid()
            worker = await start(self._sandbox, order, joins_as=joins_as, give_back=self._given_back)
        except NotMade as error:
            if error.is_untrusted:
                self.refuse(str(error.fields["reason"]))
            raise
        self._copies.add()
        prelude, self._prelude = self._prelude, b""
        return dataclasses.replace(worker, prelude=prelude, is_initialized=spec.init.template["snapshot"])

    async def fit(self, worker: Worker, spec: TemplateSpec) -> Worker:
        """A copy that is for this function. Raises HostRefused."""
        if spec.shown:
            assert self._keeper is not None
            await self._keeper.furnish(worker.process, {**spec.shown, "packages": "", "opt": ""})
        return dataclasses.replace(worker, init=spec.copy)

    def _given_back(self, cell: Cell) -> None:
        self._sandbox.give_back(cell)
        self._copies.remove()

    def refuse(self, reason: str) -> None:
        """It is of no use, for good. Its keeper goes with the last copy."""
        self.refusal = reason
        self.end()
        self._last = self._tasks.begin("the end of a template's keeper", self._end_keeper(now=False))

    def end(self) -> None:
        """Kill the template; its copies live on."""
        if self._link is not None:
            self._link.life.kill()

    async def live(self) -> Link:
        """The link to the living template, which is made if there is none. Raises HostRefused."""
        if self.refusal or self._closed:
            raise Useless(reason=self.refusal or "its function is served no more")
        if self._link is not None:
            return self._link
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._make())
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():  # by `close`; whoever waits here is to go on without
                raise Useless(reason="its function is served no more") from None
            raise

    async def _make(self) -> Link:
        """The one start at a time."""
        try:
            return await self._start()
        except Useless as useless:
            self.refuse(str(useless.fields["reason"]))
            raise
        finally:
            self._starting = None

    async def _start(self) -> Link:
        if self._keeper is None or self._keeper.ended:
            self._keeper = await (await self._zygote()).keep(network=self._spec.network)
        keeper = self._keeper
        worker = await start(
            self._sandbox,
            lambda _, descriptors: keeper.fork(self._limits, descriptors),
            give_back=self._cells.append,
        )
        with undone(worker):
            link = Link(worker, self, "template", self._spec.init, 0)
        try:
            await self._prepare(link)
        except BaseException:
            link.life.kill()
            raise
        link.life.started()
        self.wrote(link, "", link.output.take())
        self._link = link
        self._lives.begin()
        return link

    async def _prepare(self, link: Link) -> None:
        """Tell it what to be, and wait until it is. Raises Useless, HostRefused."""
        spec = self._spec
        try:
            await link.expectation.frame(frames.HELLO, spec.load_timeout)
            wish = self._sandbox.for_template(spec.confine(link.worker.cell))
            link.worker.cell.watch(link.life)
            link.send(frames.INIT, spec.init._replace(sandbox=wish))
            header, _ = await link.expectation.frame(frames.READY, spec.load_timeout)
            if header[0] is None and spec.init.template["snapshot"]:
                link.send(frames.HOOK, frames.Hook("initializer", _NOBODY))
                header, _ = await link.expectation.frame(frames.HOOK_DONE, spec.initialization_timeout)
        except TimeoutError:
            raise Useless(reason="its import takes too long") from None
        except LinkClosed:
            if link.life.is_lost:
                raise InstanceLost(reason="its keeper has ended") from None
            raise Useless(reason="its import ends the process") from None
        if header[0] is not None:
            raise Useless(reason=f"its import fails: {header[0][1]}")
        if link.life.is_doomed:
            raise Useless(reason="its import ends the process")

    def wrote(self, _link: Calls, _request_id: str, data: bytes, /) -> None:
        """See LinkOwner: it is for the log of its first copy."""
        self._prelude = (self._prelude + data)[-_PRELUDE:]

    def closed(self, link: Calls, how: Exit, /) -> None:
        """See LinkOwner."""
        if link is not self._link:
            return
        self._link = None
        if how.is_lost:
            return
        deaths = self._lives.end()
        if deaths >= _MOST_DEATHS and not self.refusal and not self._closed:
            self.refuse(f"it has died {deaths} times")

    async def close(self, *, now: bool) -> None:
        """End the template; its keeper when the last copy is gone, or now, with the copies. Returns when it is gone."""
        self._closed = True
        for task in (self._starting, self._last):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self.end()
        await self._end_keeper(now=now)

    async def _end_keeper(self, *, now: bool) -> None:
        if not now:
            await self._copies.gone.wait()
        if self._keeper is not None:
            await self._keeper.close()
        while self._cells:
            self._sandbox.give_back(self._cells.pop())


class _Copies:
    """How many copies live."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        """There is none."""
        self.gone.set()
        self._count = 0

    def add(self) -> None:
        self._count += 1
        self.gone.clear()

    def remove(self) -> None:
        self._count -= 1
        if not self._count:
            self.gone.set()


class _Lives:
    """How templates of one function have fared."""

    def __init__(self) -> None:
        self._deaths = 0
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.monotonic()

    def end(self) -> int:
        """One has died; how many have in succession that did not have a long life."""
        lived = time.monotonic() - self._began
        self._deaths = self._deaths + 1 if lived < _LONG_LIFE else 1
        return self._deaths
