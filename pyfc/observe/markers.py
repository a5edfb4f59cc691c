"""FC's marker lines, written by the supervisor around what a function writes.

The forms are those of FC's log samples. They stand at the supervisor's own places, so that output which imitates them
deceives nobody who reads the records.
"""

from __future__ import annotations

import math

from pyfc.model.function import Function
from pyfc.model.invocation import FaultKind, Result

_ERROR = b", Error: Unhandled function error"
_HOOKS = {"initializer": "Initialize", "preFreeze": "PreFreeze", "preStop": "PreStop"}
TAIL = 4096
"""Bytes of the log that X-Fc-Log-Result carries."""


def hook_start(name: str, request_id: str) -> bytes:
    """Stands before the output of a hook (`initializer`, `preFreeze`, `preStop`)."""
    return f"FC {_HOOKS[name]} Start RequestId: {request_id}\n".encode()


def hook_end(name: str, request_id: str, *, failed: bool) -> bytes:
    """Stands after it."""
    return f"FC {_HOOKS[name]} End RequestId: {request_id}".encode() + (_ERROR if failed else b"") + b"\n"


def transcript(request_id: str, function: Function, result: Result) -> bytes:
    """The whole log of one call: what was written at its start, its own output, the closing line."""
    parts = [_line(result.startup)]
    if result.usage.cold:
        parts.insert(0, f"FunctionCompute {function.runtime} runtime inited.\n".encode())
    if result.fault is None or result.fault.kind is not FaultKind.INIT_FAILED:
        end = f"FC Invoke End RequestId: {request_id}".encode()
        parts += [
            f"FC Invoke Start RequestId: {request_id}\n".encode(),
            _line(result.log),
            end + (b"\n" if result.fault is None else _ERROR + b"\n"),
        ]
    milliseconds = result.usage.duration * 1000
    parts.append(
        f"\nDuration: {milliseconds:.2f} ms, Billed Duration: {math.ceil(milliseconds)} ms, "
        f"Memory Size: {function.limits.memory_size} MB, Max Memory Used: {result.usage.peak_memory:.2f} MB\n".encode()
    )
    return b"".join(parts)


def _line(data: bytes) -> bytes:
    return data if not data or data.endswith(b"\n") else data + b"\n"
