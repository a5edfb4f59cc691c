"""One worker's pipes: frames out, replies in, and what it writes beside them.

Rules:

1. Everything happens in the loop. A call is a `Flight`; its answer goes to the link's owner (interface.py), once.
2. What may be sent to a worker that has calls already, and whose its output is, says its discipline (disciplines.py).
3. Whatever is no proper frame kills the worker; calls in flight then fail as if it had died by itself.

Deadlines and death are in lifeline.py.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import termios
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgpack

from pyfc.model import faults
from pyfc.model.invocation import Fault, Result, Usage
from pyfc.sandbox.inside import framing
from pyfc.wire import frames
from pyfc.workers.bodies import Bodies
from pyfc.workers.disciplines import discipline_of
from pyfc.workers.flight import Flight
from pyfc.workers.handshake import Expectation
from pyfc.workers.interface import LinkOwner
from pyfc.workers.launch import Worker
from pyfc.workers.lifeline import Lifeline
from pyfc.workers.output import READ, Output
from pyfc.workers.pipes import Outgoing

_SHORT_CALL = 0.001
_MEMORY_INTERVAL = 0.1
"""Seconds. The kernel's figure is read after a call unless the call was short (it cannot have touched many pages) and
the figure is fresh."""
_STALL = 0.01
"""The same for a call that shared its worker's time with others: its answer may have waited for theirs."""
_LAST_NUMBER = 2**32 - 1
_HEAD = frames.PREFIX.size

_pack = msgpack.Packer(unicode_errors="surrogateescape").pack
_prefix = frames.PREFIX.pack
_frame_head = frames.PREFIX.unpack_from
_monotonic = time.monotonic
_ioctl, _FIONREAD = fcntl.ioctl, termios.FIONREAD
_available = array.array("i", [0])
"""Filled by the kernel: bytes in a pipe."""
Answer = tuple[Flight, Result] | None
_Taker = Callable[[int, Flight, list[Any], bytes | memoryview], Answer]


class Link:
    """The pipes to one worker, whose calls are those of `owner`."""

    def __init__(
        self, worker: Worker, owner: LinkOwner, instance_id: str, init: frames.Init, maximum_result: int
    ) -> None:
        self.worker = worker
        self.owner = owner
        self.instance_id = instance_id
        self.in_flight: dict[int, Flight] = {}
        self.expectation = Expectation(self.read)
        """Gets the frames of the instance's start."""
        self.outgoing = Outgoing(worker.outgoing)
        self.output = Output(worker.output, init.mark.encode(), self._output_grew)
        self.discipline = discipline_of(self, init)
        self._invokes = _Invokes(init.context["service"]["qualifier"])
        self._bodies = Bodies(self, maximum_result)
        self._takers: dict[int, _Taker] = {
            frames.REPLY: self._replied,
            frames.END: self._ended,
            frames.DATA: self._bodies.take_data,
            frames.CREDIT: self._bodies.take_credit,
            frames.LOG: self._bodies.take_log,
            frames.CANCEL: self._take_refusal,
        }
        self._parser = framing.Parser()
        self._is_answering = False
        """The output was just read empty for an answer, in whose wake the next call is sent."""
        self.life = Lifeline(self)
        asyncio.get_running_loop().add_reader(worker.incoming, self.read)
        self.output.listen()

    def hand_over(self, owner: LinkOwner) -> None:
        """It has another owner from here on."""
        self.owner = owner

    # the warm path

    def invoke(self, flight: Flight) -> bool:
        """Send one call; its answer goes to the owner. False if it cannot be sent behind those in flight."""
        in_flight, discipline = self.in_flight, self.discipline
        number, header, more = self._invokes.next(flight)
        body = flight.call.body
        length = 11 + len(header) + len(body)
        if in_flight:
            if not discipline.admits(length):
                return False
        elif not self._is_answering:
            self._pass_on_output()
        if (length <= discipline.packet) is not discipline.packets:
            discipline.switch()
        if self.output.is_quiet and self.output.listens:
            self.output.ignore()
        in_flight[number] = flight
        if not self.life.is_armed:
            self.life.arm(flight.timeout)
        if length < READ and not more:
            self.write(_prefix(length - 4, frames.INVOKE, number, len(header)) + header + body)
        else:
            self._bodies.send_large(number, flight, header)
        return True

    def read(self) -> bool:
        """Take the frames that have arrived; whether there was anything."""
        parser = self._parser
        if parser.is_amid and (room := parser.room) is not None:
            return self._read_long(room)
        try:
            data = os.read(self.worker.incoming, READ)
        except BlockingIOError:
            return False
        if not data:
            self.life.condemn()
            return False
        if not parser.is_amid and len(data) >= _HEAD:
            length, kind, number, header_size = _frame_head(data)
            start = _HEAD + header_size
            if length + 4 == len(data) >= start:  # mostly it is one whole frame
                self._take(kind, number, data[_HEAD:start], data[start:])
                return True
        self._take_all(parser.feed(data))
        return True

    def _read_long(self, room: memoryview) -> bool:
        """Read what there is of a long frame into its place; whether there was anything."""
        try:
            count = os.readv(self.worker.incoming, [room])
        except BlockingIOError:
            return False
        if not count:
            self.life.condemn()
            return False
        self._take_all(self._parser.filled(count))
        return True

    def _take_all(self, found: Iterable[framing.Frame]) -> None:
        try:
            for kind, number, header, payload in found:
                self._take(kind, number, header, payload)
        except framing.Malformed:
            self.life.condemn()

    def _take(self, kind: int, number: int, packed: bytes, payload: bytes | memoryview) -> None:
        """One whole frame."""
        if self.life.is_broken:
            return
        try:
            header = msgpack.unpackb(packed)
            take = self._takers.get(kind)
            if take is None:
                self.expectation.offer(kind, header, bytes(payload))
                return
            flight = self.in_flight.get(number)
            if flight is None:
                self._take_stray(kind, number, payload)
                return
            answer = take(number, flight, header, payload)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError):
            self.life.condemn()
            return
        if answer is not None:
            self._is_answering = True
            self.owner.answered(self, *answer)
            self._is_answering = False

    def _replied(self, number: int, flight: Flight, header: list[Any], payload: bytes | memoryview) -> Answer:
        """What to answer, if the frame ends a call. Raises ValueError and its like for what is no proper Reply."""
        more, size, fault, status, headers, written = header[:6]
        if headers is not None:
            headers = [(str(name), str(value)) for name, value in headers]
        if fault is not None:
            fault = faults.told(fault)
            if self.life.has_outgrown(fault):
                return None  # its death answers the call
        if more:
            usage = Usage(
                _monotonic() - flight.started, self.life.peak.megabytes, flight.cold, self.instance_id, flight.start
            )
            self._bodies.begin(number, flight, Result(fault, b"", usage, int(status), headers, size=size), payload)
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
        if flight.late:
            return None  # it has been told to stop; its death answers the call
        in_flight, discipline, peak, now = self.in_flight, self.discipline, self.life.peak, _monotonic()
        if len(in_flight) > 1:
            discipline.over(number, now)
        del in_flight[number]
        duration = now - flight.started
        if duration > (_STALL if self.output.is_quiet else _SHORT_CALL) or now - peak.when > _MEMORY_INTERVAL:
            peak.measure()
        log = flight.log
        if written or not discipline.tells or not self.output.is_empty:  # mostly it has written nothing
            log = discipline.log_of(number, flight, written=bool(written))
        usage = Usage(duration, peak.megabytes, flight.cold, self.instance_id, flight.start)
        return flight, Result(fault, payload, usage, status, headers, log, flight.startup)

    def _pass_on_output(self) -> None:
        """Before a call begins: what was written since the last one. Asking costs a third of a read that fails."""
        _ioctl(self.worker.output, _FIONREAD, _available)
        if (_available[0] or not self.output.is_empty) and (written := self.output.take()):
            self.owner.wrote(self, "", written)

    def write(self, data: bytes | memoryview) -> None:
        """Write what the pipe has room for; the rest waits."""
        written = 0
        outgoing = self.outgoing
        if not outgoing.pieces:
            try:
                written = os.write(outgoing.descriptor, data)
            except BlockingIOError:
                pass
            except OSError:
                return  # the worker is dying; its exit answers its calls
        if written < len(data):
            outgoing.add(memoryview(data)[written:])

    # what else a worker sends during a call

    def _ended(self, number: int, flight: Flight, header: list[Any], _payload: bytes | memoryview) -> Answer:
        fault, body, head = self._bodies.end(flight, header[0])
        return self._finish(number, flight, fault, body, header[1], head.status, head.headers)

    def _take_refusal(self, number: int, _flight: Flight, _header: list[Any], _payload: bytes | memoryview) -> Answer:
        """The worker will not come to a call that it was sent ahead: the one before it takes long."""
        self.owner.returned(self, [self.discipline.give_up(number)])
        return None

    def _take_stray(self, kind: int, number: int, payload: bytes | memoryview) -> None:
        """A frame of a call that is not in flight. Raises ValueError for one that never was."""
        if (output := self.discipline.take_stray(kind, number, bytes(payload))) is not None:
            self.owner.wrote(self, *output)

    def send(self, kind: int, header: Sequence[Any], number: int = 0) -> None:
        """A frame without a payload."""
        packed = _pack(tuple(header))
        self.write(_prefix(7 + len(packed), kind, number, len(packed)) + packed)

    def listen(self) -> None:
        """Between calls, or while a call turns out to be long: output is read as soon as it is there."""
        if len(self.in_flight) <= 1:
            self.output.listen()

    def _output_grew(self) -> None:
        """Keep what an answer will carry, pass on the rest."""
        if (spilled := self.discipline.spilled()) is not None:
            self.owner.wrote(self, *spilled)

    def release(self) -> None:
        """Close every descriptor: the worker is gone."""
        self.outgoing.close()
        self.output.close()
        asyncio.get_running_loop().remove_reader(self.worker.incoming)
        self.worker.close()


class _Invokes:
    """The numbers and headers of one worker's calls; `version` is the qualifier that it knows as its own."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._number = 0

    def next(self, flight: Flight) -> tuple[int, bytes, bool]:
        """Number and header of a call, and whether more of it follows in other frames."""
        number = self._number = self._number + 1 if self._number < _LAST_NUMBER else 1
        call = flight.call
        size = len(call.body) if call.incoming is None else call.incoming.size
        more = size > frames.MAXIMUM_UNARY
        wall = int((time.time() + flight.timeout) * 1000)
        fields = (more, size, call.request_id, call.kind, call.attempt, wall, call.http, call.trace)
        alias = call.target.qualifier
        return number, _pack(fields if alias == self._version else (*fields, alias)), more
