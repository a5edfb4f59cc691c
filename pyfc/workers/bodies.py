"""The large bodies of one link's calls: what is sent when, and what is passed on (flight.py has the credit)."""

from __future__ import annotations

from functools import partial
from typing import Any

from pyfc.model import faults
from pyfc.model.invocation import Fault, Result
from pyfc.wire import frames
from pyfc.workers.flight import Download, Flight
from pyfc.workers.interface import Calls


class Bodies:
    """The large bodies of one link's calls; `maximum_result`: bytes of a result that is not passed on in pieces."""

    def __init__(self, link: Calls, maximum_result: int) -> None:
        self._link = link
        self._maximum_result = maximum_result

    def send_large(self, number: int, flight: Flight, header: bytes) -> None:
        """An Invoke that is longer than a read: in two pieces, and what does not fit into it afterwards."""
        link, call = self._link, flight.call
        first = call.body[: frames.MAXIMUM_UNARY]
        link.write(frames.PREFIX.pack(7 + len(header) + len(first), frames.INVOKE, number, len(header)) + header)
        link.write(first)
        if call.incoming is not None:
            call.incoming.when_more(partial(self._send_ready, number, flight))
        if call.size > len(first):
            flight.send_rest(number)
            self._send_ready(number, flight)

    def _send_ready(self, number: int, flight: Flight) -> None:
        upload = flight.upload
        if upload is None or number not in self._link.in_flight:
            return
        for piece in upload.ready():
            self._link.write(piece)
        if upload.broken:
            flight.break_off()
            self._link.send(frames.CANCEL, frames.Cancel("disconnected"), number)

    def take_credit(self, number: int, flight: Flight, header: list[Any], _payload: bytes | memoryview) -> None:
        """A Credit frame: more of a request's body may be sent."""
        if flight.upload is not None:
            flight.upload.grant(int(header[0]))
            self._send_ready(number, flight)

    def begin(self, number: int, flight: Flight, head: Result, first: bytes | memoryview) -> None:
        """A Reply that says that more follows."""
        if flight.download is not None:
            raise ValueError("a second Reply")
        limit = self._maximum_result
        is_allowed = head.fault is None and (head.size is None or head.size <= limit)
        reply = flight.reply if flight.reply.streams and is_allowed else None
        download = Download(head, limit, reply, partial(self._tell, number))
        flight.receive(download)
        if len(first):
            download.take(first, credit=False)

    def _tell(self, number: int, kind: int, header: tuple[Any, ...]) -> None:
        if number in self._link.in_flight:
            self._link.send(kind, header, number)

    def take_data(self, _number: int, flight: Flight, _header: list[Any], payload: bytes | memoryview) -> None:
        """A Data frame: more of a result's body."""
        if flight.download is None:
            raise ValueError("Data without a Reply before it")
        flight.download.take(payload)

    def take_log(self, _number: int, flight: Flight, _header: list[Any], payload: bytes | memoryview) -> None:
        """A Log frame: output of one of several calls."""
        if spilled := flight.wrote(payload):
            self._link.owner.wrote(self._link, flight.call.request_id, spilled)

    def end(self, flight: Flight, broken: list[Any] | None) -> tuple[Fault | None, bytes, Result]:
        """An End frame: the fault if there is one, the body if it was gathered, and what the Reply told."""
        download = flight.download
        if download is None:
            raise ValueError("End without a Reply before it")
        head = download.head
        if broken is not None:
            fault = faults.told(broken)
            return fault, fault.document(), head
        is_cancelled = download.is_cancelled or (flight.call.incoming is not None and flight.call.incoming.broken)
        if head.size not in {None, download.size} and not is_cancelled:
            raise ValueError("a body is not of the size that its Reply told")
        limit = self._maximum_result
        if not download.passed_on and download.size > limit:
            fault = faults.too_large(download.size, limit)
            return fault, fault.document(), head
        return head.fault, download.whole(), head
