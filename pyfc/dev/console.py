"""What the developer sees while functions are served: one line per call, and what the functions wrote.

Function output is text of strangers: it cannot move the cursor, change colours or forge lines (output.py). A line with
`SERVICE/FUNCTION |` before it was written by that function; no other line can be.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TextIO

from pyfc.dev.output import (
    end_progress,
    first_line,
    is_terminal,
    json_line,
    one_line,
    output_lines,
    show_progress,
    standard_output,
)
from pyfc.model.function import Function
from pyfc.model.invocation import Result
from pyfc.observe.journal import CallRecord, Record
from pyfc.observe.lines import line, names
from pyfc.supervisor.builds import Progress

_LINES_SHOWN = 200
_FAULT_LENGTH = 200
_EVERY = 5.0
"""Seconds between lines about a build, where they do not replace each other."""


class Console:
    """Prints batches of records to a terminal, or as JSON lines for machines."""

    def __init__(self, stream: TextIO | None = None, *, as_json: bool = False) -> None:
        """`stream`: instead of standard output."""
        self._stream = stream if stream is not None else standard_output()
        self._as_json = as_json
        self._told: dict[tuple[str, ...], float] = {}
        """Seconds of a build when it was told of last, by its functions."""
        self._is_shown = False
        """Whether the last line of the terminal is that of a build."""

    def listen(self, batch: list[Record]) -> None:
        """A Journal listener."""
        lines: list[str] = []
        for record in batch:
            if self._as_json:
                lines.append(json_line(line(record, names(record))))
            elif isinstance(record, CallRecord):
                lines += _call_lines(record)
            else:
                lines += _output_lines(record.function, record.data)
        self._write(lines)

    def reloaded(self, names: list[str], seconds: float) -> None:
        """Functions are served with new code, or gone."""
        if self._as_json:
            self._write([json.dumps({"reloaded": names, "milliseconds": round(seconds * 1000, 1)})])
        elif names:
            self._write([f"{_now()}  reloaded {one_line(', '.join(names))} in {seconds * 1000:.0f} ms"])

    def not_reloaded(self, what: str, where: str, message: str, line: str = "") -> None:
        """A change cannot be served, so that what was there before goes on. `line`: the text of the source line."""
        if self._as_json:
            self._write([json.dumps({"notReloaded": what, "where": where, "message": message, "line": line})])
            return
        shown = [
            f"{_now()}  not reloaded: {one_line(what)} goes on as it was",
            f"    {one_line(where)}: {one_line(message)}",
        ]
        self._write([*shown, *([f"        {one_line(line)}"] if line else [])])

    def away(self, path: str) -> None:
        """Something that was read is not there now, so that what was there before goes on until it is back."""
        if self._as_json:
            self._write([json.dumps({"away": path})])
        else:
            self._write([f"{_now()}  {one_line(path)} is not there now: what was served goes on until it is back"])

    def warned(self, text: str) -> None:
        """What a change has brought and cannot be honoured."""
        first, *others = text.splitlines() or [""]
        lines = [f"{_now()}  warning: {one_line(first)}", *(f"    {one_line(other)}" for other in others)]
        self._write([json.dumps({"warning": text})] if self._as_json else lines)

    def building(self, build: Progress) -> None:
        """What functions need is being installed: on a terminal one line that changes, else a line now and then."""
        names, text = tuple(build.names), f"building what {', '.join(build.names)} needs"
        if is_terminal() and not self._as_json:
            show_progress(f"{text}, {build.seconds:.0f} s", build.line)
            self._is_shown = True
            return
        if build.seconds and build.seconds - self._told.get(names, 0.0) < _EVERY:
            return
        self._told[names] = build.seconds
        if self._as_json:
            told = {"building": build.names, "seconds": round(build.seconds, 3), "line": build.line}
            self._write([json.dumps(told)])
        else:
            told_line = f", {build.seconds:.0f} s: {build.line}" if build.line else ""
            self._write([f"{_now()}  {one_line(text + told_line)}"])

    def built(self, names: list[str], seconds: float) -> None:
        """What these functions need is installed."""
        self._told.pop(tuple(names), None)
        if self._as_json:
            self._write([json.dumps({"built": names, "seconds": round(seconds, 3)})])
        else:
            self._write([f"{_now()}  built what {one_line(', '.join(names))} needs, in {seconds:.1f} s"])

    def _write(self, lines: list[str]) -> None:
        if self._is_shown:
            self._is_shown = False
            end_progress()
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115, PTH123  nobody reads any more


def _now() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S.%f")[:-3]


def _call_lines(record: CallRecord) -> list[str]:
    clock = datetime.fromtimestamp(record.time).astimezone().strftime("%H:%M:%S.%f")[:-3]
    name = f"{record.function.service}/{record.function.name}"
    result = record.result
    if result is None:
        return [f"{clock}  {name}  {record.call.request_id}  -     {record.status}  {record.error}"]
    usage = result.usage
    warmth = "cold" if usage.cold else "warm"
    milliseconds = usage.duration * 1000
    line = (
        f"{clock}  {name}  {record.call.request_id}  {warmth}  {record.status}"
        f"  {milliseconds:9.2f} ms  {usage.peak_memory:7.2f} MB"
    )
    return [*_output_lines(record.function, result.startup + result.log), line + _failure(result)]


def _failure(result: Result) -> str:
    fault = result.fault
    if fault is None:
        return ""
    parts = [text for text in (one_line(str(fault.type)), first_line(fault.message)) if text]
    return f"  {fault.kind.value}  {': '.join(parts)[:_FAULT_LENGTH]}".rstrip()


def _output_lines(function: Function, data: bytes) -> list[str]:
    return output_lines(f"{function.service}/{function.name}", data.decode("utf-8", "replace"), _LINES_SHOWN)
