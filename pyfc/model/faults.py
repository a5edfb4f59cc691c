"""The faults that only the supervisor can see, in FC's words."""

from __future__ import annotations

from typing import Any

from pyfc.model.invocation import Fault, FaultKind


def told(fields: list[Any]) -> Fault:
    """A fault as a worker tells it: kind, message, type. Raises IndexError for what is none."""
    kind, message, type_ = fields[:3]
    kinds = {"HANDLED": FaultKind.HANDLED, "PLATFORM": FaultKind.PLATFORM}
    return Fault(kinds.get(kind, FaultKind.UNHANDLED), str(message), str(type_))


def exited(duration: float, peak_memory: float, kind: FaultKind = FaultKind.EXITED) -> Fault:
    """The process ended before it answered. Seconds, MB."""
    text = (
        "Process exited unexpectedly before completing request "
        f"(duration: {round(duration * 1000)}ms, maxMemoryUsage: {peak_memory:.2f}MB)"
    )
    return Fault(kind, text)


def out_of_memory(memory_size: float, duration: float, peak_memory: float) -> Fault:
    """The instance held more than its function's memorySize. MB, seconds, MB; FC's own words are not documented."""
    text = (
        f"Function ran out of memory: its instance needed more than its {memory_size:g} MB "
        f"(duration: {round(duration * 1000)}ms, maxMemoryUsage: {peak_memory:.2f}MB)"
    )
    return Fault(FaultKind.OUT_OF_MEMORY, text, "FunctionOOMError")


def timed_out(seconds: float, peak_memory: float) -> Fault:
    """The call took longer than the function's timeout."""
    return Fault(FaultKind.TIMEOUT, f"Function timed out after {seconds:g} seconds {_memory(peak_memory)}")


def start_timed_out(what: str, seconds: float, peak_memory: float) -> Fault:
    """A step of the start took too long; `what` begins the sentence."""
    return Fault(FaultKind.INIT_FAILED, f"{what} timed out after {seconds:g} seconds {_memory(peak_memory)}")


def not_listening(seconds: float, port: int) -> Fault:
    """A custom runtime does not serve."""
    return Fault(
        FaultKind.PLATFORM,
        f"the custom runtime does not listen on port {port} after {seconds:g} seconds",
        "FunctionNotStarted",
    )


_LOG_LINES = 10
_LOG_TEXT = 2000


def with_log(fault: Fault, output: bytes, *, lacks: bool) -> Fault:
    """A fault of a program that did not serve, with the end of what it has written, as FC has it. `lacks`: what it
    needs could not be built.
    """
    lines = [line.rstrip() for line in output[-_LOG_TEXT:].decode("utf-8", "replace").splitlines()]
    written = [line for line in lines if line][-_LOG_LINES:]
    message = fault.message + ("; what it needs could not be built (`pyfc list` says why)" if lacks else "")
    return fault._replace(message="\n".join([message, *(["Logs:", *written] if written else [])]))


def too_large(size: int, limit: int) -> Fault:
    """The result is larger than the server allows. Bytes."""
    text = f"the result of {size} bytes exceeds the maximum of {limit} bytes"
    return Fault(FaultKind.UNHANDLED, text, "ResponseTooLarge")


def _memory(peak_memory: float) -> str:
    return f"(maxMemoryUsage: {peak_memory:.2f}MB)"
