"""Takes events out of the queue and calls functions, by the same route as everybody else.

1. A 202 is sent after `submit` returned: the event is durable then. It runs at least once: what was not settled when
   the server died runs again after its start, with the same request id.
2. Every function (and destination) has a lane; lanes have a window of events that run or wait for an instance, so that
   one with a long queue does not hold up another.
3. A function's own failure is tried again `maxAsyncRetryAttempts` times, with growing pauses; where there is no room
   or the platform fails it is tried again for ever, or until it is older than `maxAsyncEventAgeInSeconds`, and that
   uses up no attempt.
4. What succeeded is delivered and settled in one step; what was given up keeps its payload, error and log: a dead
   letter, until somebody drops or retries it.
5. No failure leaves a lane standing. A step of the queue is tried again until it succeeds; an event by which pyfc
   itself fails rests for a while, and the others of its lane go on.
6. Calls of a function that is disabled wait until it is enabled.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import Protocol

from pyfc.calls.table import Entry, Table, alias_of, version_of
from pyfc.dispatch.lane import Lane, Ran, request_of
from pyfc.dispatch.outbox import Outbox
from pyfc.dispatch.outcomes import message, next_event
from pyfc.dispatch.persistence import report, until_done
from pyfc.errors import FunctionDisabled, Internal, NotFound, PyfcError
from pyfc.model.asynchronous import Event, Policy, Status, refusal_delay, retry_delay
from pyfc.model.bodies import Stream
from pyfc.model.invocation import Invocation, Kind, Result, Ticket
from pyfc.model.names import LATEST, Target
from pyfc.model.resources import ASYNC
from pyfc.observe.journal import CallRecord, Journal
from pyfc.queues.interface import Filter, Outcome, Queue
from pyfc.settings import Settings
from pyfc.supervisor.supervisor import Supervisor
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_WINDOW = 64
"""Events of a lane that are under way at once."""
_BATCH = 256
_MOST_READY = 1024
"""Events of a lane that need not be read again."""
_MOST_HELD, _MOST_TAKEN = 64 * 1024 * 1024, 4 * 1024 * 1024
"""Bytes of events that are in memory, and that are read at once; a lane with none may always have one."""
_SWEEP = 3600.0
_KEPT = 10_000
_LOG = 64 * 1024
"""Bytes of a log that a record keeps."""
_RESULT = 1024 * 1024
"""Bytes of a result that a record keeps."""
_LONGEST = 60.0
"""Seconds after which one looks again what is due: a machine that slept has timers that know nothing of it."""
_ACCEPTED = 202


class Deliver(Protocol):
    """How a destination that is no function gets its message."""

    async def __call__(self, address: str, message: bytes) -> None:
        """Raises PyfcError if it was not taken."""


class _Reply:
    """Waits for the answer of one event."""

    streams = False

    def __init__(self, dispatcher: Dispatcher, event: Event, call: Invocation, entry: Entry) -> None:
        self._dispatcher = dispatcher
        self._event = event
        self._call = call
        self._entry = entry

    def head(self, head: Result, stream: Stream) -> None:
        """See Reply."""
        raise Internal(detail="a result in pieces for somebody who wants it whole")

    def piece(self, data: bytes | memoryview) -> bool:
        """See Reply."""
        raise Internal(detail="a piece for somebody who wants the whole")

    def result(self, result: Result) -> None:
        """See Reply."""
        try:
            self._dispatcher.answered(self._event, self._call, self._entry, result)
        except Exception as failure:
            self._dispatcher.broken(self._event, failure)

    def refuse(self, error: PyfcError) -> None:
        """See Reply."""
        try:
            self._dispatcher.refused(self._event, error)
        except Exception as failure:
            self._dispatcher.broken(self._event, failure)


class Dispatcher:
    """The asynchronous calls of one server."""

    def __init__(
        self, settings: Settings, queue: Queue, supervisor: Supervisor, journal: Journal, deliver: Deliver
    ) -> None:
        self.queue = queue
        self._settings = settings
        self.supervisor = supervisor
        self._journal = journal
        self._deliver = deliver
        self.lanes: dict[Target, Lane] = {}
        self.tickets: dict[int, Ticket] = {}
        self._tasks = Tasks()
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self._stopping = False
        self._idle = asyncio.Event()
        self._held = 0
        """Bytes of events in memory, or for which there must be room since they are being read."""
        self._starved: set[Target] = set()
        """Lanes that have more, for which there is no room."""
        self._outbox = Outbox(queue, self._tasks, self._settled, self.arrived)
        self.kept_codes: set[str] = set()
        """Digests of the code of events that were given up: it stays, so that they can be replayed."""

    async def start(self) -> None:
        """Take up what the queue holds. What the table leads to is served already."""
        for event in await self.queue.list(Filter(only_kept=True, limit=_KEPT)):
            self._keep_code(event)
        self._look_for_due()
        self._tasks.begin("forgetting old records of asynchronous calls", self._sweep())

    def _keep_code(self, event: Event) -> None:
        try:
            self.kept_codes.update(Ran.read(event.version).digests)
        except TypeError as error:
            report(f"what has run {event.request_id} can not be told from its record", error)

    def submit(self, event: Event, delay: float = 0.0) -> asyncio.Future[bool]:
        """Promise to call, not before `delay` seconds from now: done when the event is durable. Raises QueueFull, at
        once; AlreadyExists, Unavailable.
        """
        event.enqueued = now = time.time()
        event.due = self.queue.now() + delay if delay else 0.0
        event.note(Status.ENQUEUED, now)
        return self.queue.put([event])

    def arrived(self, event: Event) -> None:
        """An event is in the queue now: to be told by who has put it there."""
        if event.due > self.queue.now():
            self._wake_at(event.due)
            return
        lane = self.lanes.setdefault(event.lane, Lane())
        if lane.is_whole and not lane.is_fetching and len(lane.ready) < _MOST_READY and self._held < _MOST_HELD:
            try:
                lane.is_whole = self.queue.claim(event)
                if lane.is_whole:
                    self._held += _weight(event)
                    lane.ready.append(event)
            except Exception as error:
                report("an asynchronous call can not be taken at once", error)
                lane.is_whole = False
        else:
            lane.is_whole = False
        self._pump(event.lane)

    # taking

    def _pump(self, name: Target) -> None:
        """Run what a lane has, as far as its window allows."""
        lane = self.lanes.setdefault(name, Lane())
        if self._stopping or lane.pause is not None:
            return
        while lane.ready and len(lane.running) < _WINDOW and lane.pause is None:
            self._run(lane, lane.ready.popleft())
        if len(lane.ready) < _WINDOW and not lane.is_whole and not lane.is_fetching:
            if self._held < _MOST_HELD or lane.is_empty:
                self._fetch(name)
            else:
                self._starved.add(name)

    def _fetch(self, name: Target) -> None:
        lane = self.lanes.setdefault(name, Lane())
        lane.is_fetching = lane.is_whole = True
        self._tasks.begin(f"the queue of {'/'.join(name)}", self._take(name, lane))

    async def _take(self, name: Target, lane: Lane) -> None:
        what = f"what waits for {'/'.join(name)} can not be read"
        size = max(1, min(_MOST_TAKEN, _MOST_HELD - self._held))
        self._held += size
        events = await until_done(what, partial(self.queue.take, name, _BATCH, size))
        self._held += sum(map(_weight, events)) - size
        lane.ready.extend(events)
        lane.is_fetching = False
        if events:
            lane.is_whole = False
        self._pump(name)

    def _run(self, lane: Lane, event: Event) -> None:
        lane.running[event.number] = event
        try:
            self._begin(event)
        except Exception as error:
            self.broken(event, error)

    def _begin(self, event: Event) -> None:
        policy = self.policy(event.target)
        if event.status is Status.STOPPING:
            self.finish(event, Status.STOPPED, policy)
        elif policy.maximum_age and self.queue.now() - event.born > policy.maximum_age:
            event.condition = "EventAgeExceeded"
            self.finish(event, Status.EXPIRED, policy)
        elif event.address:
            self._tasks.begin(f"a message for {event.address}", self._send(event))
        elif event.attempts > policy.retries:  # pyfc failed after the last of them
            event.condition = event.error
            self.finish(event, Status.FAILED, policy)
        else:
            self._call(event, time.time())

    def _call(self, event: Event, now: float) -> None:
        table = self.supervisor.table
        alias = alias_of(table, event.target) if event.target not in table.entries else None
        target = event.target._replace(qualifier=alias.choose({})) if alias else version_of(table, event.target)
        entry = table.entries.get(target) if target is not None else None
        if entry is None:
            event.error, event.condition = "FunctionNotFound", "FunctionDeleted"
            self.finish(event, Status.INVALID, Policy())
            return
        if entry.function.is_disabled:
            self.refused(event, FunctionDisabled(function=event.target.function, reason=""))
            return
        http = request_of(event.http)
        kind = Kind.HTTP if http is not None else Kind.EVENT
        call = Invocation(event.request_id, event.target, kind, event.payload, http, None, event.attempts)
        event.started = now
        event.note(Status.RUNNING, now)
        try:
            ticket = entry.route.submit(call, _Reply(self, event, call, entry))
        except PyfcError as error:
            self.refused(event, error)
        else:
            if event.number in self.lanes[event.lane].running:
                self.tickets[event.number] = ticket

    # outcomes

    def answered(self, event: Event, call: Invocation, entry: Entry, result: Result) -> None:
        """The function ran, or failed by itself."""
        function, policy = entry.function, self.policy(event.target)
        self._journal.add(CallRecord(time.time(), function, call, _ACCEPTED, result, ""))
        self.lanes[event.lane].refusals = 0
        event.attempts += 1
        event.instance_id = result.usage.instance_id
        event.version = Ran.of(function).text
        event.log = (result.startup + result.log)[-_LOG:]
        event.result = bytes(result.body[:_RESULT])
        if event.status is Status.STOPPING:
            self.finish(event, Status.STOPPED, policy)
        elif result.fault is None:
            event.error = ""
            self.finish(event, Status.SUCCEEDED, policy)
        elif event.attempts <= policy.retries:
            event.error = result.fault.kind.error_type
            self._retry(event)
        else:
            event.error = event.condition = result.fault.kind.error_type
            self.finish(event, Status.FAILED, policy)

    def refused(self, event: Event, error: PyfcError) -> None:
        """There was no room, or pyfc failed: the lane waits, and the event uses up no attempt."""
        if isinstance(error, NotFound):
            event.error, event.condition = error.code, "FunctionDeleted"
            self.finish(event, Status.INVALID, Policy())
            return
        lane = self.lanes[event.lane]
        if event.status is Status.STOPPING:
            self.finish(event, Status.STOPPED, Policy())
            return
        self._not_running(event)
        event.error = error.code
        event.note(Status.ENQUEUED, time.time(), error.code)
        del event.history[:-_HISTORY]
        lane.ready.appendleft(event)
        lane.is_disabled = isinstance(error, FunctionDisabled)
        if lane.pause is None:
            lane.refusals += 1
            delay = refusal_delay(lane.refusals)
            lane.pause = asyncio.get_running_loop().call_later(delay, self._resume, event.lane)

    def _resume(self, name: Target) -> None:
        lane = self.lanes[name]
        if lane.pause is not None:
            lane.pause.cancel()
        lane.pause = None
        self._pump(name)

    def broken(self, event: Event, error: Exception) -> None:
        """pyfc itself has failed with an event: it rests, out of the way of the others of its lane."""
        event.refusals += 1
        delay = refusal_delay(event.refusals)
        report(f"the asynchronous call {event.request_id} could not be dealt with (again in {delay:.1f} s)", error)
        self._not_running(event)
        loop = asyncio.get_running_loop()
        self.lanes[event.lane].resting[event.number] = (event, loop.call_later(delay, self._rested, event))
        loop.call_soon(self._pump, event.lane)

    def _rested(self, event: Event) -> None:
        lane = self.lanes[event.lane]
        lane.resting.pop(event.number, None)
        lane.ready.append(event)
        self._pump(event.lane)

    def use(self, table: Table) -> None:
        """Something else is served: calls of a function that is enabled again begin, those of one that is disabled
        wait.
        """
        for name, lane in list(self.lanes.items()):
            if lane.is_disabled and lane.pause is not None:
                self._resume(name)
            elif lane.running:
                self._hold(table, lane)

    def _hold(self, table: Table, lane: Lane) -> None:
        """Take back what has not begun of a function that is disabled."""
        for event in list(lane.running.values()):
            target = version_of(table, event.target)
            ticket = self.tickets.get(event.number)
            is_disabled = target is not None and table.entries[target].function.is_disabled
            if is_disabled and ticket is not None and ticket.cancel():
                self.refused(event, FunctionDisabled(function=event.target.function, reason=""))

    def _retry(self, event: Event) -> None:
        """Later, since it failed by itself."""
        event.due = self.queue.now() + retry_delay(event.attempts, self._settings.async_retry_delay)
        event.note(Status.RETRYING, time.time(), event.error)
        self._outbox.add(Outcome(event))

    def finish(self, event: Event, status: Status, policy: Policy) -> None:
        """Settle an event for good, with the message to its destination."""
        event.ended = time.time()
        event.note(status, event.ended, event.error)
        if status is not Status.SUCCEEDED:
            self._keep_code(event)
        address = policy.on_success if status is Status.SUCCEEDED else policy.on_failure
        also: list[Event] = []
        if address and not event.address and status is not Status.STOPPED:
            text = message(event, self._settings, status)
            follower = next_event(address, text, event, self._settings.account_id)
            if follower is None:
                _log.warning("%s: destinations have led to it %s times, it ends there", event.target, event.depth)
            else:
                also.append(follower)
        self._outbox.add(Outcome(event, also, forget=status is Status.SUCCEEDED and not event.is_stateful))

    def _settled(self, event: Event) -> None:
        """Its outcome is durable. Until then it counts as running."""
        self._held -= _weight(event)
        self._not_running(event)
        if not event.status.is_final:
            self._wake_at(event.due)
        self._pump(event.lane)
        if self._starved and self._held < _MOST_HELD:
            starved, self._starved = self._starved, set()
            for name in starved:
                self._pump(name)

    def _not_running(self, event: Event) -> None:
        self.lanes[event.lane].running.pop(event.number, None)
        self.tickets.pop(event.number, None)
        if self._stopping and not any(lane.running for lane in self.lanes.values()):
            self._idle.set()

    async def _send(self, event: Event) -> None:
        """Deliver a message to a destination that is no function."""
        try:
            await self._deliver(event.address, event.payload)
        except Exception as error:
            if not isinstance(error, PyfcError):
                report(f"a message for {event.address}", error)
            event.attempts += 1
            event.error = str(error)
            if event.status is Status.STOPPING:
                self.finish(event, Status.STOPPED, Policy())
            elif event.attempts <= self._settings.destination_retries:
                self._retry(event)
            else:
                event.condition = "DestinationUnreachable"
                self.finish(event, Status.FAILED, Policy())
        else:
            self.finish(event, Status.SUCCEEDED, Policy())

    # what people ask for

    def held(self, event: Event) -> Event | None:
        """An event as it is in memory, if it is."""
        lane = self.lanes.get(event.lane)
        return lane.held(event.number) if lane is not None else None

    def stop(self, event: Event) -> None:
        """Make an event that is in memory and has not begun an end of."""
        lane = self.lanes[event.lane]
        lane.withdraw(event.number)
        lane.running[event.number] = event
        self.finish(event, Status.STOPPED, Policy())

    def policy(self, target: Target) -> Policy:
        """The asynchronous configuration of a function: of this qualifier, else of the newest version."""
        for qualifier in (target.qualifier, LATEST):
            config = self.supervisor.config(target._replace(qualifier=qualifier), ASYNC)
            if config is not None:
                return Policy.read(config.document)
        return Policy()

    # time

    def _wake_at(self, due: float) -> None:
        """Look for delayed events at `due`, or before if that was planned."""
        if due >= self._due and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        delay = min(max(0.0, due - self.queue.now()), _LONGEST)
        self._timer = asyncio.get_running_loop().call_later(delay, self._look_for_due)

    def _look_for_due(self) -> None:
        self._timer, self._due = None, float("inf")
        if not self._stopping:
            self._tasks.begin("looking for delayed calls", self._awaken())

    async def _awaken(self) -> None:
        due = await until_done("delayed calls can not be looked for", self._look)
        if due is not None:
            self._wake_at(due)

    async def _look(self) -> float | None:
        due = await self.queue.next_due()
        for name in await self.queue.lanes():
            self.lanes.setdefault(name, Lane()).is_whole = False
            self._pump(name)
        return due

    async def _sweep(self) -> None:
        """Forget old records, now and every hour."""
        while True:
            before = self.queue.now() - self._settings.async_retention
            await until_done("old records can not be forgotten", partial(self.queue.sweep, before))
            await asyncio.sleep(_SWEEP)

    async def close(self) -> None:
        """Take nothing more, and wait for what runs, for at most `drain_timeout`: the rest runs again after the next
        start.
        """
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for lane in self.lanes.values():
            for timer in (lane.pause, *(timer for _, timer in lane.resting.values())):
                if timer is not None:
                    timer.cancel()
        if any(lane.running for lane in self.lanes.values()):
            try:
                async with asyncio.timeout(self._settings.drain_timeout):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("asynchronous calls still run; they are called again after the next start")
        await self._tasks.close()


def _weight(event: Event) -> int:
    """Bytes that an event takes in memory."""
    return _ROW + len(event.payload)


_ROW = 1024
_HISTORY = 50
"""States of an event that are remembered."""
