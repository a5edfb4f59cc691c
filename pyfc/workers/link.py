"""One worker's pipes: frames out, replies in, and what it writes beside them.

Rules:

1. Everything happens in the loop. A call is a `Flight`; its answer goes to the link's owner (interface.py), once.
2. A worker that runs one call at a time may be sent the next ones ahead. It begins one when it has answered the one
   before: so the first in flight has begun, the others have not, and those can be taken back (`reclaim`).
3. What the worker writes to descriptors 1 and 2 while a call runs belongs to the call: it ends with the call's mark,
   or, from a worker that writes none, with what the pipe holds when the answer arrives. With several calls at once a
   call's output comes in Log frames, and the pipe is the instance's.
4. Whatever is no proper frame kills the worker; calls in flight then fail as if it had died by itself.

Deadlines and death are in lifeline.py.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import termios
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from pyfc.errors import PyfcError
from pyfc.model import faults
from pyfc.model.invocation import Fault, Result, Usage
from pyfc.wire import frames
from pyfc.workers import ahead, longframe
from pyfc.workers.bodies import Streams
from pyfc.workers.flight import Flight
from pyfc.workers.handshake import Expectation
from pyfc.workers.interface import LinkOwner
from pyfc.workers.launch import Worker
from pyfc.workers.lifeline import Lifeline
from pyfc.workers.longframe import LongFrame
from pyfc.workers.output import READ, Output
from pyfc.workers.peak import Peak
from pyfc.workers.pipes import Backlog

_SHORT_CALL = 0.001
_MEMORY_INTERVAL = 0.1
"""Seconds. The kernel's figure is read after a call unless the call was short (it can not have touched many pages) and
the figure is fresh."""
_STALL = 0.01
"""The same for a call that shared its worker's time with others: its answer may have waited for theirs."""
_LAST_NUMBER = 2**32 - 1

_pack = msgpack.Packer(unicode_errors="surrogateescape").pack
_prefix = frames.PREFIX.pack
_frame_head = frames.PREFIX.unpack_from
_monotonic = time.monotonic
_ioctl, _FIONREAD = fcntl.ioctl, termios.FIONREAD
_available = array.array("i", [0])
"""Filled by the kernel: bytes in a pipe."""
Answer = tuple["Flight", Result] | None


class Link:
    """The pipes to one worker, whose calls are those of `owner`."""

    _buffer = b""
    _long: LongFrame | None = None

    def __init__(
        self, worker: Worker, owner: LinkOwner, instance_id: str, init: frames.Init, maximum_result: int
    ) -> None:
        self.worker = worker
        self.owner = owner
        self.instance_id = instance_id
        self.is_concurrent = init.concurrency > 1
        self.maximum_result = maximum_result
        self.is_quiet = False
        """Calls are so short that it is enough to read their output with their answers."""
        self.in_flight: dict[int, Flight] = {}
        """In the order in which they were sent."""
        self.abandoned: dict[int, str] = {}
        """Calls that were answered because they were late, and still run: number -> request id."""
        self.calls = 0
        self.expectation = Expectation(self.read)
        """Gets the frames of the instance's start."""
        self._loop = asyncio.get_running_loop()
        self._mark = init.mark.encode()
        self._outgoing = worker.outgoing  # -1 once the worker is gone: the number may be another descriptor's then
        self._version: str = init.context["service"]["qualifier"]
        self._backlog = Backlog(worker.outgoing)
        self.output = Output(worker.output, self._mark, self._output_grew)
        self._streams = Streams(self)
        self._takers: dict[int, Callable[[int, list[Any], bytes | memoryview], Answer]] = {
            frames.REPLY: self._replied,
            frames.END: self._ended,
            frames.DATA: self._streams.take_data,
            frames.CREDIT: self._streams.take_credit,
            frames.LOG: self._streams.take_log,
            frames.CANCEL: self._take_refusal,
        }
        self.is_broken = self._packets = self._output_is_read = False
        self._memory_read = 0.0
        """No further call; each frame to the worker is one packet (ahead.py); the output pipe was just read empty for
        an answer, in whose wake the next call is sent."""
        self._claims = bool(init.mark) and worker.claims >= 0
        self.peak = Peak(worker.process.pid, worker.cell)
        self.life = Lifeline(self)
        self._loop.add_reader(worker.incoming, self.read)
        self.output.listen()

    def hand_over(self, owner: LinkOwner) -> None:
        """It has another owner from here on."""
        self.owner = owner

    def be_quiet(self, *, quiet: bool) -> None:
        """Whether calls are so short that it is enough to read their output with their answers."""
        self.is_quiet = quiet

    # the warm path

    def invoke(self, flight: Flight, timeout: float) -> bool:
        """Send one call; its answer goes to the owner. False if it can not be sent behind those in flight."""
        call = flight.call
        in_flight = self.in_flight
        if not in_flight and not self._output_is_read:
            self._pass_on_output()
        number = self.calls = self.calls + 1 if self.calls < _LAST_NUMBER else 1
        body = call.body
        size = len(body) if call.incoming is None else call.incoming.size
        now = _monotonic()
        more = size > frames.MAXIMUM_UNARY
        wall = int((time.time() + timeout) * 1000)
        fields = (more, size, call.request_id, call.kind, call.attempt, wall, call.http, call.trace)
        alias = call.target.qualifier
        header = _pack(fields if alias == self._version else (*fields, alias))
        length = 11 + len(header) + len(body)
        if in_flight and not self.is_concurrent:
            if not self._packets or length > ahead.PACKET:
                return False
        else:  # else its time begins when the one before it is answered
            flight.started = now
            flight.deadline = now + timeout
            if self._claims and (length <= ahead.PACKET) is not self._packets:
                is_wanted = not self._packets and not self._backlog.pieces
                self._packets = ahead.set_packets(self.worker.outgoing, is_wanted)
        if self.is_quiet and self.output.listens:
            self.output.ignore()
        in_flight[number] = flight
        flight.timeout = timeout
        if not self.life.is_armed:
            self.life.arm(timeout)
        if length < READ and not more:
            self.write(_prefix(length - 4, frames.INVOKE, number, len(header)) + header + body)
        else:
            self._streams.send_large(number, flight, header)
        return True

    def read(self) -> bool:
        """Take the frames that have arrived; whether there was anything."""
        if self._long is not None:
            return self._read_long(self._long)
        try:
            data = os.read(self.worker.incoming, READ)
        except BlockingIOError:
            return False
        if not data:
            self.condemn()
            return False
        if self._buffer:
            data = self._buffer + data
        end = len(data)
        at = 0
        while end - at >= 4 and not self.is_broken:
            size = 4 + int.from_bytes(data[at : at + 4], "big")
            if size - 4 > frames.MAXIMUM_FRAME or size < frames.PREFIX.size:
                self.condemn()
                return False
            if end - at < size:
                if size > longframe.THRESHOLD:
                    self._long = LongFrame(data[at:])
                    at = end
                break
            self._take(data, at, size)
            at += size
        self._buffer = data[at:] if at else data
        return True

    def _take(self, data: bytes | memoryview, at: int, size: int) -> None:
        """One whole frame."""
        _, kind, number, header_size = _frame_head(data, at)
        start = at + frames.PREFIX.size + header_size
        end = at + size
        if start > end:
            self.condemn()
            return
        try:
            header = msgpack.unpackb(data[at + frames.PREFIX.size : start])
            take = self._takers.get(kind)
            if take is None:
                self.expectation.offer(kind, header, bytes(data[start:end]))
                return
            if number in self.abandoned:
                self._streams.take_abandoned(kind, number, data[start:end])
                return
            answer = take(number, header, data[start:end])
        except (ValueError, TypeError, KeyError, IndexError, OverflowError):
            self.condemn()
            return
        if answer is not None:
            self._output_is_read = True
            self.owner.answered(self, *answer)
            self._output_is_read = False

    def _replied(self, number: int, header: list[Any], payload: bytes | memoryview) -> Answer:
        """What to answer, if the frame ends a call. Raises ValueError and its like for what is no proper Reply."""
        more, size, fault, status, headers, written = header[:6]
        flight = self.in_flight[number]
        if headers is not None:
            headers = [(str(name), str(value)) for name, value in headers]
        if fault is not None:
            fault = faults.told(fault)
        if more:
            head = Result(fault, b"", self._usage(flight), int(status), headers, size=size)
            self._streams.begin(number, flight, head, payload)
            return None
        if size != len(payload):
            raise ValueError("a body is not of the size that its Reply told")
        return self._finish(number, flight, fault, payload, written, int(status), headers)

    def _finish(
        self,
        number: int,
        flight: Flight,
        fault: Fault | None,
        payload: bytes | memoryview,
        written: Any,
        status: int,
        headers: list[tuple[str, str]] | None,
    ) -> Answer:
        """A call is over."""
        in_flight = self.in_flight
        if not self.is_concurrent and next(iter(in_flight)) != number:
            raise ValueError("an answer to a call that has not begun")
        if flight.late:
            return None  # it has been told to stop; its death answers the call
        now = _monotonic()
        duration = now - flight.started
        if duration > (_STALL if self.is_quiet else _SHORT_CALL) or now - self._memory_read > _MEMORY_INTERVAL:
            self._memory_read = now
            self.measure()
        usage = Usage(duration, self.peak.megabytes, flight.cold, self.instance_id, flight.start)
        log = flight.log if self.is_concurrent else self._log_of(number, written=written)
        del in_flight[number]
        if in_flight and not self.is_concurrent:
            following = next(iter(in_flight.values()))
            following.started = now
            following.deadline = now + following.timeout
        return flight, Result(fault, payload, usage, status, headers, log, flight.startup)

    def _log_of(self, number: int, *, written: Any) -> bytes:
        """What the call wrote. Mostly nothing."""
        if not written and self._mark and self.output.is_empty:
            return b""
        return self.output.log_of(number, written=bool(written) or not self._mark)

    def _pass_on_output(self) -> None:
        """Before a call begins: what was written since the last one. Asking costs a third of a read that fails."""
        _ioctl(self.worker.output, _FIONREAD, _available)
        if (_available[0] or not self.output.is_empty) and (written := self.output.take()):
            self.owner.wrote(self, "", written)

    def write(self, data: bytes | memoryview) -> None:
        """Write what the pipe has room for; the rest waits."""
        written = 0
        if not self._backlog.pieces:
            try:
                written = os.write(self._outgoing, data)
            except BlockingIOError:
                pass
            except OSError:
                return  # the worker is dying; its exit answers its calls
        if written < len(data):
            self._backlog.add(memoryview(data)[written:])

    # what else a worker sends during a call

    def _ended(self, number: int, header: list[Any], _payload: bytes | memoryview) -> Answer:
        flight = self.in_flight[number]
        fault, body, head = self._streams.end(flight, header[0])
        return self._finish(number, flight, fault, body, header[1], head.status, head.headers)

    def _take_refusal(self, number: int, _header: list[Any], _payload: bytes | memoryview) -> Answer:
        """The worker will not come to a call that it was sent ahead: the one before it takes long."""
        if self.is_concurrent or next(iter(self.in_flight), number) == number:
            raise ValueError("the call has begun")
        self.owner.returned(self, [self.in_flight.pop(number)])
        return None

    # the cold path

    def begun(self) -> list[tuple[int, Flight]]:
        """The calls that the worker may have begun, with their numbers."""
        flights = list(self.in_flight.items())
        return flights if self.is_concurrent else flights[:1]

    def is_stalled(self, since: float) -> bool:
        """Whether calls wait behind one that began before `since`."""
        return len(self.in_flight) > 1 and self._packets and next(iter(self.in_flight.values())).started < since

    def take_back(self, *, dead: bool) -> list[Flight]:
        """The calls that were sent ahead and not begun, in order. They are in flight here no more."""
        numbers = self._unread() if dead else self._claim()
        return [flight for number in numbers if (flight := self.in_flight.pop(number, None)) is not None]

    def _claim(self) -> list[int]:
        """The calls that the worker has not begun, out of its pipe and the backlog, in order."""
        if not self._packets:
            return []
        first = next(iter(self.in_flight), 0)  # if it has not begun, it had no processor for it
        numbers, others = ahead.claim(self.worker.claims, first, self._backlog.take())
        for frame in others:
            self.write(frame)
        return numbers

    def _unread(self) -> list[int]:
        """The calls that a worker which is gone has not begun, in order. Those that are late are none of them: it had
        all the time that it may have.
        """
        left = ahead.unread(self.worker.claims, self._backlog.pieces)
        unanswered = [(number, flight) for number, flight in self.in_flight.items() if not flight.late]
        if self.is_concurrent:
            return [number for number, flight in unanswered if ahead.holds_call(left, number, flight.call.request_id)]
        begun = 1  # it has come to none but the first, whatever it has read
        for number, flight in unanswered[:1]:
            begun = 0 if ahead.holds_call(left, number, flight.call.request_id) else 1
        return [number for number, _ in unanswered[begun:]]

    def send(self, kind: int, header: Sequence[Any], number: int = 0) -> None:
        """A frame without a payload."""
        packed = _pack(tuple(header))
        self.write(_prefix(7 + len(packed), kind, number, len(packed)) + packed)

    def fail(self, number: int, flight: Flight, fault: Fault) -> None:
        """Answer a call for its worker."""
        log = flight.log if self.is_concurrent else self._log_of(number, written=True)
        del self.in_flight[number]
        self.owner.answered(self, flight, self.failed(flight, fault, log))

    def failed(self, flight: Flight, fault: Fault, log: bytes = b"") -> Result:
        """The answer to a call that its worker can not give."""
        return Result(fault, fault.document(), self._usage(flight), log=log, startup=flight.startup)

    def refuse(self, number: int, flight: Flight, error: PyfcError) -> None:
        """Refuse a call for its worker, which has ended by nothing that it did."""
        log = flight.log if self.is_concurrent else self._log_of(number, written=True)
        del self.in_flight[number]
        if log:
            self.owner.wrote(self, flight.call.request_id, log)
        self.owner.refused(self, flight, error)

    def _usage(self, flight: Flight) -> Usage:
        return Usage(_monotonic() - flight.started, self.peak.megabytes, flight.cold, self.instance_id, flight.start)

    def measure(self) -> float:
        """The largest resident memory of the worker so far, in MB, as it is known now."""
        return self.peak.megabytes if self.life.closed else self.peak.measure()

    def take_output(self) -> bytes:
        """What the worker has written outside of calls and nobody has been given; b"" once it is gone."""
        return b"" if self.life.closed else self.output.take()

    @property
    def is_doomed(self) -> bool:
        """Whether the worker is gone, or about to be ended."""
        return self.is_broken or self.life.is_exhausted or self.life.closed

    def condemn(self) -> None:
        """The worker is gone, or sent what is no frame, or closed its pipe: it gets no further call."""
        if not self.is_broken:
            self.is_broken = True
            self._loop.remove_reader(self.worker.incoming)
            self.owner.doomed(self)
            self.life.kill(is_meant=False)

    def release(self) -> None:
        """Close every descriptor: the worker is gone."""
        self._backlog.drop()
        self.output.ignore()
        self._loop.remove_reader(self.worker.incoming)
        self._outgoing = -1
        self.worker.close()
        self.peak.close()

    def _read_long(self, frame: LongFrame) -> bool:
        """Take a long frame when it is whole; whether there may be more to read."""
        try:
            whole = frame.fill(self.worker.incoming)
        except EOFError:
            self.condemn()
            return False
        if whole:
            self._long = None
            self._take(frame.view, 0, len(frame.view))
        return whole

    def listen(self) -> None:
        """Between calls, or while a call turns out to be long: output is read as soon as it is there."""
        if not self.life.closed and len(self.in_flight) <= 1:
            self.output.listen()

    def _output_grew(self) -> None:
        """Keep what an answer will carry, pass on the rest."""
        if not self.in_flight or self.is_concurrent:
            self.owner.wrote(self, "", self.output.take())
            return
        spilled = self.output.overflow()
        if spilled is not None:
            before, text = spilled
            flights = list(self.in_flight.values())
            self.owner.wrote(self, flights[min(before, len(flights) - 1)].call.request_id, text)
