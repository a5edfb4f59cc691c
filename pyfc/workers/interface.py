"""What the parts of a link may ask of it, and what it tells whoever gives it calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pyfc.errors import PyfcError
from pyfc.host.process import Exit
from pyfc.model.invocation import Fault, Result
from pyfc.workers.flight import Flight
from pyfc.workers.handshake import Expectation
from pyfc.workers.launch import Worker
from pyfc.workers.output import Output
from pyfc.workers.peak import Peak


class Calls(Protocol):
    """A link (link.py), as its lifeline, its bodies and its owner see it. Its attributes are to be read, not set."""

    worker: Worker
    owner: LinkOwner
    in_flight: dict[int, Flight]
    """In the order in which they were sent."""
    abandoned: dict[int, str]
    """Calls that were answered because they were late, and still run: number -> request id."""
    is_concurrent: bool
    is_broken: bool
    """It gets no further call."""
    maximum_result: int
    peak: Peak
    output: Output
    expectation: Expectation

    def begun(self) -> list[tuple[int, Flight]]:
        """The calls that the worker may have begun, with their numbers."""

    def is_stalled(self, since: float) -> bool:
        """Whether calls wait behind one that began before `since`."""

    def be_quiet(self, *, quiet: bool) -> None:
        """Whether calls are so short that it is enough to read their output with their answers."""

    def listen(self) -> None:
        """Between calls, or while a call turns out to be long: output is read as soon as it is there."""

    def take_back(self, *, dead: bool) -> list[Flight]:
        """The calls that were sent ahead and not begun, in order. They are in flight here no more."""

    def read(self) -> bool:
        """Take the frames that have arrived; whether there was anything."""

    def write(self, data: bytes | memoryview) -> None:
        """Write what the pipe has room for; the rest waits."""

    def send(self, kind: int, header: Sequence[Any], number: int = 0) -> None:
        """A frame without a payload."""

    def fail(self, number: int, flight: Flight, fault: Fault) -> None:
        """Answer a call for its worker."""

    def failed(self, flight: Flight, fault: Fault, log: bytes = b"") -> Result:
        """The answer to a call that its worker can not give."""

    def refuse(self, number: int, flight: Flight, error: PyfcError) -> None:
        """Refuse a call for its worker, which has ended by nothing that it did."""

    def measure(self) -> float:
        """The largest resident memory of the worker so far, in MB, as it is known now."""

    def take_output(self) -> bytes:
        """What the worker has written outside of calls and nobody has been given; b"" once it is gone."""

    def condemn(self) -> None:
        """The worker is gone, or sent what is no frame, or closed its pipe: it gets no further call."""

    def release(self) -> None:
        """Close every descriptor: the worker is gone."""


class LinkOwner(Protocol):
    """Who gives a link its calls, and is told what becomes of them and of the worker."""

    def answered(self, link: Calls, flight: Flight, result: Result, /) -> None:
        """A call is over; once for each."""

    def returned(self, link: Calls, flights: list[Flight], /) -> None:
        """Calls that the worker has not begun and will not: they are for somebody else."""

    def refused(self, link: Calls, flight: Flight, error: PyfcError, /) -> None:
        """The worker has ended by nothing that it did; the call can not be answered."""

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
