"""The instances of one function version: who serves the next call, and who waits.

1. A call takes the instance that became idle last, so that few are kept busy and the rest can be released; with
   instanceConcurrency above 1, one that is busy already and has a slot left.
2. Calls of a function that is measured to be short are sent to a busy worker ahead of their turn. When one of them
   turns out to be long, those behind it are taken back.
3. Without a free slot the call waits, in order of arrival, for whichever is free first. An instance is started for it,
   if the limits allow, when the predicted wait is longer than a cold start; what is not known yet counts as long.
4. A call that waits longer than `maximum_wait` is refused with 429, except while an instance is being started for it;
   a call that finds `maximum_waiting_calls` waiting is refused at once.
5. Timers are armed when needed and never one per call.

How many instances there are is population.py's.
"""

from __future__ import annotations

import logging
import math
import time
from functools import partial
from typing import Any

from pyfc.errors import Internal, PyfcError, Unavailable
from pyfc.host.process import Exit
from pyfc.model.function import Function, Provision
from pyfc.model.instance import State
from pyfc.model.invocation import Invocation, Reply, Result
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.idleness import Idleness
from pyfc.supervisor.instance import Instance
from pyfc.supervisor.interface import PoolContext
from pyfc.supervisor.line import SERVED, Line, Served, Waiter, tell, why
from pyfc.supervisor.population import Population
from pyfc.supervisor.roster import Roster
from pyfc.supervisor.stalls import Stalls
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls
from pyfc.workers.link import Link

_log = logging.getLogger(__name__)

_AHEAD = 8
"""Calls that a worker of a short function holds at once, the one that runs included."""
_SHORT, _LONG = 0.001, 0.002
"""Seconds of run time below which a function becomes short, and above which it is no more."""
_WEIGHT = 1 / 16
"""Of the newest call in the average run time."""
_UNKNOWN = math.inf
_READY, _DRAINING, _FROZEN = State.READY, State.DRAINING, State.FROZEN
_monotonic = time.monotonic


class Pace:
    """How long the calls of a function run, as a moving average, and how many a worker is given at once for that:
    `concurrency`, or more if it `sends_ahead`.
    """

    def __init__(self, concurrency: int, *, sends_ahead: bool) -> None:
        self.seconds = _UNKNOWN
        self.is_short = False
        self.slots = concurrency
        self._concurrency = concurrency
        self._sends_ahead = sends_ahead

    def took(self, seconds: float) -> bool:
        """A call has run so long. Whether `judge` may come to another result now."""
        known = self.seconds
        average = self.seconds = known + (seconds - known) * _WEIGHT if known < _UNKNOWN else seconds
        return average >= _LONG if self.is_short else average < _SHORT and self._sends_ahead

    def runs(self, seconds: float) -> None:
        """A call that has not ended runs so long already."""
        self.seconds = max(self.seconds, seconds)

    def judge(self) -> bool:
        """See whether the function has become short, or is so no more. Whether `slots` has changed."""
        before = self.slots
        self.is_short = self._sends_ahead and self.seconds < (_LONG if self.is_short else _SHORT)
        self.slots = _AHEAD if self.is_short else self._concurrency
        return self.slots != before


class Pool:
    """A Route: the instances of one function version. It is the owner of their links."""

    def __init__(self, function: Function, birth: Birth, context: PoolContext) -> None:
        settings = context.settings
        self.function = function
        self.draining = False
        limit = function.maximum_instance_count
        self.limit = settings.maximum_instance_count if limit is None else limit
        self.concurrency = birth.init.concurrency
        self.roster = Roster(fills=self.concurrency > 1)
        self.population = Population(self, function, birth, context)
        self.waiting = Line(function, settings, lambda: self.population.starting)
        self._pace = Pace(self.concurrency, sends_ahead=bool(birth.init.mark))
        self._idleness = Idleness(self, settings.freeze_after, settings.idle_timeout)
        self._stalls = Stalls(self)
        self._timeout = float(function.limits.timeout)

    @property
    def has_spare(self) -> bool:
        """See Tended."""
        return self.population.reserve.has_more

    @property
    def size(self) -> int:
        """See Tended."""
        return len(self.roster.instances)

    # the warm path

    def submit(self, call: Invocation, reply: Reply) -> Waiter | Served:
        """See Route."""
        roster = self.roster
        if self.waiting or not (free := roster.preferred or roster.otherwise):
            return self._wait(call, reply)
        instance = next(reversed(free))
        roster.idle.pop(instance, None)
        if instance.state is _FROZEN:
            self._idleness.woken(instance)
        link, now, timeout = instance.link, _monotonic(), self._timeout
        assert link is not None
        try:
            is_sent = link.invoke(Flight(call, reply, timeout, now, now + timeout))
        except BaseException:
            self.serve_waiting(instance)  # what cannot be sent costs no instance
            raise
        if self._pace.slots > 1:
            self._sort_in(instance, len(link.in_flight))
        return SERVED if is_sent else self._wait(call, reply)

    def _sort_in(self, instance: Instance, count: int) -> None:
        """Whether an instance with `count` calls has slots left."""
        if 0 < count < self._pace.slots:
            self.roster.open[instance] = None
        else:
            self.roster.open.pop(instance, None)
        if count and not self._stalls.is_armed:
            self._stalls.arm()

    def answered(self, link: Calls, flight: Flight, result: Result, /) -> None:
        """See LinkOwner. The next call is sent before this one is answered."""
        roster = self.roster
        instance = roster.by_link[link]
        if self._pace.took(result.usage.duration):
            self.judge()
        if instance.state is _READY:
            if self.waiting or self.draining:
                self.serve_waiting(instance)
            elif not link.in_flight:
                roster.idle[instance] = _monotonic()
                roster.open.pop(instance, None)
            elif self._pace.slots > 1:
                self._sort_in(instance, len(link.in_flight))
        elif instance.state is _DRAINING and not link.in_flight:
            instance.wind_up()
        try:
            flight.reply.result(result)
        except Exception:  # a bug of ours must not take the other calls of this worker with it
            _log.exception("an answer could not be given", extra={"request_id": flight.call.request_id})

    # those who wait

    def _wait(self, call: Invocation, reply: Reply) -> Waiter:
        if self.population.is_over:
            raise _over()
        waiter = self.waiting.join(call, reply, why(len(self.roster.instances), self.limit))
        self.grow()
        self._stalls.arm()
        return waiter

    def started(self, instance: Instance) -> None:
        """See Tended."""
        link = instance.link
        assert link is not None
        self.roster.by_link[link] = instance
        self._idleness.arm()
        link.output.be_quiet(quiet=self._pace.is_short)
        waiter, startup = self.waiting.next(), instance.beginning.output
        if waiter is not None:
            self._hand_over(link, waiter, waiter.flight(self._timeout, instance.beginning.phases, startup))
        elif startup:
            instance.wrote(link, "", startup)
        self.serve_waiting(instance)

    def _hand_over(self, link: Link, waiter: Waiter, flight: Flight) -> bool:
        """Give a worker one of those who waited; False if it cannot be sent behind those in flight."""
        try:
            return link.invoke(flight)
        except Exception:
            _log.exception("a call could not be sent", extra={"request_id": waiter.call.request_id})
            refusal = Internal(detail="the call could not be sent to its instance")
            tell(waiter, partial(waiter.reply.refuse, refusal))
            return True

    def serve_waiting(self, instance: Instance) -> None:
        """See Tended."""
        link = instance.link
        assert link is not None
        while len(link.in_flight) < self._pace.slots and (waiter := self.waiting.next()) is not None:
            if not self._hand_over(link, waiter, waiter.flight(self._timeout)):
                self.waiting.put_back(waiter)
                break
        if not link.in_flight:
            self._rest(instance)
        if self._pace.slots > 1:
            self._sort_in(instance, len(link.in_flight))

    def _rest(self, instance: Instance) -> None:
        if self.draining:
            instance.stop()
        else:
            self.roster.idle[instance] = _monotonic()

    def refuse_all(self, error: PyfcError) -> None:
        """See Tended."""
        instances = self.roster.instances
        if self.population.is_over or not (self.population.starting or any(each.state is _READY for each in instances)):
            self.waiting.refuse_all(error)

    def runs(self, seconds: float) -> None:
        """See Tended."""
        if self.waiting or self._pace.is_short:
            self._pace.runs(seconds)

    def judge(self) -> None:
        """See Tended."""
        if self._pace.judge():
            for link, instance in self.roster.by_link.items():
                link.output.be_quiet(quiet=self._pace.is_short)
                self._sort_in_ready(instance, link)

    def _sort_in_ready(self, instance: Instance, link: Calls) -> None:
        self._sort_in(instance, len(link.in_flight) if instance.state is _READY else 0)

    # what else becomes of calls and their workers

    def returned(self, link: Calls, flights: list[Flight], /) -> None:
        """See LinkOwner: the next free slots are theirs."""
        instance = self.roster.by_link[link]
        for flight in reversed(flights):
            if flight.startup:
                instance.wrote(link, "", flight.startup)
            self.waiting.rejoin(flight, "its instance had ended" if flight.losses else "the call before it took long")
        self._sort_in_ready(instance, link)
        if self.population.is_over:
            self.refuse_all(_over())
        while self.waiting and self.roster.idle:
            idle, _ = self.roster.idle.popitem()
            self.serve_waiting(self._idleness.woken(idle))
        self.grow()

    def refused(self, _link: Calls, flight: Flight, error: PyfcError, /) -> None:
        """See LinkOwner."""
        tell(flight, partial(flight.reply.refuse, error))

    def retired(self, link: Calls, /) -> None:
        """See LinkOwner."""
        instance = self.roster.by_link[link]
        instance.retire()
        self.roster.take_out(instance)

    def doomed(self, link: Calls, /) -> None:
        """See LinkOwner."""
        instance = self.roster.by_link[link]
        instance.condemned()
        self.roster.take_out(instance)

    def closed(self, link: Calls, how: Exit, /) -> None:
        """See LinkOwner."""
        self.roster.by_link[link].closed(link, how)

    def wrote(self, link: Calls, request_id: str, data: bytes, /) -> None:
        """See LinkOwner."""
        self.roster.by_link[link].wrote(link, request_id, data)

    # how many instances there are

    def grow(self) -> None:
        """See Tended."""
        self.population.grow()

    def predicted_wait(self) -> float:
        """See Tended."""
        slots = (len(self.roster.by_link) - self._idleness.freezing) * self.concurrency
        return len(self.waiting) * self._pace.seconds / slots if slots else math.inf

    def start_reserved(self) -> bool:
        """See Tended."""
        return self.population.start_reserved()

    reserve_one = start_reserved

    def evict(self) -> None:
        """See Tended."""
        self.roster.take_longest_idle().stop()

    def scale(self, provision: Provision, limit: int) -> None:
        """It has this reserve and at most `limit` instances from now on."""
        self.limit = limit
        self.population.reserve.use(provision)

    def drain(self) -> None:
        """Serve those who wait, then end every instance; `roster.drained` is set when none is left."""
        self.draining = True
        while self.roster.idle:
            self.evict()

    def kill(self) -> None:
        """End every instance now, and start no other; calls in flight fail, and those that wait are refused."""
        self.population.end()
        self.refuse_all(_over())
        for instance in list(self.roster.instances):
            self.end(instance)

    def end(self, instance: Instance) -> None:
        """End one instance now: it gets no further call, and those in flight fail."""
        instance.kill()
        self.roster.take_out(instance)

    def describe(self) -> dict[str, Any]:
        """Its instances; its template: `ready`, `none` while it is not needed, or why there is none; its reserve."""
        template = self.population.launcher.status(self.population.birth.spec)
        return {
            **self.roster.describe(),
            "template": template,
            **self.population.reserve.describe(len(self.roster.by_link)),
        }


def _over() -> Unavailable:
    return Unavailable(message="the server is stopping")
