"""A record as a line of JSON, the same in a function's log file and on the console for machines.

{"time": "...Z", "requestId": "...", "status": 200, "instanceId": "...", "durationMs": 1.2, "memoryMb": 9.4,
 "cold": true, "waitedMs": 5.1, "why": "...", "phasesMs": {"prepareCode": 1.2, ...},
 "fault": {"kind": "...", "message": "..."}, "log": "..."}                      a call; fault and log if there are any,
                                                                               waitedMs and why if it waited
{"time": "...Z", "requestId": "...", "status": 429, "error": "..."}            a call that pyfc refused
{"time": "...Z", "callId": "...", "instanceId": "...", "log": "..."}           output that stands in no call's line: of
                                                                               no call ("" then), or very much of one
"""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime

from pyfc.model.invocation import Result, Start
from pyfc.observe.journal import CallRecord, OutputRecord, Record


def line(record: Record, names: str = "") -> str:
    """The line, without its end; `names` are further members to begin with, each followed by a comma.

    Written by hand: this is the one piece of JSON that is made for every call.
    """
    seconds = int(record.time)
    time = f'{{{names}"time": "{_second(seconds)}.{int((record.time - seconds) * 1000):03d}Z'
    if isinstance(record, OutputRecord):
        return f'{time}", "callId": "{record.request_id}", "instanceId": "{record.instance_id}"{_log(record.data)}}}'
    return f'{time}", "requestId": "{record.call.request_id}", "status": {record.status}, {_outcome(record)}}}'


def names(record: Record) -> str:
    """Whose record it is, for `line`."""
    return f'"service": {json.dumps(record.function.service)}, "function": {json.dumps(record.function.name)}, '


def _outcome(record: CallRecord) -> str:
    result = record.result
    if result is None:
        return f'"error": "{record.error}"'
    usage = result.usage
    return (
        f'"instanceId": "{usage.instance_id}", "durationMs": {usage.duration * 1000:.3f}, '
        f'"memoryMb": {usage.peak_memory:.2f}, "cold": {"true" if usage.cold else "false"}'
        f"{_start(usage.start) if usage.start is not None else ''}"
        f"{_fault(result) if result.fault is not None else ''}"
        f"{_log(result.startup + result.log) if result.log or result.startup else ''}"
    )


def _start(start: Start) -> str:
    text = f', "waitedMs": {start.waited * 1000:.3f}, "why": {_quoted(start.why)}'
    if start.phases is None:
        return text
    prepare, load, initialize = (seconds * 1000 for seconds in start.phases)
    phases = f'"prepareCode": {prepare:.3f}, "runtimeInitialize": {load:.3f}, "initializer": {initialize:.3f}'
    return f'{text}, "phasesMs": {{{phases}}}'


@functools.lru_cache(maxsize=256)
def _quoted(text: str) -> str:
    return json.dumps(text)


def _fault(result: Result) -> str:
    assert result.fault is not None
    fault = {"kind": result.fault.kind.value, "message": result.fault.message}
    return f', "fault": {json.dumps(fault, ensure_ascii=False)}'


def _log(data: bytes) -> str:
    return f', "log": {json.dumps(data.decode("utf-8", "replace"), ensure_ascii=False)}'


@functools.lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
