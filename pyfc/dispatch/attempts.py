"""One attempt at an event: its function is called, by the same route as by everybody else, or its message delivered.

1. A function's own failure is tried again `maxAsyncRetryAttempts` times, with growing pauses; where there is no room
   or the platform fails it is tried again for ever, or until it is older than `maxAsyncEventAgeInSeconds`, and that
   uses up no attempt.
2. Calls of a function that is disabled wait until it is enabled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from pyfc.calls.paths import serving
from pyfc.calls.table import Entry, Table, version_of
from pyfc.dispatch.endings import Endings
from pyfc.dispatch.lane import Lane, Turn
from pyfc.dispatch.lanes import Lanes
from pyfc.dispatch.persistence import report
from pyfc.errors import FunctionDisabled, NotFound, PyfcError
from pyfc.model.asynchronous import DEEPEST, LOOP, LOOP_STATUS, Event, Policy, Ran, Status, request_of
from pyfc.model.invocation import Cause, Invocation, Kind, Result, Trace, WholeReply
from pyfc.model.names import LATEST, Target
from pyfc.model.resources import ASYNC, Config
from pyfc.observe.journal import CallRecord, Journal
from pyfc.observe.metrics.point import Series
from pyfc.observe.traces.sampling import Sampling
from pyfc.settings import Settings
from pyfc.supervisor.pool import Pool
from pyfc.tasks import Tasks
from pyfc.triggers import eventbridge, log

_LOG = 64 * 1024
"""Bytes of a log that a record keeps."""
_RESULT = 1024 * 1024
"""Bytes of a result that a record keeps."""
_HISTORY = 50
"""States of an event that are remembered."""
_ACCEPTED = 202
_PUSHING: dict[str, Callable[[Mapping[str, Any]], Policy | None]] = {
    "eventbridge": eventbridge.policy_of,
    "log": log.policy_of,
}
"""What says of a type of triggers how its source goes on pushing; None: it leaves that to the function."""
_POLICIES = 4096
"""Configurations that are kept as they were read."""


class Deliver(Protocol):
    """How a destination that is no function gets its message."""

    async def __call__(self, address: str, message: bytes, depth: int, trace: Trace | None) -> None:
        """`depth`: how many calls have led to it; `trace`: theirs. Raises PyfcError if it was not taken."""


class Served(Protocol):
    """What calls of events look at: the supervisor."""

    @property
    def table(self) -> Table:
        """What is served now."""

    def config(self, target: Target, kind: str) -> Config | None:
        """A configuration of one function and qualifier."""


class DispatchContext(NamedTuple):
    """What asynchronous calls of one server meet."""

    settings: Settings
    served: Served
    journal: Journal
    deliver: Deliver
    sampling: Sampling | None = None
    """Which calls belong to traces; None: no spans are exported."""
    note: Callable[[Series, Mapping[str, int]], None] = lambda *_: None
    """Counts, by the fields of a point of metrics."""


class _Reply(WholeReply):
    """Waits for the answer of one event."""

    streams = False

    def __init__(self, attempts: Attempts, event: Event, call: Invocation, entry: Entry) -> None:
        self._attempts = attempts
        self._event = event
        self._call = call
        self._entry = entry

    def result(self, result: Result) -> None:
        """See Reply."""
        try:
            self._attempts.answered(self._event, self._call, self._entry, result)
        except Exception as failure:
            self._attempts.broken(self._event, failure)

    def refuse(self, error: PyfcError) -> None:
        """See Reply."""
        try:
            self._attempts.refused(self._event, error)
        except Exception as failure:
            self._attempts.broken(self._event, failure)


class Attempts:
    """Makes them, for the lanes of one server."""

    def __init__(self, context: DispatchContext, tasks: Tasks, lanes: Lanes, endings: Endings) -> None:
        self._settings, self._served, self._journal, self._deliver, self._sampling, _ = context
        self._tasks = tasks
        self._lanes = lanes
        self._endings = endings
        self._policies: dict[Target, Policy] = {}
        """Those that were asked for since something else is served."""

    def begin(self, lane: Lane, event: Event) -> None:
        """Make an attempt, or an end of the event."""
        policy = self._policy_of(event)
        if event.status is Status.STOPPING:
            self._endings.finish(event, Status.STOPPED, policy)
        elif self._endings.is_too_old(event, policy):
            event.condition = "EventAgeExceeded"
            self._endings.finish(event, Status.EXPIRED, policy)
        elif event.address:
            self._tasks.begin(f"a message for {event.address}", self._send(event))
        elif event.attempts > policy.retries:  # pyfc failed after the last of them
            event.condition = event.error
            self._endings.finish(event, Status.FAILED, policy)
        else:
            self._call(lane, event, time.time())

    def _call(self, lane: Lane, event: Event, now: float) -> None:
        try:
            entry, _ = serving(self._served.table, event.target, {})
        except NotFound:
            event.error, event.condition = "FunctionNotFound", "FunctionDeleted"
            self._endings.finish(event, Status.INVALID)
            return
        except FunctionDisabled as error:
            self.refused(event, error)
            return
        http = request_of(event.http)
        kind = Kind.HTTP if http is not None else Kind.EVENT
        cause = Cause(event.id, event.trigger, max(now - event.enqueued, 0.0))
        call = Invocation(
            event.request_id, event.target, kind, event.payload, http, event.trace, event.attempts, cause=cause
        )
        if self._sampling is not None:
            call = self._sampling.continued(call)
        if event.depth > DEEPEST:
            event.error = event.condition = LOOP
            self._journal.add(CallRecord(now, entry.function, call, LOOP_STATUS, None, LOOP))
            self._endings.finish(event, Status.FAILED)
            return
        event.started = now
        event.note(Status.RUNNING, now)
        try:
            ticket = entry.route.submit(call, _Reply(self, event, call, entry))
        except PyfcError as error:
            self.refused(event, error)
        else:
            if event.number in lane.running:
                lane.tickets[event.number] = ticket

    def answered(self, event: Event, call: Invocation, entry: Entry, result: Result) -> None:
        """The function ran, or failed by itself."""
        function, policy = entry.function, self._policy_of(event)
        self._journal.add(CallRecord(time.time(), function, call, _ACCEPTED, result, ""))
        self._lanes[event.lane].worked()
        event.attempts += 1
        event.instance_id = result.usage.instance_id
        event.version = Ran.of(function).text
        event.log = (result.startup + result.log)[-_LOG:]
        event.result = bytes(result.body[:_RESULT])
        if event.status is Status.STOPPING:
            self._endings.finish(event, Status.STOPPED, policy)
        elif result.fault is None:
            event.error = ""
            self._endings.finish(event, Status.SUCCEEDED, policy)
        elif event.attempts <= policy.retries:
            event.error = result.fault.kind.error_type
            self._endings.retry(event, policy)
        else:
            event.error = event.condition = result.fault.kind.error_type
            self._endings.finish(event, Status.FAILED, policy)

    def refused(self, event: Event, error: PyfcError) -> None:
        """There was no room, or pyfc failed: the lane waits, and the event uses up no attempt."""
        if isinstance(error, NotFound):
            event.error, event.condition = error.code, "FunctionDeleted"
            self._endings.finish(event, Status.INVALID)
            return
        if event.status is Status.STOPPING:
            self._endings.finish(event, Status.STOPPED)
            return
        event.error = error.code
        event.note(Status.ENQUEUED, time.time(), error.code)
        del event.history[:-_HISTORY]
        self._lanes.refused(event, Turn.FORBIDDEN if isinstance(error, FunctionDisabled) else Turn.REFUSED)

    def broken(self, event: Event, error: Exception) -> None:
        """pyfc itself has failed with an event."""
        self._lanes.rest(event, error)

    async def _send(self, event: Event) -> None:
        """Deliver a message to a destination that is no function."""
        try:
            await self._deliver(event.address, event.payload, event.depth, event.trace)
        except Exception as error:
            if not isinstance(error, PyfcError):
                report(f"a message for {event.address}", error)
            event.attempts += 1
            event.error = str(error)
            if event.status is Status.STOPPING:
                self._endings.finish(event, Status.STOPPED)
            elif event.attempts <= self._settings.destination_retries:
                self._endings.retry(event)
            else:
                event.condition = "DestinationUnreachable"
                self._endings.finish(event, Status.FAILED)
        else:
            self._endings.finish(event, Status.SUCCEEDED)

    def _hold_back(self, table: Table, lane: Lane) -> None:
        """Take back what has not begun of functions that are disabled."""
        for event in list(lane.running.values()):
            target = version_of(table, event.target)
            ticket = lane.tickets.get(event.number)
            is_disabled = target is not None and table.entries[target].function.is_disabled
            if is_disabled and ticket is not None and ticket.cancel():
                self.refused(event, FunctionDisabled(function=event.target.function, reason=""))

    def stop(self, event: Event) -> None:
        """End an event that runs: at once if it waits for an instance, else the instance that runs it."""
        event.note(Status.STOPPING, time.time())
        ticket = self._lanes[event.lane].tickets.get(event.number)
        if ticket is not None and ticket.cancel():
            self._endings.finish(event, Status.STOPPED)
            return
        for entry in list(self._served.table.entries.values()):
            if isinstance(entry.route, Pool) and entry.function.target[:2] == event.target[:2]:
                _end_call(entry.route, event.request_id)

    def use(self, table: Table, lanes: Iterable[Lane]) -> None:
        """Something else is served. `lanes`: whose running events may have to be held back."""
        self._policies.clear()
        for lane in lanes:
            self._hold_back(table, lane)

    def policy(self, target: Target) -> Policy:
        """The asynchronous configuration of a function: of this qualifier, else of the newest version."""
        found = self._policies.get(target)
        if found is None:
            if len(self._policies) >= _POLICIES:
                self._policies.clear()
            found = self._policies[target] = self._read_policy(target)
        return found

    def _policy_of(self, event: Event) -> Policy:
        """That of the trigger which has fired an event, if its source goes on pushing; else the function's."""
        entry = self._served.table.entries.get(event.target._replace(qualifier=LATEST)) if event.trigger else None
        for trigger in entry.triggers if entry is not None else ():
            if trigger.name == event.trigger and trigger.type in _PUSHING:
                return _PUSHING[trigger.type](trigger.config) or self.policy(event.target)
        return self.policy(event.target)

    def _read_policy(self, target: Target) -> Policy:
        for qualifier in (target.qualifier, LATEST):
            config = self._served.config(target._replace(qualifier=qualifier), ASYNC)
            if config is not None:
                return Policy.read(config.document)
        return Policy()


def _end_call(pool: Pool, request_id: str) -> None:
    """End the instance that runs a call, as if it had been late."""
    for instance in list(pool.roster.instances):
        flights = instance.link.in_flight.values() if instance.link is not None else ()
        if any(flight.call.request_id == request_id for flight in flights):
            pool.end(instance)
