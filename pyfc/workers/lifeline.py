"""The deadlines of a worker's calls, and its death.

1. A call's deadline runs from the moment it can begin. There is one timer per worker, armed for the earliest deadline
   and never cancelled: when it fires too early it is armed again.
2. A late call's worker is told to stop (it dumps its stack), then killed; the call is answered when it is gone. With
   other calls in flight it is answered at once, the worker says where it is, takes no further call and is told to stop
   when the others have ended.
3. A worker that holds more memory than it may is killed (memory.py, or the kernel).
4. Of a worker that dies, the calls it has not begun (it has not read them) are given back, the others fail. If it died
   because its zygote or keeper did, that is nobody's fault but ours, and they are refused.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence

from pyfc.errors import Internal
from pyfc.host.process import Exit
from pyfc.model import faults
from pyfc.model.invocation import Fault, Result, Usage
from pyfc.sandbox.group import CROWD, Group, of_a_crowd
from pyfc.wire import frames
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls
from pyfc.workers.peak import Peak

_STOP_GRACE = 0.25
"""Seconds that the worker of a late call gets before SIGKILL."""
_ABORTED = {-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL, 255}
"""How programs end that abort: by a signal; PHP by 255, since the first process of a namespace cannot signal itself."""
_MEGABYTE = 1024 * 1024
_MOST_LOSSES = 3
"""Times that a call is given back because its worker ended before it had begun it: a function whose process always ends
at once must not be started for ever.
"""


class Lifeline:
    """Watches one link's calls and its worker."""

    def __init__(self, link: Calls) -> None:
        self.peak = Peak(link.worker.process.pid, link.worker.cell)
        self.is_armed = False
        self.closed = False
        self.is_starting = True
        """Its module is loaded, its initializer runs."""
        self.is_broken = False
        """It has ended, or sent what is no frame, or closed its pipe: it gets no further call."""
        self.is_late = False
        """A call of it took longer than it may."""
        self.is_exhausted = False
        """It held more memory than it may."""
        self.is_lost = self._is_meant = False
        """It ended with the zygote or keeper that had started it."""
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        process = link.worker.process
        process.when_gone(self._exited)
        if process.exit is not None:
            self._loop.call_soon(self._exited, process.exit)

    def started(self) -> None:
        """Its start is over."""
        self.is_starting = False

    def arm(self, delay: float) -> None:
        """A call has begun and none was in flight for a while."""
        self.is_armed = True
        self._timer = self._loop.call_later(delay, self._check)
        self._link.worker.cell.watch(self)

    @property
    def is_doomed(self) -> bool:
        """Whether the worker is gone, or about to be ended."""
        return self.is_broken or self.is_exhausted or self.closed

    @property
    def pid(self) -> int:
        """See Watched."""
        return self._link.worker.process.pid

    @property
    def group(self) -> Group | None:
        """See Watched."""
        return self._link.worker.cell.group

    @property
    def memory_size(self) -> int:
        """See Watched."""
        return self._link.worker.cell.memory_size

    @property
    def is_active(self) -> bool:
        """See Watched."""
        return not self.closed and not self.is_exhausted and (self.is_armed or self.is_starting)

    def saw(self, held: int) -> None:
        """See Watched."""
        self.peak.saw(held)

    def crowded(self) -> None:
        """See Watched: whoever wonders why it is slow finds it in the function's log."""
        told = f"more than {CROWD} processes and threads: the instance gets {of_a_crowd():.2g} processors until it has"
        link = self._link
        link.owner.wrote(link, "", f"pyfc: {told} fewer than {CROWD // 2}\n".encode())

    def exhaust(self, held: int) -> None:
        """See Watched: it is killed, and nothing but it."""
        self.is_exhausted = True
        self.saw(held)
        self._link.owner.doomed(self._link)
        self.kill()

    def has_outgrown(self, fault: Fault) -> bool:
        """Whether what it tells is that it had no memory left, after it has held more than it may: who fills it quickly
        meets the limit of its address space before anybody has looked. It is ended as if somebody had.
        """
        if fault.type != "MemoryError" or not 0 < self.memory_size < (held := int(self.peak.measure() * _MEGABYTE)):
            return False
        self.exhaust(held)
        return True

    def _check(self) -> None:
        self.is_armed = False
        now = time.monotonic()
        begun = self._begun()
        late = [(number, flight) for number, flight in begun if flight.deadline <= now]
        if late:
            self.is_late = True
            if len(late) == len(begun):
                self._stop(late)
                return
            for number, flight in late:
                self._abandon(number, flight)
        if running := self._begun():
            self.arm(min(flight.deadline for _, flight in running) - now)

    def _begun(self) -> list[tuple[int, Flight]]:
        """The calls that run and are not late."""
        return [(number, flight) for number, flight in self._link.discipline.begun() if not flight.late]

    def _stop(self, late: list[tuple[int, Flight]]) -> None:
        """Nothing else runs."""
        for _, flight in late:
            flight.expire()
        self.wind_up([number for number, _ in late])

    def wind_up(self, late: Sequence[int] = ()) -> None:
        """Only late calls run: the worker says where these are, and where those are that were abandoned before, which
        it may not have come to yet. Then it ends, or is killed.
        """
        link = self._link
        link.owner.doomed(link)
        link.discipline.interrupt(late)
        self._loop.call_later(_STOP_GRACE, self.kill)

    def _abandon(self, number: int, flight: Flight) -> None:
        """Answer a late call whose neighbours still run."""
        link = self._link
        link.owner.retired(link)
        link.send(frames.CANCEL, frames.Cancel("timeout"), number)
        log = link.discipline.end(number, runs_on=True)
        self._answer(flight, faults.timed_out(flight.timeout, self.peak.measure()), log)

    def kill(self, *, is_meant: bool = True) -> None:
        """End the worker at once. `is_meant`: it is to end; else it most likely has."""
        self._is_meant = self._is_meant or is_meant
        self._link.worker.process.send_signal(signal.SIGKILL)

    def condemn(self) -> None:
        """The worker is gone, or sent what is no frame, or closed its pipe: it gets no further call."""
        if not self.is_broken:
            self.is_broken = True
            self._loop.remove_reader(self._link.worker.incoming)
            self._link.owner.doomed(self._link)
            self.kill(is_meant=False)

    def _exited(self, how: Exit) -> None:
        """The worker is gone: take what it has written, fail what it has not answered, give everything back."""
        if self.closed:
            return
        link = self._link
        while not self.is_broken and link.read():
            continue  # frames that were written before the death still count
        self.condemn()
        self.peak.measure()
        self.peak.saw(how.peak_memory)
        group = self.group
        self.is_exhausted = (
            self.is_exhausted
            or (group is not None and group.is_out_of_memory())
            or (how.status in _ABORTED and link.output.holds(link.worker.exhausted))
        )
        self.is_lost = how.is_lost and not self._is_meant
        link.expectation.fail(how)
        self.fail_flights()
        if self._timer is not None:
            self._timer.cancel()
        link.owner.wrote(link, "", link.output.take())
        self.closed = True
        link.release()
        self.peak.close()
        link.owner.closed(link, how)

    def fail_flights(self) -> None:
        """Answer the calls in flight: the worker is gone, or cannot be killed for now."""
        link = self._link
        now = time.monotonic()
        begun = link.discipline.begun()
        unread = link.discipline.unread()
        for flight in unread:
            flight.lose(now)
        if returned := [flight for flight in unread if flight.losses <= _MOST_LOSSES]:
            link.owner.returned(link, returned)
        for flight in unread:
            if flight.losses > _MOST_LOSSES:
                self._answer(flight, self._fault(flight, now))
        for number, flight in begun:
            if number in link.in_flight:
                self._fail(number, flight, now)

    def _fail(self, number: int, flight: Flight, now: float) -> None:
        """Answer a call that its worker has begun."""
        link = self._link
        log = link.discipline.end(number, runs_on=False)
        has_answer = flight.late or (flight.download is not None and flight.download.passed_on)
        if not self.is_lost or has_answer:
            self._answer(flight, self._fault(flight, now), log)
            return
        if log:
            link.owner.wrote(link, flight.call.request_id, log)
        link.owner.refused(link, flight, Internal(detail="the instance was lost while it ran the call"))

    def _answer(self, flight: Flight, fault: Fault, log: bytes = b"") -> None:
        """For the worker, which cannot."""
        link, duration = self._link, time.monotonic() - flight.started
        usage = Usage(duration, self.peak.megabytes, flight.cold, link.instance_id, flight.start)
        link.owner.answered(link, flight, Result(fault, fault.document(), usage, log=log, startup=flight.startup))

    def _fault(self, flight: Flight, now: float) -> Fault:
        if flight.late:
            return faults.timed_out(flight.timeout, self.peak.megabytes)
        if self.is_exhausted:
            return self.out_of_memory(now - flight.started)
        return faults.exited(now - flight.started, self.peak.megabytes)

    def out_of_memory(self, duration: float) -> Fault:
        """What its calls, or its start, are answered when it was exhausted. Seconds."""
        return faults.out_of_memory(self.memory_size / _MEGABYTE, duration, self.peak.megabytes)
