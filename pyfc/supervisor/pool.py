"""The instances of one function version: who serves the next call, who waits, who is started.

1. A call takes the instance that became idle last, so that few are kept busy and the rest can be released; with
   instanceConcurrency above 1, one that is busy already and has a slot left.
2. Calls of a function that is measured to be short are sent to a busy worker ahead of their turn. When one of them
   turns out to be long, those behind it are taken back.
3. Without a free slot the call waits, in order of arrival, for whichever is free first. An instance is started for it,
   if the limits allow, when the predicted wait is longer than a cold start; what is not known yet counts as long.
4. A call that waits longer than `maximum_wait` is refused with 429, except while an instance is being started for it;
   a call that finds `maximum_waiting_calls` waiting is refused at once.
5. Only this file moves instances between its lists. Timers are armed when needed and never one per call.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from pyfc.errors import HostRefused, InstanceLost, Internal, PyfcError, ResourceExhausted, Unavailable
from pyfc.host.process import Exit
from pyfc.model.function import Function, Provision
from pyfc.model.instance import State
from pyfc.model.invocation import Invocation, Reply, Result
from pyfc.model.names import request_id
from pyfc.observe.flood import Flood
from pyfc.settings import Settings
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.idleness import Idleness
from pyfc.supervisor.instance import Instance, StartFailed
from pyfc.supervisor.interface import Room
from pyfc.supervisor.line import SERVED, Line, Served, Waiter, why
from pyfc.supervisor.reserve import Reserve
from pyfc.tasks import Tasks
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls
from pyfc.workers.launch import Launcher
from pyfc.workers.link import Link

_log = logging.getLogger(__name__)

_AHEAD = 8
"""Calls that a worker of a short function holds at once, the one that runs included."""
_SHORT, _LONG = 0.001, 0.002
"""Seconds of run time below which a function becomes short, and above which it is no more."""
_WEIGHT = 1 / 16
"""Of the newest call in the average run time."""
_UNKNOWN = math.inf
_FROZEN = State.FROZEN
_monotonic = time.monotonic
_MOST_LOSSES = 3
_STALL = 0.01
"""Seconds after which a call that holds others up is no short one."""

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
        self.open: list[Instance] = []
        """Instances that run calls and have slots left."""
        self.deaths: Counter[str] = Counter()
        """How many of its instances died before their time, by the cause: `outOfMemory`, `timedOut`, `exited`."""
        self.waiting = Line()
        self._starting: set[Instance] = set()
        self.draining = self._is_over = False
        self.drained = asyncio.Event()
        self.drained.set()
        limit = function.maximum_instance_count
        self.limit = settings.maximum_instance_count if limit is None else limit
        self.concurrency = birth.init.concurrency
        self._slots = self.concurrency
        """Calls that an instance is given at once."""
        self._sends_ahead = bool(birth.init.mark)
        self._is_short = False
        self._run_time = _UNKNOWN
        self._losses = 0
        """Instances in succession that were lost while they were started."""
        self.cold_start = 0.0
        self.birth = birth
        self._settings = settings
        self.launcher = launcher
        self._room = room
        self._on_output = on_output
        self._timeout = float(function.limits.timeout)
        self._loop = asyncio.get_running_loop()
        self._by_link: dict[Calls, Instance] = {}
        self._wait_timer: asyncio.TimerHandle | None = None
        self._idleness = Idleness(self, settings.freeze_after, settings.idle_timeout)
        self.reserve = Reserve(self, function.provision)
        self._stall_timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()

    @property
    def has_spare(self) -> bool:
        """See Tended."""
        return self.reserve.has_more

    @property
    def starting(self) -> int:
        """How many instances are being started."""
        return len(self._starting)

    # the warm path

    def submit(self, call: Invocation, reply: Reply) -> Waiter | Served:
        """See Route."""
        if not self.waiting:
            instance = None
            if self.idle and not (self.open and self.concurrency > 1):
                instance = self.idle.pop()
            elif self.open:
                instance = self.open[-1]
            if instance is not None:
                if instance.state is _FROZEN:
                    self._idleness.woken(instance)
                link = instance.link
                assert link is not None
                now, timeout = _monotonic(), self._timeout
                try:
                    is_sent = link.invoke(Flight(call, reply, timeout, now, now + timeout))
                except BaseException:
                    self.serve_waiting(instance)  # what can not be sent costs no instance
                    raise
                if is_sent:
                    if self._slots > 1:
                        self._sort_in(instance, len(link.in_flight))
                    return SERVED
        return self._wait(call, reply)

    def _sort_in(self, instance: Instance, count: int) -> None:
        """Keep `open` right for an instance with `count` calls."""
        is_open = 0 < count < self._slots
        if is_open is not instance.is_open:
            instance.is_open = is_open
            if is_open:
                self.open.append(instance)
            else:
                self.open.remove(instance)
        if count and self._stall_timer is None:
            self._stall_timer = self._loop.call_later(_STALL, self._look_for_stalls)

    def answered(self, link: Calls, flight: Flight, result: Result, /) -> None:
        """See LinkOwner. The next call is sent before this one is answered."""
        instance = self._by_link[link]
        duration = result.usage.duration
        known = self._run_time
        run_time = self._run_time = known + (duration - known) * _WEIGHT if known < _UNKNOWN else duration
        if not run_time < _LONG if self._is_short else run_time < _SHORT:
            self._judge()
        if instance.state is State.READY:
            if self.waiting or self.draining:
                self.serve_waiting(instance)
            elif not link.in_flight:
                instance.idle_since = self._loop.time()
                self.idle.append(instance)
                if instance.is_open:
                    self._sort_in(instance, 0)
            elif self._slots > 1:
                self._sort_in(instance, len(link.in_flight))
        elif instance.state is State.DRAINING and not link.in_flight:
            instance.kill()  # what still runs in it has been answered as too late
        try:
            flight.reply.result(result)
        except Exception:  # a bug of ours must not take the other calls of this worker with it
            _log.exception("an answer could not be given", extra={"request_id": flight.call.request_id})

    # the cold path

    def _wait(self, call: Invocation, reply: Reply) -> Waiter:
        if self._is_over:
            raise _over()
        most = self._settings.maximum_waiting_calls
        if len(self.waiting) >= most and self.waiting.purge() >= most:
            raise self._exhausted(f"{len(self.waiting)} calls wait already")
        reason = why(len(self.instances), self.limit)
        waiter = Waiter(call, reply, self._loop.time(), self._settings.maximum_wait, reason)
        self.waiting.append(waiter)
        self.grow()
        if self._wait_timer is None:
            self._wait_timer = self._loop.call_at(waiter.expires, self._expire)
        if self._stall_timer is None:
            self._stall_timer = self._loop.call_later(_STALL, self._look_for_stalls)
        return waiter

    def grow(self) -> None:
        """Start instances for those who wait, as far as the limits allow and as it is quicker than waiting."""
        while len(self.waiting) > self.starting * self.concurrency and len(self.instances) < self._most():
            if self.reserve.must_wait or self._predicted_wait() <= self.cold_start or not self._room.take(self):
                return
            self._start(self.waiting[self.starting].call.request_id)

    def _most(self) -> int:
        return 0 if self._is_over else self.limit

    def _predicted_wait(self) -> float:
        """Seconds that the last of those who wait will wait for the instances there are."""
        slots = (len(self._by_link) - self._idleness.freezing) * self.concurrency
        return len(self.waiting) * self._run_time / slots if slots else math.inf

    def _judge(self) -> None:
        """The run time says that the function has become short, or is so no more."""
        self._is_short = self._sends_ahead and self._run_time < (_LONG if self._is_short else _SHORT)
        slots = _AHEAD if self._is_short else self.concurrency
        if slots != self._slots:
            self._slots = slots
            for link, instance in self._by_link.items():
                link.output.be_quiet(quiet=self._is_short)
                self._sort_in(instance, len(link.in_flight) if instance.state is State.READY else 0)

    def _look_for_stalls(self) -> None:
        """While calls wait: take back what was sent behind a long one, and let its age count as run time."""
        self._stall_timer = None
        now = time.monotonic()
        for link in list(self._by_link):
            begun = min((flight.started for _, flight in link.discipline.begun()), default=now)
            if self.waiting or self._is_short:
                self._run_time = max(self._run_time, now - begun)
            if link.discipline.is_stalled(now - _STALL):
                self.returned(link, link.discipline.take_back())
            if begun < now - _STALL or not link.in_flight:
                link.listen()
        self._judge()
        self.grow()
        if self.waiting or any(link.in_flight for link in self._by_link):
            self._stall_timer = self._loop.call_later(_STALL, self._look_for_stalls)

    def returned(self, link: Calls, flights: list[Flight], /) -> None:
        """See LinkOwner: the next free slots are theirs."""
        instance = self._by_link[link]
        for flight in reversed(flights):
            if flight.startup:
                self._on_output(self.function, instance.id, "", flight.startup)
            now, patience = self._loop.time(), self._settings.maximum_wait
            reason = "its instance had ended" if flight.losses else "the call before it took long"
            self.waiting.appendleft(Waiter(flight.call, flight.reply, now, patience, reason, flight.losses))
        self._sort_in(instance, len(link.in_flight) if instance.state is State.READY else 0)
        if self._is_over:
            self._refuse_all(_over())
        while self.waiting and self.idle:
            self.serve_waiting(self._idleness.woken(self.idle.pop()))
        self.grow()

    def _start(self, request_id: str) -> None:
        instance = Instance(self.birth, self.launcher, self._dead)
        self.instances.add(instance)
        self._starting.add(instance)
        self.drained.clear()
        self._tasks.begin(
            f"a start of {self.function.service}/{self.function.name}", self._bring_up(instance, request_id)
        )

    async def _bring_up(self, instance: Instance, request_id: str) -> None:
        began = time.monotonic()
        try:
            await instance.start(request_id)
            self._starting.discard(instance)
            self._losses = 0
            self.cold_start = time.monotonic() - began
            self.reserve.succeeded()
            self._serve(instance)
        except BaseException as error:
            self._not_started(instance, error, request_id)
            if not isinstance(error, Exception):
                raise

    def _not_started(self, instance: Instance, error: BaseException, request_id: str) -> None:
        """The one way out of every start that failed: who waits is told, and nothing of the instance stays counted."""
        self._starting.discard(instance)
        if isinstance(error, StartFailed):
            self.reserve.failed(error, error.result)
            self._fail_first(instance, error.result)
        else:
            refusal = error if isinstance(error, PyfcError) else Internal(detail="an instance could not be started")
            if isinstance(error, Exception) and not isinstance(error, HostRefused):
                _log.error("starting an instance failed", exc_info=error, extra={"request_id": request_id})
            self.reserve.failed(refusal)
            self._losses = self._losses + 1 if isinstance(error, InstanceLost) else 0
            if not 0 < self._losses <= _MOST_LOSSES:  # else another one is started for those who wait
                self._refuse_all(refusal)
        instance.abandon()
        self.grow()

    def _serve(self, instance: Instance) -> None:
        """A started instance takes its first call, or waits for one."""
        link = instance.link
        assert link is not None
        self._by_link[link] = instance
        sink = partial(self._on_output, self.function, instance.id)
        instance.serve(self, Flood(sink, self._settings.log_rate))
        self._idleness.arm()
        link.output.be_quiet(quiet=self._is_short)
        waiter = self.waiting.next()
        if waiter is not None:
            self._hand_over(link, waiter, waiter.flight(self._timeout, instance.phases, instance.startup))
        elif instance.startup:
            instance.wrote(link, "", instance.startup)
        self.serve_waiting(instance)

    def _hand_over(self, link: Link, waiter: Waiter, flight: Flight) -> bool:
        """Give a worker one of those who waited; False if it can not be sent behind those in flight."""
        try:
            return link.invoke(flight)
        except Exception:
            _log.exception("a call could not be sent", extra={"request_id": waiter.call.request_id})
            refusal = Internal(detail="the call could not be sent to its instance")
            self._tell(waiter, partial(waiter.reply.refuse, refusal))
            return True

    def serve_waiting(self, instance: Instance) -> None:
        """Give an instance as many of those who wait as it has slots for, or let it rest."""
        link = instance.link
        assert link is not None
        while len(link.in_flight) < self._slots and (waiter := self.waiting.next()) is not None:
            if not self._hand_over(link, waiter, waiter.flight(self._timeout)):
                self.waiting.put_back(waiter)
                break
        if not link.in_flight:
            self._rest(instance)
        if self._slots > 1:
            self._sort_in(instance, len(link.in_flight))

    def _rest(self, instance: Instance) -> None:
        if self.draining:
            instance.stop()
            return
        instance.idle_since = self._loop.time()
        self.idle.append(instance)

    def _fail_first(self, instance: Instance, result: Result) -> None:
        waiter = self.waiting.next()
        if waiter is not None:
            self._tell(waiter, partial(waiter.reply.result, result))
        elif result.startup:
            self._on_output(self.function, instance.id, "", result.startup)

    def _refuse_all(self, error: PyfcError) -> None:
        """Unless another instance lives or is being started, nobody is left to serve those who wait."""
        if not self._is_over and (self.starting or any(each.state is State.READY for each in self.instances)):
            return
        while (waiter := self.waiting.next()) is not None:
            self._tell(waiter, partial(waiter.reply.refuse, error))

    @staticmethod
    def _tell(asked: Waiter | Flight, answer: Callable[[], None]) -> None:
        """A bug of ours in one answer must not keep the others from theirs."""
        try:
            answer()
        except Exception:
            _log.exception("an answer could not be given", extra={"request_id": asked.call.request_id})

    def refused(self, _link: Calls, flight: Flight, error: PyfcError, /) -> None:
        """See LinkOwner."""
        self._tell(flight, partial(flight.reply.refuse, error))

    def doomed(self, link: Calls, /) -> None:
        """See LinkOwner."""
        instance = self._by_link[link]
        instance.condemned()
        self._take_out(instance)

    def retired(self, link: Calls, /) -> None:
        """See LinkOwner."""
        instance = self._by_link[link]
        instance.retire()
        self._take_out(instance)

    def closed(self, link: Calls, how: Exit, /) -> None:
        """See LinkOwner."""
        self._by_link[link].closed(link, how)

    def wrote(self, link: Calls, request_id: str, data: bytes, /) -> None:
        """See LinkOwner."""
        self._by_link[link].wrote(link, request_id, data)

    def _take_out(self, instance: Instance) -> None:
        """It gets no further call."""
        if instance in self.idle:
            self.idle.remove(instance)
        self._sort_in(instance, 0)

    def _dead(self, instance: Instance, _how: Exit) -> None:
        if instance.died_of:
            self.deaths[instance.died_of] += 1
        self._forget(instance)
        self.grow()
        if len(self.instances) < self.reserve.target:
            self.reserve.look()

    def start_reserved(self) -> bool:
        """One more instance, for no call; False if there is no room."""
        has_room = len(self.instances) < self._most() and self._room.take(self)
        if has_room:
            self._start(request_id())
        return has_room

    def _forget(self, instance: Instance) -> None:
        self.instances.discard(instance)
        self._take_out(instance)
        if instance.link is not None:
            self._by_link.pop(instance.link, None)
        if not self.instances:
            self.drained.set()
        self._room.give_back()

    def _expire(self) -> None:
        """Refuse those who have waited too long and for whom no instance is being started."""
        self._wait_timer = None
        now = self._loop.time()
        for waiter in self.waiting.late(now, self.starting):
            late = self._exhausted(f"the call waited {self._settings.maximum_wait:g} s")
            self._tell(waiter, partial(waiter.reply.refuse, late))
        if self.waiting:
            self._wait_timer = self._loop.call_at(max(self.waiting.soonest(), now + 0.1), self._expire)

    def evict(self) -> None:
        """Stop the instance that has been idle longest, to make room for another function's."""
        self.idle.pop(0).stop()

    def _exhausted(self, reason: str) -> ResourceExhausted:
        return ResourceExhausted(function=self.function.name, service=self.function.service, reason=reason)

    def scale(self, provision: Provision, limit: int) -> None:
        """It has this reserve and at most `limit` instances from now on."""
        self.limit = limit
        self.reserve.use(provision)

    def drain(self) -> None:
        """Serve those who wait, then end every instance; `drained` is set when none is left."""
        self.draining = True
        while self.idle:
            self.idle.pop().stop()

    def describe(self) -> dict[str, Any]:
        """How many instances there are, by state; how many have died before their time, by cause; the template."""
        return {
            "instances": dict(Counter(each.state.value for each in self.instances)),
            "deaths": dict(self.deaths),
            "template": self.launcher.status(self.birth.spec),
            **self.reserve.describe(len(self._by_link)),
        }

    def kill(self) -> None:
        """End every instance now, and start no other; calls in flight fail, and those that wait are refused."""
        self._is_over = True
        self._refuse_all(_over())
        for instance in list(self.instances):
            self.end(instance)

    def end(self, instance: Instance) -> None:
        """End one instance now: it gets no further call, and those in flight fail."""
        instance.kill()
        self._take_out(instance)


def _over() -> Unavailable:
    return Unavailable(message="the server is stopping")
