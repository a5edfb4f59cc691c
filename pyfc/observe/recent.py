"""The newest calls, by their ids: what `pyfc why` tells."""

from __future__ import annotations

from typing import Any

from pyfc.model.invocation import Result
from pyfc.observe.journal import CallRecord, Record

KEPT = 10_000
"""At least so many."""
_PHASES = ("PrepareCode", "RuntimeInitialize", "Initializer")


class Recent:
    """A Journal listener."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[Any, ...]] = {}
        """Plain tuples of plain values: the collector does not look at them again."""
        self._older: dict[str, tuple[Any, ...]] = {}
        """Given up as a whole: to take the oldest out of a dict one by one gets slower and slower."""

    def listen(self, batch: list[Record]) -> None:
        """See Journal."""
        if len(self._calls) >= KEPT:
            self._older, self._calls = self._calls, {}
        calls = self._calls
        for record in batch:
            if isinstance(record, CallRecord):
                function, result = record.function, record.result
                call = (record.time, function.service, function.name, record.status, record.error, record.call.attempt)
                calls[record.call.request_id] = call if result is None else call + _used(result)

    def get(self, request_id: str) -> dict[str, Any] | None:
        """A call as the HTTP API shows it; None if it is not among the newest."""
        call = self._calls.get(request_id) or self._older.get(request_id)
        if call is None:
            return None
        names = (
            "time",
            "service",
            "function",
            "status",
            "error",
            "attempt",
            "fault",
            "instanceId",
            "cold",
            "durationMs",
        )
        shown = {"requestId": request_id, "fault": "", **dict(zip(names, call, strict=False))}
        if len(call) > len(names):
            shown |= {"waitedMs": call[len(names)], "why": call[len(names) + 1]}
        if len(call) > len(names) + 2:
            shown["phasesMs"] = dict(zip(_PHASES, call[len(names) + 2 :], strict=True))
        return shown


def _used(result: Result) -> tuple[Any, ...]:
    """What a call used, in the order in which `get` names it."""
    usage, fault = result.usage, result.fault
    used = ("" if fault is None else fault.message, usage.instance_id, usage.cold, usage.duration * 1000)
    start = usage.start
    if start is None:
        return used
    waited = (*used, start.waited * 1000, start.why)
    return waited if start.phases is None else (*waited, *(part * 1000 for part in start.phases))
