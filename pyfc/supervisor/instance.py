"""One instance's life: start its worker, load, initialize, serve, stop; the states are model/instance.py's.

The pool owns instances and gives them calls through `link`; this file is everything about an instance that is not a
call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from pyfc.host.process import Exit
from pyfc.model.instance import Event, State, advance
from pyfc.model.names import instance_id, request_id
from pyfc.observe.flood import Sink
from pyfc.observe.markers import hook_end, hook_start
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.starting import Start, StepFailed
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


class Instance(WithoutCalls):
    """One live copy of one function version. `on_dead` is called once, when nothing of it is left."""

    def __init__(self, birth: Birth, launcher: Launcher, on_dead: Callable[[Instance, Exit], None]) -> None:
        self.id = instance_id()
        self.created = time.time()
        """Seconds since the epoch."""
        self.state = State.STARTING
        self.link: Link | None = None
        self.died_of = ""
        """Once it is dead: `outOfMemory`, `timedOut`, `exited`; '' if it was ended because nobody needed it."""
        self.beginning = Start(birth, self.id, lambda: self._is_unwanted)
        """Its start, and what was written in it."""
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
        start = self.beginning
        await self._birth.present()
        worker = await self._launcher.launch(self._birth.spec)
        with undone(worker):
            link = self.link = Link(worker, self, self.id, self._birth.init, self._birth.maximum_result)
        start.wrote(worker.prelude)
        if self.state is State.KILLED:
            link.life.kill()
        try:
            await start.load(link)
            if self._birth.init.initializer and not worker.is_initialized:
                self._advance(Event.LOADED)
                await start.initialize(link, request_id)
            start.check(link)
        except StepFailed as failure:
            peak = link.life.peak.measure()
            self.kill()
            raise start.failed(link, failure, peak) from None
        start.succeeded(link)
        self._advance(Event.INITIALIZED)

    def serve(self, owner: LinkOwner, sink: Sink) -> None:
        """From here on its calls are those of `owner`, and what it writes beside them goes to `sink`."""
        assert self.link is not None
        self._sink = sink
        self.link.hand_over(owner)
        self._birth.woken()

    def wrote(self, _link: Calls, request_id: str, data: bytes, /) -> None:
        """See LinkOwner: it is a hook's, or was written before the first call, or goes to the function's log."""
        if self._hook is not None:
            self._hook += data
        elif self._sink is None:
            self.beginning.wrote(data)
        else:
            self._sink(request_id, data)

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
            self._birth.woken()

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

    def wind_up(self) -> None:
        """What still runs in it has been answered as too late: it says where that is, and ends."""
        assert self.link is not None
        self.link.life.wind_up()

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
