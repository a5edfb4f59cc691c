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
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from pyfc.dispatch.lanes import Lane, Ran, request_of
from pyfc.dispatch.outcomes import message, next_event
from pyfc.errors import Internal, NotFound, PyfcError, Unavailable
from pyfc.model.asynchronous import Event, Policy, Status, refusal_delay, retry_delay
from pyfc.model.invocation import Invocation, Kind, Result, Ticket
from pyfc.model.names import LATEST, Target
from pyfc.model.resources import ASYNC
from pyfc.model.streams import Stream
from pyfc.observe.journal import CallRecord, Journal
from pyfc.queues.interface import Filter, Queue
from pyfc.settings import Settings
from pyfc.supervisor.supervisor import Supervisor
from pyfc.supervisor.table import Entry, alias_of, version_of

_log = logging.getLogger(__name__)
_WINDOW = 64
"""Events of a lane that are under way at once."""
_BATCH = 256
_MOST_READY = 1024
"""Events of a lane that need not be read again."""
_SWEEP = 3600.0
_KEPT = 10_000
_LOG = 64 * 1024
"""Bytes of a log that a record keeps."""
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
        self._dispatcher.answered(self._event, self._call, self._entry, result)

    def refuse(self, error: PyfcError) -> None:
        """See Reply."""
        self._dispatcher.refused(self._event, error)


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
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self._stopping = False
        self._idle = asyncio.Event()
        self._outbox: tuple[list[Event], list[Event]] = ([], [])
        """Outcomes that are to be written: those that leave a record, and those that do not."""
        self._followers: list[Event] = []
        self._is_writing = False
        self.kept_codes: set[str] = set()
        """Digests of the code of events that were given up: it stays, so that they can be replayed."""

    async def start(self) -> None:
        """Take up what the queue holds. What the table leads to is served already."""
        for lane in await self.queue.lanes():
            self._fetch(lane)
        for event in await self.queue.list(Filter(only_kept=True, limit=_KEPT)):
            self._keep_code(event)
        self._look_for_due()
        self._spawn(self._sweep())

    def _keep_code(self, event: Event) -> None:
        self.kept_codes.update(Ran.read(event.version).digests)

    def submit(self, event: Event) -> asyncio.Future[None]:
        """Promise to call: done when the event is durable. Raises AlreadyExists, Unavailable."""
        event.enqueued = now = time.time()
        event.note(Status.ENQUEUED, now)
        return self.queue.put([event])

    def arrived(self, event: Event) -> None:
        """An event is in the queue now: to be told by who has put it there."""
        if event.due > time.time():
            self._wake_at(event.due)
            return
        lane = self.lanes.setdefault(event.lane, Lane())
        if lane.is_whole and not lane.is_fetching and len(lane.ready) < _MOST_READY:
            self.queue.claim(event)
            lane.ready.append(event)
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
            self._run(name, lane, lane.ready.popleft())
        if len(lane.ready) < _WINDOW and not lane.is_whole and not lane.is_fetching:
            self._fetch(name)

    def _fetch(self, name: Target) -> None:
        lane = self.lanes.setdefault(name, Lane())
        lane.is_fetching = lane.is_whole = True
        self._spawn(self._take(name, lane))

    async def _take(self, name: Target, lane: Lane) -> None:
        try:
            events = await self.queue.take(name, _BATCH)
        except Unavailable as error:
            _log.warning("%s", error)
            await asyncio.sleep(1.0)
            events, lane.is_whole = [], False
        lane.ready.extend(events)
        lane.is_fetching = False
        if len(events) == _BATCH:
            lane.is_whole = False
        self._pump(name)

    def _run(self, name: Target, lane: Lane, event: Event) -> None:
        lane.running[event.number] = event
        now = time.time()
        policy = self.policy(event.target)
        if event.status is Status.STOPPING:
            self.finish(event, Status.STOPPED, policy)
        elif policy.maximum_age and now - event.enqueued > policy.maximum_age:
            event.condition = "EventAgeExceeded"
            self.finish(event, Status.EXPIRED, policy)
        elif event.address:
            self._spawn(self._send(event))
        else:
            self._call(event, now)

    def _call(self, event: Event, now: float) -> None:
        table = self.supervisor.table
        alias = alias_of(table, event.target) if event.target not in table.entries else None
        target = event.target._replace(qualifier=alias.choose({})) if alias else version_of(table, event.target)
        entry = table.entries.get(target) if target is not None else None
        if entry is None:
            event.error, event.condition = "FunctionNotFound", "FunctionDeleted"
            self.finish(event, Status.INVALID, Policy())
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
        self.lanes[event.lane].refusals = event.refusals = 0
        event.attempts += 1
        event.instance_id = result.usage.instance_id
        event.version = Ran.of(function).text
        event.log = (result.startup + result.log)[-_LOG:]
        event.result = bytes(result.body)
        if event.status is Status.STOPPING:
            self.finish(event, Status.STOPPED, policy)
        elif result.fault is None:
            event.error = ""
            self.finish(event, Status.SUCCEEDED, policy)
        elif event.attempts <= policy.retries:
            event.error = result.fault.kind.error_type
            now = time.time()
            event.due = now + retry_delay(event.attempts, self._settings.async_retry_delay)
            event.note(Status.RETRYING, now, event.error)
            self._settle(event)
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
        lane.running.pop(event.number, None)
        self.tickets.pop(event.number, None)
        event.error = error.code
        event.note(Status.ENQUEUED, time.time(), error.code)
        del event.history[:-_HISTORY]
        lane.ready.appendleft(event)
        if lane.pause is None:
            lane.refusals += 1
            delay = refusal_delay(lane.refusals)
            lane.pause = asyncio.get_running_loop().call_later(delay, self._resume, event.lane)

    def _resume(self, name: Target) -> None:
        self.lanes[name].pause = None
        self._pump(name)

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
        self._settle(event, also, forget=status is Status.SUCCEEDED and not event.is_stateful)

    def _settle(self, event: Event, also: Sequence[Event] = (), *, forget: bool = False) -> None:
        """Write what has become of an event, with whatever else there is to write. Until then it counts as running."""
        self._outbox[forget].append(event)
        self._followers.extend(also)
        if not self._is_writing:
            self._is_writing = True
            self._spawn(self._write())

    async def _write(self) -> None:
        """Settle what has gathered, until nothing has. One step holds an outcome and what follows from it."""
        while self._outbox[True] or self._outbox[False]:
            (kept, forgotten), also = self._outbox, self._followers
            self._outbox, self._followers = ([], []), []
            while True:
                try:
                    await asyncio.gather(self.queue.settle(kept, also), self.queue.settle(forgotten, forget=True))
                except PyfcError as error:  # whatever it is, no outcome is lost
                    _log.warning("%s", error)
                    await asyncio.sleep(1.0)
                else:
                    break
            for event in (*kept, *forgotten):
                self._settled(event)
            for event in also:
                self.arrived(event)
        self._is_writing = False

    def _settled(self, event: Event) -> None:
        lane = self.lanes[event.lane]
        lane.running.pop(event.number, None)
        self.tickets.pop(event.number, None)
        if not event.status.is_final:
            self._wake_at(event.due)
        if self._stopping and not any(other.running for other in self.lanes.values()):
            self._idle.set()
        self._pump(event.lane)

    async def _send(self, event: Event) -> None:
        """Deliver a message to a destination that is no function."""
        try:
            await self._deliver(event.address, event.payload)
        except PyfcError as error:
            event.attempts += 1
            event.error, now = str(error), time.time()
            if event.attempts <= self._settings.destination_retries:
                event.due = now + retry_delay(event.attempts, self._settings.async_retry_delay)
                event.note(Status.RETRYING, now, event.error)
                self._settle(event)
            else:
                event.condition = "DestinationUnreachable"
                self.finish(event, Status.FAILED, Policy())
        else:
            self.finish(event, Status.SUCCEEDED, Policy())

    # what people ask for

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
        delay = max(0.0, due - time.time())
        self._timer = asyncio.get_running_loop().call_later(delay, self._look_for_due)

    def _look_for_due(self) -> None:
        self._timer, self._due = None, float("inf")
        if not self._stopping:
            self._spawn(self._awaken())

    async def _awaken(self) -> None:
        try:
            due = await self.queue.next_due()
            for name in await self.queue.lanes():
                self.lanes.setdefault(name, Lane()).is_whole = False
                self._pump(name)
        except Unavailable as error:
            _log.warning("%s", error)
            due = time.time() + 1.0
        if due is not None:
            self._wake_at(due)

    async def _sweep(self) -> None:
        """Forget old records, now and every hour."""
        while True:
            await self.queue.sweep(time.time() - self._settings.async_retention)
            await asyncio.sleep(_SWEEP)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Take nothing more, and wait for what runs, for at most `drain_timeout`: the rest runs again after the next
        start.
        """
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for lane in self.lanes.values():
            if lane.pause is not None:
                lane.pause.cancel()
        if any(lane.running for lane in self.lanes.values()):
            try:
                async with asyncio.timeout(self._settings.drain_timeout):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("asynchronous calls still run; they are called again after the next start")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


_HISTORY = 50
"""States of an event that are remembered."""
