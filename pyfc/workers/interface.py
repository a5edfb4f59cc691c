"""What the parts of a link may ask of it, and what it tells whoever gives it calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pyfc.errors import PyfcError
from pyfc.host.process import Exit
from pyfc.model.invocation import Result
from pyfc.workers.flight import Flight
from pyfc.workers.handshake import Expectation
from pyfc.workers.launch import Worker
from pyfc.workers.output import Output
from pyfc.workers.pipes import Outgoing


class Calls(Protocol):
    """A link (link.py), as its lifeline, its bodies and its owner see it. Its attributes are to be read, not set."""

    worker: Worker
    owner: LinkOwner
    instance_id: str
    in_flight: dict[int, Flight]
    """In the order in which they were sent."""
    outgoing: Outgoing
    output: Output
    expectation: Expectation

    @property
    def discipline(self) -> Discipline:
        """How its worker takes calls."""

    def listen(self) -> None:
        """Between calls, or while a call turns out to be long: output is read as soon as it is there."""

    def read(self) -> bool:
        """Take the frames that have arrived; whether there was anything."""

    def write(self, data: bytes | memoryview) -> None:
        """Write what the pipe has room for; the rest waits."""

    def send(self, kind: int, header: Sequence[Any], number: int = 0) -> None:
        """A frame without a payload."""

    def release(self) -> None:
        """Close every descriptor: the worker is gone."""


class Discipline(Protocol):
    """How a worker takes its calls (disciplines.py)."""

    packet: int
    """Most bytes of a frame that is sent as a packet of its own; -1 if none is."""
    packets: bool
    """Each frame is a packet now."""
    tells: bool
    """An answer says whether its call has written to the pipe of output."""

    def admits(self, length: int) -> bool:
        """Whether an Invoke of so many bytes may be sent behind the calls in flight."""

    def switch(self) -> None:
        """Nothing is in flight, and the next frame is to be a packet, or not to be one: see whether it can."""

    def over(self, number: int, now: float) -> None:
        """One of several calls has ended by its answer. Raises ValueError if it had not begun."""

    def begun(self) -> list[tuple[int, Flight]]:
        """The calls that the worker may have begun, with their numbers."""

    def is_stalled(self, since: float) -> bool:
        """Whether calls wait behind one that began before `since`, and can be taken back."""

    def give_up(self, number: int) -> Flight:
        """Take out a call that the worker will not come to. Raises ValueError if it has begun it."""

    def take_back(self) -> list[Flight]:
        """Take out the calls that were sent ahead and not begun, in order."""

    def unread(self) -> list[Flight]:
        """Take out the calls that a worker which is gone has not begun, in order. Those that are late are none of them:
        it had all the time that it may have.
        """

    def log_of(self, number: int, flight: Flight, *, written: bool) -> bytes:
        """What a call has written that is over; `written`: it may have."""

    def end(self, number: int, *, runs_on: bool) -> bytes:
        """Take out a call that the worker will not answer, or whose answer is of no interest as it `runs_on`; what it
        has written.
        """

    def take_stray(self, kind: int, number: int, payload: bytes) -> tuple[str, bytes] | None:
        """A frame of a call that is not in flight: the request id and the output that it carries, if it does. Raises
        ValueError if it is of none that ever was.
        """

    def spilled(self) -> tuple[str, bytes] | None:
        """Output that no answer will carry: request id or '', and bytes."""

    def interrupt(self, numbers: Sequence[int]) -> None:
        """Tell the worker to stop these calls, which are late, and to end."""


class LinkOwner(Protocol):
    """Who gives a link its calls, and is told what becomes of them and of the worker."""

    def answered(self, link: Calls, flight: Flight, result: Result, /) -> None:
        """A call is over; once for each."""

    def returned(self, link: Calls, flights: list[Flight], /) -> None:
        """Calls that the worker has not begun and will not: they are for somebody else."""

    def refused(self, link: Calls, flight: Flight, error: PyfcError, /) -> None:
        """The worker has ended by nothing that it did; the call cannot be answered."""

    def retired(self, link: Calls, /) -> None:
        """It gets no further call and is to be ended after those in flight."""

    def doomed(self, link: Calls, /) -> None:
        """The worker is about to be ended: it gets no further call."""

    def closed(self, link: Calls, how: Exit, /) -> None:
        """The worker is gone; nothing comes after this."""

    def wrote(self, link: Calls, request_id: str, data: bytes, /) -> None:
        """Output that no answer will carry; of one call, or '' if it is of none."""


class WithoutCalls:
    """An owner that gives no calls: what it does not say otherwise is of no interest to it."""

    def answered(self, _link: Calls, _flight: Flight, _result: Result, /) -> None:
        """See LinkOwner."""

    def returned(self, _link: Calls, _flights: list[Flight], /) -> None:
        """See LinkOwner."""

    def refused(self, _link: Calls, _flight: Flight, _error: PyfcError, /) -> None:
        """See LinkOwner."""

    def retired(self, _link: Calls, /) -> None:
        """See LinkOwner."""

    def doomed(self, _link: Calls, /) -> None:
        """See LinkOwner."""

    def closed(self, _link: Calls, _how: Exit, /) -> None:
        """See LinkOwner."""

    def wrote(self, _link: Calls, _request_id: str, _data: bytes, /) -> None:
        """See LinkOwner."""
