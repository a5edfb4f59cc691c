"""The newest calls, by their ids: what `pyfc why` tells."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyfc.model.function import Function
from pyfc.model.invocation import Fault, Usage
from pyfc.observe.journal import CallRecord, Record

KEPT = 10_000


class _Call(NamedTuple):
    """A CallRecord without its bodies."""

    time: float
    function: Function
    status: int
    error: str
    usage: Usage | None
    fault: Fault | None


class Recent:
    """A Journal listener."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def listen(self, batch: list[Record]) -> None:
        """See Journal."""
        calls = self._calls
        for record in batch:
            if isinstance(record, CallRecord):
                result = record.result
                usage, fault = (None, None) if result is None else (result.usage, result.fault)
                calls[record.call.request_id] = _Call(
                    record.time, record.function, record.status, record.error, usage, fault
                )
        while len(calls) > KEPT:
            del calls[next(iter(calls))]

    def get(self, request_id: str) -> dict[str, Any] | None:
        """A call as the HTTP API shows it; None if it is not among the newest."""
        call = self._calls.get(request_id)
        if call is None:
            return None
        shown: dict[str, Any] = {
            "requestId": request_id,
            "time": call.time,
            "service": call.function.service,
            "function": call.function.name,
            "status": call.status,
            "error": call.error,
            "fault": call.fault.message if call.fault is not None else "",
        }
        return shown | (_usage(call.usage) if call.usage is not None else {})


def _usage(usage: Usage) -> dict[str, Any]:
    shown = {"instanceId": usage.instance_id, "cold": usage.cold, "durationMs": usage.duration * 1000}
    start = usage.start
    if start is None:
        return shown
    shown |= {"waitedMs": start.waited * 1000, "why": start.why}
    if start.phases is not None:
        names = ("PrepareCode", "RuntimeInitialize", "Initializer")
        shown["phasesMs"] = {name: part * 1000 for name, part in zip(names, start.phases, strict=True)}
    return shown
