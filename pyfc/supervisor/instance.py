"""One instance's life: start its worker, load, initialize, serve, stop; the states are model/instance.py's.

The pool owns instances and gives them calls through `link`; this file is everything about an instance that is not a
call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from pyfc.errors import HostRefused, InstanceLost, Internal
from pyfc.host.process import Exit
from pyfc.model import faults
from pyfc.model.instance import Event, State, advance
from pyfc.model.invocation import Fault, FaultKind, Phases, Result, Usage
from pyfc.model.names import instance_id, request_id
from pyfc.observe.flood import Sink
from pyfc.observe.markers import hook_end, hook_start
from pyfc.supervisor.birth import Birth
from pyfc.tasks import Tasks
from pyfc.wire import frames
from pyfc.workers.handshake import LinkClosed
from pyfc.workers.interface import Calls, LinkOwner, WithoutCalls
from pyfc.workers.launch import Launcher
from pyfc.workers.link import Link
from pyfc.workers.spares import undone

_log = logging.getLogger(__name__)
STOP_GRACE = 1.0
"""Seconds that a worker gets to end by itself after Stop."""
KILL_GRACE = 5.0
"""Seconds after SIGKILL in which a process normally is gone; then it counts as stuck."""
_CROWD_GRACE = 30.0
"""The same for a crowd of processes, which gets little of the processors for it."""
_STARTUP_KEPT = 65536


class StartFailed(Exception):
    """A fault of user code while its instance was started: the answer of the call that needed the instance."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.fault.message if result.fault is not None else "")
        self.result = result


class Instance(WithoutCalls):
    """One live copy of one function version. `on_dead` is called once, when nothing of it is left."""

    def __init__(self, birth: Birth, launcher: Launcher, on_dead: Callable[[Instance, Exit], None]) -> None:
        self.id = instance_id()
        self.state = State.STARTING
        self.link: Link | None = None
        self.idle_since = 0.0
        self.is_open = False
        """Whether it is among its pool's `open` ones."""
        self.imports = b""
        """What Ready carried: the times of imports, if they were asked for."""
        self._times: list[float] = []
        self.startup = b""
        """What it wrote before its first call."""
        self.died_of = ""
        """Once it is dead: `outOfMemory`, `timedOut`, `exited`; '' if it was ended because nobody needed it."""
        self._is_unwanted = False
        self._sink: Sink | None = None
        self._hook: bytearray | None = None
        """What the hook has written that runs."""
        self._birth = birth
        self._launcher = launcher
        self._on_dead = on_dead
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()

    async def start(self, request_id: str) -> None:
        """Bring the instance to READY. Raises StartFailed for a fault of user code, HostRefused for one of the host
        (InstanceLost if its process was ended by nothing that the function did), CodeLost.

        `request_id` is that of the call which needs the instance; the initializer sees it.
        """
        self._times = [time.monotonic()]
        await self._birth.present()
        worker = await self._launcher.launch(self._birth.spec)
        with undone(worker):
            link = self.link = Link(worker, self, self.id, self._birth.init, self._birth.maximum_result)
        self.startup = worker.prelude
        if self.state is State.KILLED:
            link.life.kill()
        try:
            await self._load(link)
            if self._birth.init.initializer and not worker.is_initialized:
                self._advance(Event.LOADED)
                await self._initialize(link, request_id)
            self._check(link)
        except _StepFailed as failure:
            self._times.append(time.monotonic())
            peak = link.life.peak.measure()
            self.kill()
            self.startup += link.output.take()
            usage = Usage(self._times[-1] - self._times[0], peak, True, self.id)
            raise StartFailed(Result(failure.fault, failure.body, usage, startup=self.startup)) from None
        self.startup += link.output.take()
        link.life.started()
        self._times.append(time.monotonic())
        self._advance(Event.INITIALIZED)

    @property
    def phases(self) -> Phases:
        """What its start consisted of, as far as it came."""
        began, prepared, loaded, ended = (*self._times, *[self._times[-1]] * (4 - len(self._times)))
        return Phases(prepared - began, loaded - prepared, ended - loaded)

    def serve(self, owner: LinkOwner, sink: Sink) -> None:
        """From here on its calls are those of `owner`, and what it writes beside them goes to `sink`."""
        assert self.link is not None
        self._sink = sink
        self.link.hand_over(owner)

    def wrote(self, _link: Calls, request_id: str, data: bytes, /) -> None:
        """See LinkOwner: it is a hook's, or was written before the first call, or goes to the function's log."""
        if self._hook is not None:
            self._hook += data
        elif self._sink is None:
            self.startup = (self.startup + data)[-_STARTUP_KEPT:]
        else:
            self._sink(request_id, data)

    async def _load(self, link: Link) -> None:
        timeout = self._birth.load_timeout
        await self._step(link, frames.HELLO, timeout, "Starting the runtime")
        cell = link.worker.cell
        try:
            sandbox = self._birth.confine(cell)
        except OSError as error:
            raise HostRefused(reason=f"its limits can not be set: {error}") from error
        cell.watch(link.life)
        self._times.append(time.monotonic())
        init = link.worker.init or self._birth.init._replace(sandbox=sandbox)
        environment = {**init.environment, **cell.environment, "FC_INSTANCE_ID": self.id}
        link.send(frames.INIT, init._replace(environment=environment))
        self.imports = await self._step(link, frames.READY, timeout, "Loading the handler's module")
        self._times.append(time.monotonic())

    async def _initialize(self, link: Link, request_id: str) -> None:
        self.startup += link.output.take() + hook_start("initializer", request_id)
        link.send(frames.HOOK, frames.Hook("initializer", request_id))
        failed = True
        try:
            await self._step(link, frames.HOOK_DONE, self._birth.initialization_timeout, "Initializer")
            failed = False
        finally:
            self.startup += link.output.take() + hook_end("initializer", request_id, failed=failed)

    async def _step(self, link: Link, kind: int, timeout: float, what: str) -> bytes:
        """Wait for one frame of the start; its payload. A fault in it, its absence and the worker's death are user
        faults.
        """
        began = time.monotonic()
        try:
            header, payload = await link.expectation.frame(kind, timeout)
        except TimeoutError:
            program = self._birth.init.program
            if program and kind == frames.READY:
                raise _StepFailed(faults.not_listening(timeout, program["port"])) from None
            raise _StepFailed(faults.start_timed_out(what, timeout, link.life.peak.measure())) from None
        except LinkClosed as closed:
            has_run_nothing = self._birth.spec.runtime.start == "fork" and kind == frames.HELLO
            if (has_run_nothing or link.life.is_lost) and not self._is_unwanted:
                raise InstanceLost(reason="its process ended") from None
            raise _StepFailed(self._ended(link, closed.how, time.monotonic() - began)) from None
        if kind == frames.HELLO:
            if header[0] != frames.VERSION:
                raise Internal(detail=f"the worker speaks version {header[0]} of the wire, not {frames.VERSION}")
        elif header[0] is not None:
            told = faults.told(header[0])
            raise _StepFailed(
                told if told.kind is FaultKind.PLATFORM else told._replace(kind=FaultKind.INIT_FAILED), payload
            )
        return payload

    def _check(self, link: Link) -> None:
        """Whether it still is as well as it was when it said so. Raises _StepFailed if not."""
        if link.life.is_lost:
            raise InstanceLost(reason="its process ended")
        if link.life.is_doomed or self._is_unwanted:
            raise _StepFailed(self._ended(link, None, time.monotonic() - self._times[0]))

    @staticmethod
    def _ended(link: Link, how: Exit | None, duration: float) -> Fault:
        if link.life.is_exhausted:
            return link.life.out_of_memory(duration)
        peak = how.peak_memory / 1024 / 1024 if how is not None else link.life.peak.megabytes
        return faults.exited(duration, peak, FaultKind.INIT_FAILED)

    # the hooks, and idleness

    @property
    def is_frozen(self) -> bool:
        """Whether it has no processor."""
        return self.state is State.FROZEN

    @property
    def has_pre_freeze(self) -> bool:
        """Whether it has something to do before it is frozen."""
        return "preFreeze" in self._birth.init.hooks

    async def pre_freeze(self) -> None:
        """Run preFreeze; afterwards the state is FREEZING, unless it was ended meanwhile or took too long."""
        self._advance(Event.FREEZE)
        if self.state is State.FREEZING:
            await self._run_hook("preFreeze", self._birth.pre_freeze_timeout)

    def freeze(self) -> None:
        """It gets no processor from here on."""
        assert self.link is not None
        self._advance(Event.FROZE)
        self.link.worker.freeze()

    def thaw(self) -> None:
        """It may take calls again."""
        assert self.link is not None
        was_frozen = self.is_frozen
        self._advance(Event.THAW)
        if was_frozen:
            self.link.worker.thaw()

    async def _run_hook(self, name: str, timeout: float) -> bool:
        """Run a hook of an instance without calls; its output and markers go to the function's log. False if it was too
        late, and the instance is ended; what a hook raises is told in the log and has no other consequence.
        """
        link, request = self.link, request_id()
        assert link is not None
        output = self._hook = bytearray()
        link.listen()
        link.send(frames.HOOK, frames.Hook(name, request))
        failed = is_late = True
        try:
            header, _ = await link.expectation.frame(frames.HOOK_DONE, timeout)
            failed, is_late = header[0] is not None, False
        except TimeoutError:
            self.kill()
        except LinkClosed:
            pass  # it was killed meanwhile
        output += link.output.take()
        if self._hook is output:
            self._hook = None
        self.wrote(link, "", hook_start(name, request) + output + hook_end(name, request, failed=failed))
        return not is_late

    def stop(self) -> None:
        """Let the worker run preStop and end by itself, and kill it if it does not."""
        self._is_unwanted = True
        before = self.state
        self._advance(Event.STOP)
        if self.state is not State.STOPPING or self.link is None or before is State.STOPPING:
            return
        if before is State.FROZEN:
            self.link.worker.thaw()
        if "preStop" in self._birth.init.hooks and not self.link.life.is_starting:
            name = f"the preStop hook of instance {self.id}"
            self._tasks.begin(name, self._stop_politely(), lambda _: self.kill())
        else:
            self._send_stop()

    async def _stop_politely(self) -> None:
        if await self._run_hook("preStop", self._birth.pre_stop_timeout):
            self._send_stop()

    def _send_stop(self) -> None:
        if self.state is State.STOPPING and self.link is not None and self._timer is None:
            self.link.send(frames.STOP, ())
            self._timer = asyncio.get_running_loop().call_later(STOP_GRACE, self.kill)

    def kill(self) -> None:
        """End it now."""
        self._is_unwanted = True
        self._advance(Event.KILL)
        if self.state is State.KILLED and self.link is not None:
            self.link.life.kill()
            self._wait_for_death(self.link)

    def abandon(self) -> None:
        """Its start has failed: end what there is of it. `on_dead` is called at once if there is no process."""
        self.kill()
        if self.link is None and self.state is not State.DEAD:
            self._gone(Exit(None, 0))

    def retire(self) -> None:
        """It gets no further call; the pool ends it after those it has."""
        self._advance(Event.RETIRE)

    def condemned(self) -> None:
        """The link ends the worker, because of a late call or a broken frame."""
        self._advance(Event.KILL)
        assert self.link is not None
        self._wait_for_death(self.link)

    def _wait_for_death(self, link: Link) -> None:
        group = link.worker.cell.group
        self._set_timer(_CROWD_GRACE if group is not None and group.is_crowd else KILL_GRACE, self._overdue)

    def _overdue(self) -> None:
        self._advance(Event.OVERDUE)
        if self.state is State.STUCK and self.link is not None:
            pid = self.link.worker.process.pid
            _log.error("process %d does not die of SIGKILL; instance %s stays counted until it is gone", pid, self.id)
            self.link.life.fail_flights()

    def closed(self, _link: Calls, how: Exit, /) -> None:
        """See LinkOwner."""
        assert self.link is not None
        life = self.link.life
        if life.is_exhausted or life.is_late:
            self.died_of = "outOfMemory" if life.is_exhausted else "timedOut"
        elif not self._is_unwanted:
            self.died_of = "exited"
        self._gone(how)

    def _gone(self, how: Exit) -> None:
        """Nothing is left of it."""
        self._advance(Event.DIED)
        if self._timer is not None:
            self._timer.cancel()
        self._on_dead(self, how)

    def _set_timer(self, delay: float, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, action)

    def _advance(self, event: Event) -> None:
        self.state = advance(self.state, event)


class _StepFailed(Exception):
    """A step of the start ended badly by the user's doing."""

    def __init__(self, fault: Fault, body: bytes = b"") -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.body = body or fault.document()
