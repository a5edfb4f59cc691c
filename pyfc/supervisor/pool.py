"""The instances of one function version: who serves the next call, who waits, who is started.

1. A call takes the instance that became idle last, so that few are kept busy and the rest can be released.
2. Without an idle instance one is started, if the limits allow, and the call waits in order of arrival for whichever
   instance is free first.
3. A call that waits longer than `maximum_wait` is refused with 429, except while an instance is being started for it;
   a call that finds `maximum_waiting_calls` waiting is refused at once.
4. Only this file moves instances between its lists. Timers are armed when needed and never one per call.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from pyfc.errors import HostRefused, Internal, PyfcError, ResourceExhausted
from pyfc.host.launch import Launcher
from pyfc.host.link import Flight, Link
from pyfc.host.process import Exit
from pyfc.model.function import Function
from pyfc.model.instance import State
from pyfc.model.invocation import Invocation, Reply, Result
from pyfc.settings import Settings
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.instance import Instance, StartFailed

_log = logging.getLogger(__name__)


class Room(Protocol):
    """Who decides whether the server has room for one more instance (supervisor/scaler.py)."""

    def take(self, pool: Pool) -> bool:
        """One more instance for `pool`; False when there is no room, and the pool is told when there is."""

    def give_back(self) -> None:
        """An instance is gone."""


class Waiter:
    """A call that waits for an instance, and its ticket."""

    __slots__ = ("call", "expires", "gone", "reply", "served")

    def __init__(self, call: Invocation, reply: Reply, expires: float) -> None:
        self.call = call
        self.reply = reply
        self.expires = expires
        self.gone = False
        self.served = False

    def cancel(self) -> bool:
        """See Ticket."""
        self.gone = not self.served
        return self.gone


class _Served:
    """The ticket of a call that runs already."""

    def cancel(self) -> bool:
        """See Ticket."""
        return False


_SERVED = _Served()

OutputSink = Callable[[Function, str, str, bytes], None]
"""Takes output that no answer carries: function, instance id, request id or '', bytes."""


class Pool:
    """A Route: the instances of one function version."""

    def __init__(
        self,
        function: Function,
        birth: Birth,
        settings: Settings,
        launcher: Launcher,
        room: Room,
        *,
        on_output: OutputSink,
    ) -> None:
        self.function = function
        self.instances: set[Instance] = set()
        self.idle: list[Instance] = []
        self.waiting: deque[Waiter] = deque()
        self.starting = 0
        self.draining = False
        self.drained = asyncio.Event()
        self.drained.set()
        limit = function.maximum_instance_count
        self.limit = settings.maximum_instance_count if limit is None else limit
        self._birth = birth
        self._settings = settings
        self._launcher = launcher
        self._room = room
        self._on_output = on_output
        self._timeout = float(function.limits.timeout)
        self._loop = asyncio.get_running_loop()
        self._by_link: dict[Link, Instance] = {}
        self._wait_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # the warm path

    def submit(self, call: Invocation, reply: Reply) -> Waiter | _Served:
        """See Route."""
        if self.idle and not self.waiting:
            link = self.idle.pop().link
            assert link is not None
            link.invoke(Flight(call, reply), self._timeout)
            return _SERVED
        return self._wait(call, reply)

    def _answered(self, link: Link, flight: Flight, result: Result) -> None:
        instance = self._by_link[link]
        if instance.state is State.READY:
            if self.waiting or self.draining:
                self._serve_waiting(instance)
            else:
                instance.idle_since = self._loop.time()
                self.idle.append(instance)
        try:
            flight.reply.result(result)
        except Exception:  # a bug of ours must not take the other calls of this worker with it
            _log.exception("an answer could not be given", extra={"request_id": flight.call.request_id})

    # the cold path

    def _wait(self, call: Invocation, reply: Reply) -> Waiter:
        if len(self.waiting) >= self._settings.maximum_waiting_calls:
            self.waiting = deque(waiter for waiter in self.waiting if not waiter.gone)
            if len(self.waiting) >= self._settings.maximum_waiting_calls:
                raise self._exhausted(f"{len(self.waiting)} calls wait already")
        waiter = Waiter(call, reply, self._loop.time() + self._settings.maximum_wait)
        self.waiting.append(waiter)
        self.grow()
        if self._wait_timer is None:
            self._wait_timer = self._loop.call_at(waiter.expires, self._expire)
        return waiter

    def grow(self) -> None:
        """Start instances for those who wait, as far as the limits allow."""
        while len(self.waiting) > self.starting and len(self.instances) < self.limit:
            if not self._room.take(self):
                return
            self._start(self.waiting[self.starting].call.request_id)

    def _start(self, request_id: str) -> None:
        instance = Instance(self._birth, self._launcher, self._dead)
        self.instances.add(instance)
        self.drained.clear()
        self.starting += 1
        task = self._loop.create_task(self._bring_up(instance, request_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring_up(self, instance: Instance, request_id: str) -> None:
        try:
            await instance.start(request_id)
        except StartFailed as failure:
            self.starting -= 1
            self._fail_first(instance, failure.result)
            self.grow()
        except HostRefused as error:
            self.starting -= 1
            self._forget(instance)
            self._refuse_all(error)
        except Exception:
            self.starting -= 1
            _log.exception("starting an instance failed", extra={"request_id": request_id})
            instance.kill()
            self._refuse_all(Internal(detail="an instance could not be started"))
        else:
            self.starting -= 1
            self._serve(instance)

    def _serve(self, instance: Instance) -> None:
        """A started instance takes its first call, or waits for one."""
        link = instance.link
        assert link is not None
        self._by_link[link] = instance
        link.on_answer = self._answered
        link.on_doomed = self._doomed
        link.on_output = partial(self._on_output, self.function, instance.id)
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_later(self._settings.idle_timeout, self._release_idle)
        waiter = self._next_waiter()
        if waiter is not None:
            flight = Flight(waiter.call, waiter.reply)
            flight.startup = instance.startup
            link.invoke(flight, self._timeout)
            return
        if instance.startup:
            link.on_output("", instance.startup)
        self._rest(instance)

    def _serve_waiting(self, instance: Instance) -> None:
        waiter = self._next_waiter()
        if waiter is None:
            self._rest(instance)
            return
        assert instance.link is not None
        instance.link.invoke(Flight(waiter.call, waiter.reply), self._timeout)

    def _rest(self, instance: Instance) -> None:
        if self.draining:
            instance.stop()
            return
        instance.idle_since = self._loop.time()
        self.idle.append(instance)

    def _next_waiter(self) -> Waiter | None:
        while self.waiting:
            waiter = self.waiting.popleft()
            waiter.served = True
            if not waiter.gone:
                return waiter
        return None

    def _fail_first(self, instance: Instance, result: Result) -> None:
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.reply.result(result)
        elif result.startup:
            self._on_output(self.function, instance.id, "", result.startup)

    def _refuse_all(self, error: PyfcError) -> None:
        """Unless another instance lives or is being started, nobody is left to serve those who wait."""
        if self.starting or any(instance.state is State.READY for instance in self.instances):
            return
        while (waiter := self._next_waiter()) is not None:
            waiter.reply.refuse(error)

    def _doomed(self, link: Link) -> None:
        instance = self._by_link[link]
        instance.condemned()
        if instance in self.idle:
            self.idle.remove(instance)

    def _dead(self, instance: Instance, _how: Exit) -> None:
        self._forget(instance)
        self.grow()

    def _forget(self, instance: Instance) -> None:
        self.instances.discard(instance)
        if instance in self.idle:
            self.idle.remove(instance)
        if instance.link is not None:
            self._by_link.pop(instance.link, None)
        if not self.instances:
            self.drained.set()
        self._room.give_back()

    def _expire(self) -> None:
        """Refuse those who have waited too long and for whom no instance is being started."""
        self._wait_timer = None
        now = self._loop.time()
        waiting = [waiter for waiter in self.waiting if not waiter.gone]
        late = [waiter for waiter in waiting[self.starting :] if waiter.expires <= now]
        self.waiting = deque(waiter for waiter in waiting if waiter not in late)
        for waiter in late:
            waiter.reply.refuse(self._exhausted(f"the call waited {self._settings.maximum_wait:g} s"))
        if self.waiting:
            soonest = min(waiter.expires for waiter in self.waiting)
            self._wait_timer = self._loop.call_at(max(soonest, now + 0.1), self._expire)

    def _release_idle(self) -> None:
        """Stop the instances that have been idle for too long; look again when the next one will have been."""
        self._idle_timer = None
        now = self._loop.time()
        limit = self._settings.idle_timeout
        while self.idle and self.idle[0].idle_since <= now - limit:
            self.idle.pop(0).stop()
        if self.instances:
            oldest = self.idle[0].idle_since if self.idle else now
            self._idle_timer = self._loop.call_at(oldest + limit, self._release_idle)

    def evict(self) -> None:
        """Stop the instance that has been idle longest, to make room for another function's."""
        self.idle.pop(0).stop()

    def _exhausted(self, reason: str) -> ResourceExhausted:
        return ResourceExhausted(function=self.function.name, service=self.function.service, reason=reason)

    def drain(self) -> None:
        """Serve those who wait, then end every instance; `drained` is set when none is left."""
        self.draining = True
        while self.idle:
            self.idle.pop().stop()

    def kill(self) -> None:
        """End every instance now; calls in flight fail."""
        for instance in list(self.instances):
            instance.kill()
