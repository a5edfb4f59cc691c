"""How a worker takes its calls: one at a time, one at a time with the next ones sent ahead, or several at once.

A discipline says what may be sent to a worker that has calls already, which of these have begun, whose is what it
writes to its descriptors 1 and 2, and how it is told to stop. What every call needs of it are plain attributes, so that
a warm call enters none of this.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from pyfc.wire import frames
from pyfc.workers import ahead
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls, Discipline


def discipline_of(link: Calls, init: frames.Init) -> Discipline:
    """That of an instance which is told this."""
    if init.concurrency > 1:
        return Concurrent(link)
    if init.mark and link.worker.claims >= 0:
        return Ahead(link, marks=True)
    return OneAtATime(link, marks=bool(init.mark))


class OneAtATime:
    """The next call is sent when the one before it is answered. What the worker writes while a call runs is the call's:
    it ends with the call's mark (`marks`), or with what the pipe holds when the answer arrives.
    """

    packet = -1
    packets = False

    def __init__(self, link: Calls, *, marks: bool) -> None:
        self.tells = marks
        self._link = link
        self._in_flight = link.in_flight

    def admits(self, _length: int) -> bool:
        """See Discipline."""
        return False

    def switch(self) -> None:
        """See Discipline: all frames are alike."""

    def over(self, number: int, now: float) -> None:
        """See Discipline. The next call begins."""
        first, following, *_ = self._in_flight
        if first != number:
            raise ValueError("an answer to a call that has not begun")
        self._in_flight[following].begin(now)

    def begun(self) -> list[tuple[int, Flight]]:
        """See Discipline: the first, as the others wait for its end."""
        return list(self._in_flight.items())[:1]

    def is_stalled(self, _since: float) -> bool:
        """See Discipline."""
        return False

    def give_up(self, number: int) -> Flight:
        """See Discipline."""
        if next(iter(self._in_flight), number) == number:
            raise ValueError("the call has begun")
        return self._in_flight.pop(number)

    def take_back(self) -> list[Flight]:
        """See Discipline."""
        return []

    def unread(self) -> list[Flight]:
        """See Discipline: it has come to none but the first, whatever it has read."""
        left = ahead.unread(self._link.worker.claims, self._link.outgoing.pieces)
        numbers = [number for number, flight in self._in_flight.items() if not flight.late]
        begun = [number for number in numbers[:1] if not self._is_in(left, number)]
        return [self._in_flight.pop(number) for number in numbers[len(begun) :]]

    def _is_in(self, left: bytes, number: int) -> bool:
        return ahead.holds_call(left, number, self._in_flight[number].call.request_id)

    def log_of(self, number: int, _flight: Flight, *, written: bool) -> bytes:
        """See Discipline."""
        return self._link.output.log_of(number, written=written or not self.tells)

    def end(self, number: int, *, runs_on: bool) -> bytes:
        """See Discipline."""
        return self.log_of(number, self._in_flight.pop(number), written=True)

    def take_stray(self, kind: int, _number: int, _payload: bytes) -> tuple[str, bytes] | None:
        """See Discipline."""
        if kind != frames.CREDIT:
            raise ValueError("a frame of a call that is not in flight")
        return None

    def spilled(self) -> tuple[str, bytes] | None:
        """See Discipline: of a call it is what its answer will not carry."""
        if not self._in_flight:
            return "", self._link.output.take()
        spilled = self._link.output.overflow()
        if spilled is None:
            return None
        before, text = spilled
        flights = list(self._in_flight.values())
        return flights[min(before, len(flights) - 1)].call.request_id, text

    def interrupt(self, _numbers: Sequence[int]) -> None:
        """See Discipline. While it runs a call it hears nothing but signals."""
        self._link.worker.process.send_signal(signal.SIGTERM)


class Ahead(OneAtATime):
    """Short calls are sent to a busy worker before their turn, each in a packet of its own, and can be taken back until
    it has read them (ahead.py). It begins one when it has answered the one before.
    """

    packet = ahead.PACKET

    def __init__(self, link: Calls, *, marks: bool) -> None:
        super().__init__(link, marks=marks)
        self.packets = False

    def admits(self, length: int) -> bool:
        """See Discipline."""
        return self.packets and length <= self.packet

    def switch(self) -> None:
        """See Discipline."""
        is_wanted = not self.packets and not self._link.outgoing.pieces
        self.packets = ahead.set_packets(self._link.worker.outgoing, is_wanted)

    def is_stalled(self, since: float) -> bool:
        """See Discipline."""
        calls = self._in_flight
        return len(calls) > 1 and self.packets and next(iter(calls.values())).started < since

    def take_back(self) -> list[Flight]:
        """See Discipline: out of the worker's pipe, and of what waits for room there."""
        if not self.packets:
            return []
        first = next(iter(self._in_flight), 0)  # if it has not begun, it had no processor for it
        numbers, others = ahead.claim(self._link.worker.claims, first, self._link.outgoing.take())
        for frame in others:
            self._link.write(frame)
        return [flight for number in numbers if (flight := self._in_flight.pop(number, None)) is not None]


class Concurrent:
    """Every call begins when it is sent. Its output comes in Log frames; what is in the pipe is the instance's."""

    packet = -1
    packets = False
    tells = True

    def __init__(self, link: Calls) -> None:
        self._link = link
        self._in_flight = link.in_flight
        self._abandoned: dict[int, str] = {}
        """Calls that were answered because they were late, and still run: number -> request id."""

    def admits(self, _length: int) -> bool:
        """See Discipline."""
        return True

    def switch(self) -> None:
        """See Discipline: all frames are alike."""

    def over(self, number: int, now: float) -> None:
        """See Discipline: nobody waits for it."""

    def begun(self) -> list[tuple[int, Flight]]:
        """See Discipline."""
        return list(self._in_flight.items())

    def is_stalled(self, _since: float) -> bool:
        """See Discipline."""
        return False

    def give_up(self, number: int) -> Flight:
        """See Discipline."""
        raise ValueError("the call has begun")

    def take_back(self) -> list[Flight]:
        """See Discipline."""
        return []

    def unread(self) -> list[Flight]:
        """See Discipline."""
        left = ahead.unread(self._link.worker.claims, self._link.outgoing.pieces)
        calls = [(number, flight) for number, flight in self._in_flight.items() if not flight.late]
        return [
            self._in_flight.pop(number)
            for number, flight in calls
            if ahead.holds_call(left, number, flight.call.request_id)
        ]

    def log_of(self, _number: int, flight: Flight, *, written: bool) -> bytes:
        """See Discipline."""
        return flight.log

    def end(self, number: int, *, runs_on: bool) -> bytes:
        """See Discipline."""
        flight = self._in_flight.pop(number)
        if runs_on:
            self._abandoned[number] = flight.call.request_id
        return flight.log

    def take_stray(self, kind: int, number: int, payload: bytes) -> tuple[str, bytes] | None:
        """See Discipline: a call that was answered because it was late is still heard of."""
        if number not in self._abandoned and kind != frames.CREDIT:
            raise ValueError("a frame of a call that is not in flight")
        return (self._abandoned[number], payload) if kind == frames.LOG else None

    def spilled(self) -> tuple[str, bytes] | None:
        """See Discipline."""
        return "", self._link.output.take()

    def interrupt(self, numbers: Sequence[int]) -> None:
        """See Discipline. It reads frames while it runs calls."""
        for number in numbers:
            self._link.send(frames.CANCEL, frames.Cancel("timeout"), number)
        self._link.send(frames.STOP, ())
