"""What the developer sees while functions are served: one line per call, and what the functions wrote.

Function output is text of strangers: control characters are shown escaped, so that it can not move the cursor, change
colours or forge lines. A line that starts with `|` was written by a function; no other line can be.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TextIO

from pyfc.model.invocation import Result
from pyfc.observe.journal import CallRecord, Record
from pyfc.observe.lines import line, names

_LINES_SHOWN = 200
_LINE_LENGTH = 2000


def escaped(text: str) -> str:
    """One line of text with every character that a terminal would act on shown as its code."""
    return "".join(
        character if character.isprintable() or character == "\t" else f"\\x{ord(character):02x}"
        for character in text[:_LINE_LENGTH]
    )


class Console:
    """Prints batches of records to a terminal, or as JSON lines for machines."""

    def __init__(self, stream: TextIO = sys.stdout, *, as_json: bool = False) -> None:
        self._stream = stream
        self._as_json = as_json

    def listen(self, batch: list[Record]) -> None:
        """A Journal listener."""
        lines: list[str] = []
        for record in batch:
            if self._as_json:
                lines.append(line(record, names(record)))
            elif isinstance(record, CallRecord):
                lines += _call_lines(record)
            else:
                lines += _output_lines(record.data)
        self._write(lines)

    def reloaded(self, names: list[str], seconds: float) -> None:
        """Functions are served with new code, or gone."""
        if self._as_json:
            self._write([json.dumps({"reloaded": names, "milliseconds": round(seconds * 1000, 1)})])
        elif names:
            self._write([f"{_now()}  reloaded {', '.join(names)} in {seconds * 1000:.0f} ms"])

    def not_reloaded(self, what: str, where: str, message: str, line: str = "") -> None:
        """A change can not be served, so that what was there before goes on. `line`: the text of the source line."""
        if self._as_json:
            self._write([json.dumps({"notReloaded": what, "where": where, "message": message, "line": line})])
            return
        shown = [
            f"{_now()}  not reloaded: {escaped(what)} goes on as it was",
            f"    {escaped(where)}: {escaped(message)}",
        ]
        self._write([*shown, *([f"        {escaped(line)}"] if line else [])])

    def _write(self, lines: list[str]) -> None:
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except BrokenPipeError:
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
    return [*_output_lines(result.startup + result.log), line + _failure(result)]


def _failure(result: Result) -> str:
    if result.fault is None:
        return ""
    kind = f"{result.fault.type}: " if result.fault.type else ""
    return f"  {result.fault.kind.value}  {escaped(kind + result.fault.message.splitlines()[0][:200])}"


def _output_lines(data: bytes) -> list[str]:
    if not data:
        return []
    texts = data.decode("utf-8", "replace").split("\n")
    if texts[-1] == "":
        texts.pop()
    shown: list[str] = []
    for text in texts[-_LINES_SHOWN:]:  # Node.js runtimes keep a message on one line by carriage returns
        first, *others = text.rstrip("\r").split("\r")
        shown += [f"| {escaped(first)}", *(f"|   {escaped(other)}" for other in others)]
    if len(texts) > _LINES_SHOWN:
        shown.insert(0, f"| ... {len(texts) - _LINES_SHOWN} lines before these are in the function's log file")
    return shown
