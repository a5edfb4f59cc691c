"""A record of a request (observe/requests/record.py) as spans, by FC's names:

InvokeFunction      from the arrival to the answer; its parent is the caller's span, if there is one
  ColdStart         until the code is loaded, if an instance was started for the call
    PrepareCode, RuntimeInitialize
  Initializer       if one ran for the call
  Invocation        the handler
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pyfc.model.tracing import span_id
from pyfc.observe.traces.sampling import INVOCATION, INVOKE_FUNCTION

SERVER, INTERNAL, CONSUMER = 2, 1, 5
"""OTLP's kinds of spans."""
_TRIGGERS = {"http": "http"}


class Span(NamedTuple):
    """One span; times in nanoseconds since the epoch."""

    trace: int
    id: int
    parent: int
    """0: none."""
    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    """Texts, whole numbers, floats and truth values."""
    error: str
    """'' if it did not fail."""


def spans(record: Mapping[str, Any]) -> list[Span]:
    """Of one run of a call."""
    return list(_Run(record).spans())


class _Run:
    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record
        self._trace = int(record["traceId"], 16)
        self._end = round(record["time"] * 1e9)
        self._began = self._end - _ns(record.get("durationMs", 0.0))
        """When the handler did."""
        self._root = self._id(INVOKE_FUNCTION)

    def _id(self, name: str) -> int:
        return span_id(name, self._record["requestId"], self._record["attempt"])

    def spans(self) -> Iterator[Span]:
        """See module."""
        record = self._record
        arrived = self._began - _ns(record.get("waitedMs", 0.0))
        kind = CONSUMER if "event" in record else SERVER
        error = record["errorType"]
        root = (INVOKE_FUNCTION, int(record["callerSpan"], 16), arrived, self._end, kind, _attributes(record), error)
        yield self._span(*root)
        if "phasesMs" in record:
            yield from self._cold_start(record["phasesMs"])
        if "durationMs" in record:
            message = {"exception.message": record["fault"]} if record["fault"] else {}
            yield self._span(INVOCATION, self._root, self._began, self._end, INTERNAL, message, error)

    def _cold_start(self, phases: Mapping[str, float]) -> Iterator[Span]:
        prepare, load, initialize = (_ns(phases[name]) for name in ("PrepareCode", "RuntimeInitialize", "Initializer"))
        loaded = self._began - initialize
        yield self._span("ColdStart", self._root, loaded - load - prepare, loaded)
        cold = self._id("ColdStart")
        yield self._span("PrepareCode", cold, loaded - load - prepare, loaded - load)
        yield self._span("RuntimeInitialize", cold, loaded - load, loaded)
        if self._record["hasInitializer"]:
            yield self._span("Initializer", self._root, loaded, self._began)

    def _span(
        self,
        name: str,
        parent: int,
        start: int,
        end: int,
        kind: int = INTERNAL,
        attributes: dict[str, Any] | None = None,
        error: str = "",
    ) -> Span:
        return Span(self._trace, self._id(name), parent, name, kind, start, end, attributes or {}, error)


def _ns(milliseconds: float) -> int:
    return round(milliseconds * 1e6)


def _attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """By OpenTelemetry's names where it has one."""
    found = {
        "faas.invocation_id": record["requestId"],
        "faas.name": record["function"],
        "faas.version": record["version"],
        "faas.instance": record.get("instanceId", ""),
        "faas.coldstart": record.get("cold", False),
        "faas.max_memory": record["memorySize"] * 1024 * 1024,
        "faas.trigger": _TRIGGERS.get(record.get("trigger", ""), "other"),
        "http.response.status_code": record["status"],
        "error.type": record["errorType"],
        "fc.service": record["service"],
        "fc.qualifier": record["qualifier"],
        "fc.trigger": record.get("trigger", ""),
        "fc.retry_count": record["attempt"],
        "fc.wait_reason": record.get("why", ""),
        "fc.queued_ms": record.get("queuedMs", ""),
        "fc.memory_mb": record.get("memoryMb", ""),
    }
    return {name: value for name, value in found.items() if value != ""}
