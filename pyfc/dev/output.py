r"""The one way out to a terminal: commands and the console print by nothing else.

1. Names, descriptions, logs, answers and messages are text of strangers. What a terminal would act on instead of
   showing it (escape sequences, bidi overrides, invisible characters) is shown as its code: `\x1b`, `\u202e`.
2. A function's answer goes out as it is where no terminal reads it, so that it can be piped on, or if one asks for it.
3. Lines of a function begin with its name and `|`; no other line does, so none can be made to look like another's.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO

_DOUBTFUL = re.compile(r"[^\x20-\x7e\n\t]")
_DOUBTFUL_IN_LINE = re.compile(r"[^\x20-\x7e\t]")
_CLEAR = "\r\x1b[2K"
_HOME, _REST, _BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
"""To the first place of a terminal; clear the rest of its line; clear all that is below."""
_WIDTH = 120
_LINE_LENGTH = 2000
_COLUMNS = 120
_MESSAGE = 10_000
"""Characters in which the first line of a message is looked for."""


def _code(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else _code(character)


def visible(text: str) -> str:
    """Text with every character that a terminal would act on shown as its code, but for newlines and tabs."""
    return _DOUBTFUL.sub(_shown, text)


def one_line(text: str) -> str:
    """The same as one line: newlines are shown too."""
    return _DOUBTFUL_IN_LINE.sub(_shown, text)


def json_line(text: str) -> str:
    """A line of JSON whose doubtful characters are JSON's own escapes, so that it means the same."""
    return _DOUBTFUL_IN_LINE.sub(lambda found: _shown_in_json(found[0]), text)


def _shown_in_json(character: str) -> str:
    if character.isprintable():
        return character
    data = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at]:02x}{data[at + 1]:02x}" for at in range(0, len(data), 2))


def first_line(text: object) -> str:
    """The first line of a message that says something; '' if none does."""
    lines = (line.strip() for line in str(text)[:_MESSAGE].splitlines())
    return one_line(next((line for line in lines if line), ""))


def output_lines(name: str, text: str, most: int) -> list[str]:
    """What a function wrote, as lines that say whose they are; of more than `most` the newest."""
    texts = text.split("\n")
    if texts[-1] == "":
        texts.pop()
    shown: list[str] = []
    for text in texts[-most:]:  # Node.js runtimes keep a message on one line by carriage returns
        first, *others = text.rstrip("\r").split("\r")
        shown += [f"{name} | {_cut(first)}", *(f"{name} |   {_cut(other)}" for other in others)]
    if len(texts) > most:
        shown.insert(0, f"{name} | ... {len(texts) - most} lines before these are in the function's log file")
    return shown


def _cut(text: str) -> str:
    left_out = len(text) - _LINE_LENGTH
    return one_line(text[:_LINE_LENGTH]) + (f" ... and {left_out} more characters" if left_out > 0 else "")


# printing


def prepare() -> None:
    """To be called before anything is printed: a terminal that cannot show a character gets its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def standard_output() -> TextIO:
    """Where results go; nowhere if the program was started without it."""
    return sys.stdout if sys.stdout is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123


def say(text: str = "", *, end: str = "\n", flush: bool = False) -> None:
    """Print to standard output."""
    _print(sys.stdout, visible(text) + end, flush=flush)


def say_over(text: str) -> None:
    """Print to standard output instead of what is on the terminal there; below it where that is none."""
    if sys.stdout is not None and sys.stdout.isatty():
        _print(sys.stdout, _HOME + visible(text).replace("\n", f"{_REST}\n") + _BELOW + "\n", flush=True)
    else:
        say(text + "\n", flush=True)


def say_json(document: Any, *, indent: int | None = None, flush: bool = False) -> None:
    """Print JSON to standard output."""
    _print(sys.stdout, json.dumps(document, indent=indent).replace("\x7f", "\\u007f") + "\n", flush=flush)


def tell(text: str) -> None:
    """Print to standard error: what is not the result. Who does not read it has the exit status."""
    try:
        _print(sys.stderr, visible(text) + "\n", flush=True)
    except OSError:
        give_up_broken()


def answer(body: bytes, *, raw: bool) -> None:
    """Print a function's answer. On a terminal it is shown as text on lines of its own, unless `raw`."""
    stream = sys.stdout
    if stream is None:
        return
    if raw or not stream.isatty():
        stream.flush()
        stream.buffer.write(body)
    else:
        text = visible(body.decode("utf-8", "backslashreplace"))
        stream.write(text if text.endswith("\n") else text + "\n")
    stream.flush()


def progress(*, shown: bool = True) -> Callable[[str, str], None]:
    """Shows on a terminal what is being installed, a line over the other."""
    if not shown or not is_terminal():
        return lambda *_: None
    return show_progress


def show_progress(source: str, line: str) -> None:
    """Have this be the last line on the terminal, instead of what was shown so before."""
    _print(sys.stderr, _CLEAR + one_line(f"{source}: {line}" if line else source)[:_WIDTH], flush=True)


def end_progress() -> None:
    """What was shown of it is of no interest any more."""
    if is_terminal():
        _print(sys.stderr, _CLEAR, flush=True)


def width() -> int:
    """Columns that a line may have: the terminal's, or enough for what is read by no person."""
    return shutil.get_terminal_size((_COLUMNS, 0)).columns


def columns() -> int | None:
    """Those of the terminal that shows what is said; None where none does: then nothing is left out."""
    return width() if sys.stdout is not None and sys.stdout.isatty() else None


def is_terminal() -> bool:
    """Whether a person reads what is told."""
    return sys.stderr is not None and sys.stderr.isatty()


def is_typed() -> bool:
    """Whether standard input is a terminal, or nothing at all: then nothing is to be read from it."""
    return sys.stdin is None or sys.stdin.isatty()


def given(most: int) -> bytes:
    """All of standard input, but for what comes after `most` bytes."""
    return sys.stdin.buffer.read(most) if sys.stdin is not None else b""


def log_to_stderr(level: int) -> None:
    """Let what the server's parts log go to standard error."""
    handler = _Told()
    handler.setFormatter(logging.Formatter("pyfc: %(levelname)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def flush() -> None:
    """Write out what was said. Raises OSError where that is not possible."""
    if sys.stdout is not None:
        sys.stdout.flush()


def give_up_broken() -> None:
    """What cannot be written to a stream that takes nothing any more goes nowhere."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(devnull, stream.fileno())
    os.close(devnull)


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            tell(self.format(record))
        except Exception:
            self.handleError(record)


def _print(stream: TextIO | None, text: str, *, flush: bool) -> None:
    if stream is not None:
        stream.write(text)
        if flush:
            stream.flush()


class Screen(NamedTuple):
    """A terminal that shows pages and on which keys are typed (terminal.py)."""

    keyboard: int
    display: int
    """Descriptors."""
    encoding: str
    has_colours: bool


def screen() -> Screen | None:
    """The terminal, if both what is typed and what is said is there, and it can show pages."""
    stdin, stdout = sys.stdin, sys.stdout
    is_there = stdin is not None and stdout is not None and stdin.isatty() and stdout.isatty()
    if not is_there or os.environ.get("TERM", "") in {"", "dumb", "unknown"}:
        return None
    return Screen(stdin.fileno(), stdout.fileno(), stdout.encoding, not os.environ.get("NO_COLOR"))


def can_type() -> bool:
    """Whether a person can answer a question."""
    return sys.stdin is not None and sys.stdin.isatty()


async def typed_line() -> str:
    """The next line that the user types; '' at the end of the input."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not typed.done():
            typed.set_result(os.read(descriptor, 4096).decode("utf-8", "replace"))

    loop.add_reader(descriptor, read)
    try:
        return await typed
    finally:
        loop.remove_reader(descriptor)
