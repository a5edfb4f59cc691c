"""Spans are exported by OTLP over HTTP, in the process that keeps records: in batches, by a thread of their own.

What cannot be delivered is tried again with growing pauses; meanwhile a bounded number of calls waits, and those beyond
it are dropped and counted.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pyfc.errors import NotReached
from pyfc.model.policy import back_off
from pyfc.observe.traces.otlp import rejected, request_of
from pyfc.observe.traces.spans import Span, spans
from pyfc.outgoing.client import Outgoing

_MOST_WAITING = 10_000
"""Calls."""
_BATCH = 512
"""Calls of a request."""
_GATHER = 1.0
"""Seconds for which calls are gathered."""
_LONGEST_PAUSE = 60.0
_LAST = 5.0
"""Seconds for what waits at the end."""
_AGAIN = {429, 502, 503, 504}
"""What OTLP says is tried again."""
_log = logging.getLogger(__name__)


class Destination(msgspec.Struct, frozen=True):
    """Where spans go, and what every one of them says of this server."""

    url: str
    headers: dict[str, str]
    resource: dict[str, str]


class Exporter:
    """`offer` may be called by any one thread."""

    def __init__(self, destination: Destination) -> None:
        self.exported = 0
        """Spans that were taken."""
        self.dropped = 0
        """Spans that were not, and will not be."""
        self._destination = destination
        self._waiting: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._ending = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="exporting spans", daemon=True)
        self._thread.start()

    def offer(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Export those of them that are sampled."""
        for record in records:
            if record.get("sampled"):
                try:
                    self._waiting.put_nowait(record)
                except queue.Full:
                    self._drop(len(spans(record)), "too many wait")

    def close(self) -> None:
        """Export what waits, if that can be done in some seconds."""
        self._ending.set()
        try:
            self._waiting.put(None, timeout=_LAST)
        except queue.Full:
            return
        self._thread.join(_LAST)

    def _run(self) -> None:
        host = urlsplit(self._destination.url).netloc
        outgoing = Outgoing([host])  # who configures it may name any machine
        with asyncio.Runner() as runner:
            while batch := self._batch():
                self._send(runner, outgoing, batch)
            runner.run(outgoing.close())

    def _batch(self) -> list[Mapping[str, Any]]:
        """Calls that have come; none at the end."""
        first = self._waiting.get()
        if first is None:
            return []
        found, end = [first], time.monotonic() + _GATHER
        while len(found) < _BATCH:
            patience = 0.0 if self._ending.is_set() else max(end - time.monotonic(), 0.0)
            try:
                each = self._waiting.get(timeout=patience) if patience else self._waiting.get_nowait()
            except queue.Empty:
                break
            if each is None:
                self._waiting.put(None)  # for the next time
                break
            found.append(each)
        return found

    def _send(self, runner: asyncio.Runner, outgoing: Outgoing, batch: list[Mapping[str, Any]]) -> None:
        groups = list(self._groups(batch))
        data, count = request_of(groups), sum(len(found) for _, found in groups)
        headers = {**self._destination.headers, "Content-Type": "application/x-protobuf"}
        for tried in itertools.count(1):
            is_last = self._ending.is_set()
            try:
                answered = runner.run(outgoing.post(self._destination.url, data, headers, reads=True))
                problem, again = f"it answered {answered.status}", answered.status in _AGAIN
                if 200 <= answered.status < 300:
                    self._took(count, rejected(answered.body))
                    return
                pause = _seconds(answered.headers.get("retry-after", ""))
            except NotReached as error:
                problem, again, pause = str(error), True, 0.0
            if not again or is_last:
                self._drop(count, problem)
                return
            self._tell(problem)
            self._ending.wait(max(pause, back_off(tried)))

    def _took(self, count: int, refused: int) -> None:
        """A request has arrived."""
        self.exported += max(count - refused, 0)
        self._is_failing = False
        if refused:
            self._drop(refused, f"it has refused {refused} of them")

    def _groups(self, batch: list[Mapping[str, Any]]) -> Iterable[tuple[dict[str, str], list[Span]]]:
        """By function: each is a service of its own."""
        by_function: dict[tuple[str, str], list[Span]] = {}
        for record in batch:
            by_function.setdefault((record["service"], record["function"]), []).extend(spans(record))
        for (service, function), found in by_function.items():
            yield {"service.name": f"{service}/{function}", "faas.name": function, **self._destination.resource}, found

    def _drop(self, count: int, problem: str) -> None:
        self.dropped += count
        self._tell(f"spans of calls are dropped: {problem}")

    def _tell(self, problem: str) -> None:
        """Once until it works again."""
        if not self._is_failing:
            self._is_failing = True
            _log.warning("traces cannot be exported to %s: %s", self._destination.url, problem)


def exporter_to(destination: Mapping[str, Any]) -> Exporter:
    """An Exporter to a Destination that came in a message."""
    return Exporter(msgspec.convert(destination, Destination))


def _seconds(text: str) -> float:
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
