"""A terminal that shows a page of lines and reads keys: what it shows is replaced, never scrolled, and what was there
before is there again afterwards, whatever this ends by.
"""

from __future__ import annotations

import os
import re
import select
import signal
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from types import FrameType
from typing import NamedTuple, Self

from pyfc.dev.output import Screen, one_line

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""To the other page of the terminal, without a cursor; long lines are cut."""
_LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _REST = "\x1b[H", "\x1b[K"
_ESCAPE = b"\x1b"
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[ -~])")
_ALONE = 0.05
"""Seconds after which an escape is a key of its own, and not the beginning of another one."""
_KEYS = {
    b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"\x1b[C": "right", b"\x1bOC": "right",
    b"\x1b[D": "left", b"\x1bOD": "left", b"\x1b[5~": "page up", b"\x1b[6~": "page down", b"\x1b[H": "home",
    b"\x1b[1~": "home", b"\x1bOH": "home", b"\x1b[F": "end", b"\x1b[4~": "end", b"\x1bOF": "end",
}  # fmt: skip
_PLAIN = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\x1b": "escape", "\x0c": "redraw"}
_ENDS = (signal.SIGTERM, signal.SIGHUP)


class Style(Enum):
    """How a line looks; only a colour is left out for who wants none (NO_COLOR)."""

    PLAIN = ""
    HEADING = "\x1b[1m"
    CHOSEN = "\x1b[7m"
    BAD = "\x1b[31m"


class Line(NamedTuple):
    """A line of a page."""

    text: str
    style: Style = Style.PLAIN


class Closed(Exception):
    """The terminal is gone."""


class Terminal:
    """The page. To be used in `with`, by the main thread."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._before = termios.tcgetattr(screen.keyboard)
        self._typed = b""
        self._heard, self._wake = os.pipe()
        for end in (self._heard, self._wake):
            os.set_blocking(end, False)

    def __enter__(self) -> Self:
        self._others = {number: signal.signal(number, handler) for number, handler in self._handlers()}
        self._woken_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            self._enter()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._woken_before)
        for number, handler in self._others.items():
            signal.signal(number, handler)
        self._leave()
        os.close(self._heard)
        os.close(self._wake)

    def _handlers(self) -> Iterator[tuple[int, Callable[[int, FrameType | None], None]]]:
        yield signal.SIGWINCH, lambda *_: None  # it wakes `keys`
        yield signal.SIGTSTP, self._pause
        yield from ((number, _end) for number in _ENDS)

    def _pause(self, *_: object) -> None:
        """Ctrl-Z: the shell has its terminal until `fg`."""
        self._leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._enter()

    def _enter(self) -> None:
        tty.setcbreak(self._screen.keyboard)
        self._write(_ENTER)

    def _leave(self) -> None:
        with _if_there():
            self._write(_LEAVE)
        with _if_there():
            termios.tcsetattr(self._screen.keyboard, termios.TCSAFLUSH, self._before)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            columns, lines = os.get_terminal_size(self._screen.display)
        except OSError:
            columns = lines = 0
        return columns or 80, lines or 24

    def wake(self) -> None:
        """Have `keys` end; from any thread."""
        with _if_there():
            os.write(self._wake, b"\0")

    def draw(self, lines: Sequence[Line]) -> None:
        """Show this page."""
        shown = "\r\n".join(map(self._styled, lines))
        self._write(f"{_HOME}{shown}")

    def _styled(self, line: Line) -> str:
        style = "" if line.style is Style.BAD and not self._screen.has_colours else line.style.value
        text = one_line(line.text)
        return f"{_REST}{style}{text}\x1b[0m" if style else _REST + text  # behind a full line it clears its end

    def _write(self, text: str) -> None:
        """Raises Closed."""
        data = text.encode(self._screen.encoding, "backslashreplace")
        try:
            while data:
                data = data[os.write(self._screen.display, data) :]
        except OSError as error:
            raise Closed from error

    def keys(self, seconds: float) -> list[str]:
        """What was typed: characters, or names like `up`; none if something else is to be looked at, or after so many
        seconds. Raises Closed.
        """
        ready, _, _ = select.select([self._screen.keyboard, self._heard], [], [], seconds)
        if self._heard in ready:
            with _if_there():
                os.read(self._heard, 65536)
        if self._screen.keyboard in ready:
            self._typed += self._read()
        is_escape = self._typed.startswith(_ESCAPE) and not _SEQUENCE.match(self._typed)
        if is_escape and select.select([self._screen.keyboard], [], [], _ALONE)[0]:
            self._typed += self._read()
        keys, self._typed = keys_of(self._typed)
        return keys

    def _read(self) -> bytes:
        try:
            data = os.read(self._screen.keyboard, 4096)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        return data


def keys_of(data: bytes) -> tuple[list[str], bytes]:
    """The keys that these bytes are, and what is only the beginning of a character."""
    keys: list[str] = []
    while data:
        if found := _SEQUENCE.match(data):
            keys.append(_KEYS.get(found[0], "other"))
            data = data[found.end() :]
            continue
        length = _length(data[0])
        if len(data) < length:
            break
        text = data[:length].decode("utf-8", "replace")[0]
        keys.append(_PLAIN.get(text, text))
        data = data[length:]
    return keys, data


def _length(first: int) -> int:
    """Bytes of a character of UTF-8, by its first."""
    return 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1


@contextmanager
def _if_there() -> Iterator[None]:
    """What cannot be told a terminal that is gone, or a pipe that is full, is left out."""
    try:
        yield
    except (OSError, termios.error, Closed):
        return


def _end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
