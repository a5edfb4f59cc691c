"""The newest calls, by their ids: what `pyfc why` tells."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from pyfc.model.invocation import Usage
from pyfc.observe.journal import CallRecord, Record

_KEPT = 10_000


class _Call(NamedTuple):
    time: float
    service: str
    function: str
    status: int
    usage: Usage | None
    fault: str
    error: str


class Recent:
    """A Journal listener."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Call] = OrderedDict()

    def listen(self, batch: list[Record]) -> None:
        """See Journal."""
        for record in batch:
            if isinstance(record, CallRecord):
                result = record.result
                fault = result.fault.message if result is not None and result.fault is not None else ""
                usage = result.usage if result is not None else None
                names = record.function.service, record.function.name
                call = _Call(record.time, *names, record.status, usage, fault, record.error)
                self._calls[record.call.request_id] = call
        while len(self._calls) > _KEPT:
            self._calls.popitem(last=False)

    def get(self, request_id: str) -> dict[str, Any] | None:
        """A call as the HTTP API shows it; None if it is not among the newest."""
        call = self._calls.get(request_id)
        if call is None:
            return None
        usage = call.usage
        shown: dict[str, Any] = {
            "requestId": request_id,
            "time": call.time,
            "service": call.service,
            "function": call.function,
            "status": call.status,
            "error": call.error,
            "fault": call.fault,
        }
        if usage is not None:
            shown |= {"instanceId": usage.instance_id, "cold": usage.cold, "durationMs": usage.duration * 1000}
            if usage.start is not None:
                shown |= {"waitedMs": usage.start.waited * 1000, "why": usage.start.why}
                if usage.start.phases is not None:
                    names = ("PrepareCode", "RuntimeInitialize", "Initializer")
                    shown["phasesMs"] = {
                        name: part * 1000 for name, part in zip(names, usage.start.phases, strict=True)
                    }
        return shown
