"""What is kept of one request: an object as `pyfc requests --json` shows it, joined from the journal's record."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyfc.model.asynchronous import Ran
from pyfc.model.invocation import Kind, Result
from pyfc.model.tracing import from_jaeger
from pyfc.observe.journal import CallRecord

PHASES = ("PrepareCode", "RuntimeInitialize", "Initializer")
_MESSAGE = 500
"""Characters of an error message."""


class Row(NamedTuple):
    """What is looked for, and the record."""

    time: float
    service: str
    function: str
    id: str
    status: int
    error: str
    """FC's type of the error, or its error code if the call was refused; '' if the function succeeded."""
    total: float
    """Milliseconds of waiting and running."""
    record: dict[str, Any]


def row(call: CallRecord, why: str, log: tuple[int, int] | None) -> Row:
    """`why`: for which reason it is kept; `log`: where its line is, at the earliest: the inode and the offset."""
    moment, function, invocation, status, result, error = call
    cause = invocation.cause
    record: dict[str, Any] = {
        "requestId": invocation.request_id,
        "time": moment,
        "service": function.service,
        "function": function.name,
        "qualifier": invocation.target.qualifier,
        "version": Ran.of(function).version,
        "checksum": Ran.of(function).checksum,
        "kind": invocation.kind.name.lower(),
        "status": status,
        "error": error,
        "errorType": error,
        "fault": "",
        "attempt": invocation.attempt,
        "memorySize": function.limits.memory_size,
        "hasInitializer": bool(function.initializer or function.initializer_command),
        "payloadBytes": invocation.size,
        "kept": why,
        "log": list(log) if log is not None else None,
    }
    if cause is not None:
        record |= {"event": cause.event, "trigger": cause.trigger, "queuedMs": cause.queued * 1000}
    elif invocation.kind is Kind.HTTP:
        record["trigger"] = "http"
    if invocation.trace is not None:
        context = from_jaeger(invocation.trace[0])
        if context is not None:
            caller = f"{invocation.caller_span:016x}"
            record |= {"traceId": f"{context.trace:032x}", "callerSpan": caller, "sampled": context.is_sampled}
    if result is not None:
        record |= _used(result)
    total = record.get("durationMs", 0.0) + record.get("waitedMs", 0.0)
    return Row(
        moment, function.service, function.name, invocation.request_id, status, record["errorType"], total, record
    )


def _used(result: Result) -> dict[str, Any]:
    usage, fault, start = result.usage, result.fault, result.usage.start
    used: dict[str, Any] = {
        "instanceId": usage.instance_id,
        "cold": usage.cold,
        "durationMs": usage.duration * 1000,
        "memoryMb": usage.peak_memory,
        "resultBytes": len(result.body or b""),  # a result that an error of ours has spoilt is told too
    }
    if fault is not None:
        used |= {"errorType": fault.kind.metric_type, "faultKind": fault.kind.value, "fault": fault.message[:_MESSAGE]}
    if start is not None:
        used |= {"waitedMs": start.waited * 1000, "why": start.why}
        if start.phases is not None:
            used["phasesMs"] = dict(zip(PHASES, (part * 1000 for part in start.phases), strict=True))
    return used
