"""One worker's pipes: frames out, replies in, output, deadlines.

Rules:

1. Everything happens in the loop, by callback. A call is a `Flight`; its answer goes to `on_answer`, once.
2. What the worker writes to descriptors 1 and 2 while a call runs belongs to the call: the output pipe is read empty
   before a call is sent and when its answer arrives.
3. A call's deadline runs from its Invoke frame. There is one timer per link, armed for the earliest deadline and
   never cancelled: when it fires too early it is armed again.
4. A late call's worker is told to stop (it dumps its stack), then killed; the call is answered when it is gone.
5. Whatever is no proper frame kills the worker; calls in flight then fail as if it had died by itself.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import signal
import termios
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from pyfc.host import faults, longframe, output
from pyfc.host.backlog import Backlog
from pyfc.host.bodies import Download, Upload
from pyfc.host.expectation import Expectation
from pyfc.host.launch import Worker
from pyfc.host.longframe import LongFrame
from pyfc.host.process import Exit, open_statistics, resident_memory
from pyfc.model.invocation import Fault, FaultKind, Invocation, Reply, Result, Usage
from pyfc.wire import frames

_READ = output.READ
_LOG_KEPT = 65536
_LOG_TAIL = 8192
_TERM_GRACE = 0.25
"""Seconds between SIGTERM and SIGKILL of a late call's worker."""
_SHORT_CALL = 0.001
_MEMORY_INTERVAL = 0.1
"""Seconds. The kernel's figure is read after a call unless the call was short (it can not have touched many pages) and
the figure is fresh."""
_MEGABYTE = 1024 * 1024

_pack = msgpack.Packer(unicode_errors="surrogateescape").pack
_prefix = frames.PREFIX.pack
_frame_head = frames.PREFIX.unpack_from
_monotonic = time.monotonic
_ioctl, _FIONREAD = fcntl.ioctl, termios.FIONREAD
_available = array.array("i", [0])
"""Filled by the kernel: bytes in a pipe."""


Answer = tuple["Flight", Result] | None


class Flight:
    """One call in a worker. What stands here holds until something else is known."""

    startup = b""
    started = deadline = timeout = 0.0
    late = False
    log = b""
    upload: Upload | None = None
    download: Download | None = None

    def __init__(self, call: Invocation, reply: Reply) -> None:
        self.call = call
        self.reply = reply


class Link:
    """The pipes to one worker. `on_answer(link, flight, result)`; `on_closed(link, exit)` when the worker is gone."""

    def __init__(self, worker: Worker, instance_id: str, maximum_result: int) -> None:
        self.worker = worker
        self.instance_id = instance_id
        self.in_flight: dict[int, Flight] = {}
        self.peak_memory = 0.0
        self.calls = 0
        self.on_answer: Callable[[Link, Flight, Result], None] = lambda *_: None
        self.on_doomed: Callable[[Link], None] = lambda *_: None
        """The worker is about to be ended: it gets no further call."""
        self.on_closed: Callable[[Link, Exit], None] = lambda *_: None
        self.on_output: Callable[[str, bytes], None] = lambda *_: None
        """Output that no answer will carry: (request id or '', bytes)."""
        self._maximum_result = maximum_result
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._long: LongFrame | None = None
        self._backlog = Backlog(worker.outgoing)
        self.expectation = Expectation()
        """Gets the frames of the instance's start."""
        self._takers = {frames.REPLY: self._replied, frames.DATA: self._take_data, frames.CREDIT: self._take_credit}
        self._timer: asyncio.TimerHandle | None = None
        self._broken = False
        self._memory_read = 0.0
        self._output_is_read = False
        """The pipe was just read empty for one call's answer, in whose wake the next call is sent."""
        self._closed = False
        self._statistics = open_statistics(worker.process.pid)
        worker.process.on_exit = self._exited
        self._loop.add_reader(worker.incoming, self._readable)
        self._loop.add_reader(worker.output, self._output_readable)
        if worker.process.exit is not None:
            self._loop.call_soon(self._exited, worker.process.exit)

    # the warm path

    def invoke(self, flight: Flight, timeout: float) -> None:
        """Send one call; its answer comes to `on_answer`."""
        call = flight.call
        if not self._output_is_read and (written := self._read_output()):
            self.on_output("", written)
        self.calls += 1
        number = self.calls
        body = call.body
        size = len(body)
        more = size > frames.MAXIMUM_UNARY
        wall = int((time.time() + timeout) * 1000)
        header = _pack((more, size, call.request_id, call.kind, call.attempt, wall, call.http, call.trace))
        first = body
        if more:
            flight.upload = Upload(number, body)
            first = body[: frames.MAXIMUM_UNARY]
        self.in_flight[number] = flight
        now = flight.started = _monotonic()
        flight.timeout = timeout
        flight.deadline = now + timeout
        if self._timer is None:
            self._timer = self._loop.call_later(timeout, self._check_deadlines)
        head = _prefix(7 + len(header) + len(first), frames.INVOKE, number, len(header))
        if size < _READ:
            self._write(head + header + body)
            return
        self._write(head + header)
        self._write(first)
        if flight.upload is not None:
            self._send_ready(flight.upload)

    def _readable(self) -> bool:
        """Take the frames that have arrived; whether there was anything."""
        if self._long is not None:
            return self._read_long(self._long)
        try:
            data = os.read(self.worker.incoming, _READ)
        except BlockingIOError:
            return False
        if not data:
            self._break()
            return False
        if self._buffer:
            data = self._buffer + data
        end = len(data)
        at = 0
        while end - at >= 4 and not self._broken:
            size = 4 + int.from_bytes(data[at : at + 4], "big")
            if size - 4 > frames.MAXIMUM_FRAME or size < frames.PREFIX.size:
                self._break()
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

    def _read_long(self, frame: LongFrame) -> bool:
        """Take a long frame when it is whole; whether there may be more to read."""
        try:
            whole = frame.fill(self.worker.incoming)
        except EOFError:
            self._break()
            return False
        if whole:
            self._long = None
            self._take(frame.view, 0, len(frame.view))
        return whole

    def _take(self, data: bytes | memoryview, at: int, size: int) -> None:
        """One whole frame."""
        _, kind, number, header_size = _frame_head(data, at)
        start = at + frames.PREFIX.size + header_size
        end = at + size
        if start > end:
            self._break()
            return
        try:
            header = msgpack.unpackb(data[at + frames.PREFIX.size : start])
            take = self._takers.get(kind)
            if take is None:
                self.expectation.offer(kind, header, bytes(data[start:end]))
                return
            answer = take(number, header, data[start:end])
        except (ValueError, TypeError, KeyError, IndexError, OverflowError):
            self._break()
            return
        if answer is not None:
            self._output_is_read = True
            self.on_answer(self, *answer)
            self._output_is_read = False

    def _replied(self, number: int, header: list[Any], payload: bytes | memoryview) -> Answer:
        """What to answer, if the frame ends a call. Raises ValueError and its like for what is no proper Reply."""
        more, size, fault, status, headers = header[:5]
        flight = self.in_flight[number]
        if more:
            flight.download = Download(header, payload, self._maximum_result)
            return None
        if headers is not None:
            headers = [(str(name), str(value)) for name, value in headers]
        if fault is not None:
            fault = Fault(FaultKind.HANDLED if fault[0] == "HANDLED" else FaultKind.UNHANDLED, *map(str, fault[1:3]))
        if size > self._maximum_result:
            fault = faults.too_large(size, self._maximum_result)
            payload = fault.document()
        elif size != len(payload):
            raise ValueError("a body is not of the size that its Reply told")
        if flight.late:
            return None  # it has been told to stop; its death answers the call
        now = _monotonic()
        duration = now - flight.started
        if duration > _SHORT_CALL or now - self._memory_read > _MEMORY_INTERVAL:
            self._read_memory(now)
        usage = Usage(duration, self.peak_memory, number == 1, self.instance_id)
        log = self._read_output()
        if flight.log:
            log = flight.log + log
        del self.in_flight[number]
        return flight, Result(fault, payload, usage, int(status), headers, log, flight.startup)

    def _read_output(self) -> bytes:
        """What the output pipe holds now. Mostly nothing: asking costs a third of a read that fails."""
        _ioctl(self.worker.output, _FIONREAD, _available)
        if not _available[0]:
            return b""
        data = os.read(self.worker.output, _READ)
        if len(data) < _READ:
            return data
        return data + output.read_on(self.worker.output)

    def _write(self, data: bytes | memoryview) -> None:
        written = 0
        if not self._backlog.pieces:
            try:
                written = os.write(self.worker.outgoing, data)
            except BlockingIOError:
                written = 0
            except OSError:
                return  # the worker is dying; its exit answers its calls
        if written < len(data):
            self._backlog.add(memoryview(data)[written:])

    # what the warm path seldom needs

    def _send_ready(self, upload: Upload) -> None:
        for piece in upload.ready():
            self._write(piece)

    def _take_data(self, number: int, header: list[Any], payload: bytes | memoryview) -> Answer:
        download = self.in_flight[number].download
        if download is None:
            raise ValueError("Data without a Reply before it")
        credit = download.take(payload)
        self._write(_prefix(7 + len(credit), frames.CREDIT, number, len(credit)) + credit)
        return None if header[0] else self._replied(number, *download.whole())

    def _take_credit(self, number: int, header: list[Any], _payload: bytes | memoryview) -> Answer:
        flight = self.in_flight.get(number)
        if flight is not None and flight.upload is not None:
            flight.upload.grant(int(header[0]))
            self._send_ready(flight.upload)
        return None

    # the cold path

    def send(self, kind: int, header: Sequence[Any]) -> None:
        """A frame of the instance's life: Init, Hook, Stop."""
        packed = _pack(tuple(header))
        self._write(_prefix(7 + len(packed), kind, 0, len(packed)) + packed)

    def measure(self) -> float:
        """The largest resident memory of the worker so far, in MB, as it is known now."""
        if not self._closed:
            self._read_memory(_monotonic())
        return self.peak_memory

    def take_output(self) -> bytes:
        """What the worker has written outside of calls and nobody has been given; b"" once it is gone."""
        return b"" if self._closed else self._read_output()

    def _check_deadlines(self) -> None:
        self._timer = None
        if not self.in_flight:
            return
        now = _monotonic()
        waiting = [flight for flight in self.in_flight.values() if not flight.late]
        late = [flight for flight in waiting if flight.deadline <= now]
        for flight in late:
            flight.late = True
        if late:
            self.on_doomed(self)
            self.worker.process.send_signal(signal.SIGTERM)
            self._loop.call_later(_TERM_GRACE, self.kill)
        elif waiting:
            earliest = min(flight.deadline for flight in waiting)
            self._timer = self._loop.call_later(earliest - now, self._check_deadlines)

    def kill(self) -> None:
        """End the worker at once."""
        self.worker.process.send_signal(signal.SIGKILL)

    def _break(self) -> None:
        """The worker sent what is no frame, or closed its pipe: it can not be trusted with another call."""
        if not self._broken:
            self._broken = True
            self._loop.remove_reader(self.worker.incoming)
            self.on_doomed(self)
            self.kill()

    def _exited(self, how: Exit) -> None:
        """The worker is gone: take what it has written, fail what it has not answered, give everything back."""
        if self._closed:
            return
        while not self._broken and self._readable():
            continue  # frames that were written before the death still count
        self._closed = True
        self.peak_memory = max(self.peak_memory, how.peak_memory / _MEGABYTE)
        self.expectation.fail(how)
        self.fail_flights()
        if rest := self._read_output():
            self.on_output("", rest)
        self._release()
        self.on_closed(self, how)

    def fail_flights(self) -> None:
        """Answer the calls in flight: the worker is gone, or can not be killed for now."""
        now = _monotonic()
        for number, flight in list(self.in_flight.items()):
            del self.in_flight[number]
            duration = now - flight.started
            usage = Usage(duration, self.peak_memory, number == 1, self.instance_id)
            if flight.late:
                fault = faults.timed_out(flight.timeout, self.peak_memory)
            else:
                fault = faults.exited(duration, self.peak_memory)
            log = flight.log + self._read_output()
            self.on_answer(self, flight, Result(fault, fault.document(), usage, 200, None, log, flight.startup))

    def _release(self) -> None:
        self._backlog.drop()
        for descriptor in (self.worker.incoming, self.worker.output):
            self._loop.remove_reader(descriptor)
        for descriptor in (self.worker.incoming, self.worker.output, self.worker.outgoing, self._statistics):
            if descriptor >= 0:
                os.close(descriptor)
        self._statistics = -1
        if self._timer is not None:
            self._timer.cancel()

    def _output_readable(self) -> None:
        """The worker writes while a call runs (or between calls): keep what its answer will carry, pass on the rest."""
        try:
            data = os.read(self.worker.output, _READ)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self.worker.output)  # everyone who could write has closed it
            return
        flight = next(iter(self.in_flight.values()), None)
        if flight is None:
            self.on_output("", data)
            return
        flight.log += data
        if len(flight.log) > _LOG_KEPT:
            self.on_output(flight.call.request_id, flight.log[:-_LOG_TAIL])
            flight.log = flight.log[-_LOG_TAIL:]

    def _read_memory(self, now: float) -> None:
        """The largest resident size of the process so far, from the kernel."""
        self._memory_read = now
        if self._statistics < 0:
            self.peak_memory = max(self.peak_memory, resident_memory(self.worker.process.pid))
            return
        try:
            text = os.pread(self._statistics, 4096, 0)
        except OSError:
            return  # it has just died; the zygote's report has the figure
        at = text.find(b"VmHWM:")
        if at >= 0:
            self.peak_memory = int(text[at + 6 : text.index(b"kB", at)]) / 1024
