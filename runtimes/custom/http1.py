"""HTTP/1.1 as it arrives on a connection: heads, and bodies piece by piece. For both directions: what a user's server
answers, and what a program asks of the runtime API. Both are programs of the user's: nothing they send is believed.
The connections are in client.py and pull.py.

A test compares every answer here with h11's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MOST_HEAD = 65536
"""Bytes of a head, of a chunk's first line or of trailers, that are waited for."""
_MOST_DIGITS = 18
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_STATUS_LINE = re.compile(rb"HTTP/(?P<version>[0-9]\.[0-9]) (?P<status>[0-9]{3})(?: [^\x00\n\r\f\v]*)?")
_REQUEST_LINE = re.compile(rb"(?P<method>" + _TOKEN + rb") (?P<target>[\x21-\x7e]+) HTTP/(?P<version>[0-9]\.[0-9])")
_FIELD = re.compile(rb"(?P<name>" + _TOKEN + rb"):[ \t]*(?P<value>[^\x00\n\r\f\v]*)")
_LENGTH = re.compile(rb"[0-9]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,%d})(?:;[^\n]*)?[ \t]*\r\n" % (_MOST_DIGITS - 3))
_LINE_ENDS = re.compile("[\0\r\n]")
_END_OF_LINES = re.compile(rb"\n\r?\n")
_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"proxy-connection", b"te", b"trailer"}


class Malformed(Exception):
    """It is no HTTP/1, or says two things at once."""


class Head(NamedTuple):
    """`first`: the parts of the first line. `size`: bytes of the body that it tells; None if it does not."""

    first: dict[str, bytes]
    fields: list[tuple[bytes, bytes]]
    size: int | None
    is_chunked: bool

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.first["status"])

    def get(self, name: bytes) -> bytes:
        """All values of a field; b"" if it is not there."""
        return b", ".join(_values(self.fields, name))

    @property
    def keeps(self) -> bool:
        """Whether the connection may serve once more."""
        words = self._connection()
        return b"close" not in words and (self.first["version"] >= b"1.1" or b"keep-alive" in words)

    def _connection(self) -> set[bytes]:
        return {word.strip().lower() for word in self.get(b"connection").split(b",")}

    def end_to_end(self) -> list[tuple[bytes, bytes]]:
        """The fields that are not about this connection alone. A length beside chunks counts for nothing."""
        dropped = _HOP | self._connection() | ({b"content-length"} if self.is_chunked else set())
        return [each for each in self.fields if each[0].lower() not in dropped]


def take_answer(buffer: bytearray) -> Head | None:
    """The head of an answer, taken off the buffer; None until it is whole. Raises Malformed."""
    return _take_head(buffer, _STATUS_LINE)


def take_request(buffer: bytearray) -> Head | None:
    """The head of a request; as take_answer."""
    return _take_head(buffer, _REQUEST_LINE)


def _take_head(buffer: bytearray, form: re.Pattern[bytes]) -> Head | None:
    lines = _take_lines(buffer)
    if lines is None:
        if buffer and buffer[0] < 0x21:
            raise Malformed("it begins with no HTTP/1")
        return None
    first = form.fullmatch(lines[0]) if lines else None
    if first is None:
        raise Malformed("the first line is no HTTP/1: %r" % (lines[0][:80] if lines else b""))
    fields = list(_fields(lines[1:]))
    size, is_chunked = _length(fields), _is_chunked(fields)
    return Head(first.groupdict(), fields, None if is_chunked else size, is_chunked)


def _take_lines(buffer: bytearray) -> list[bytes] | None:
    """The lines up to an empty one; None until that is there."""
    for empty in (b"\n", b"\r\n"):
        if buffer.startswith(empty):
            del buffer[: len(empty)]
            return []
    found = _END_OF_LINES.search(buffer, 0, MOST_HEAD)
    if found is None:
        if len(buffer) >= MOST_HEAD:
            raise Malformed("a head of more than %d bytes" % MOST_HEAD)
        return None
    lines = bytes(buffer[: found.start()]).split(b"\n")
    del buffer[: found.end()]
    return [line[:-1] if line.endswith(b"\r") else line for line in lines]


def _fields(lines: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for line in _unfolded(lines):
        found = _FIELD.fullmatch(line)
        if found is None:
            raise Malformed("a line of the head is no field: %r" % line[:80])
        yield found["name"], found["value"].rstrip(b" \t")


def _unfolded(lines: list[bytes]) -> list[bytes]:
    """Lines that go on in the next one, as old servers write them, in one."""
    whole: list[bytes] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            whole.append(line)
        elif whole:
            whole[-1] += b" " + line.lstrip(b" \t")
        else:
            raise Malformed("the first field goes on from nothing")
    return whole


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for each, value in fields if each.lower() == name]


def _is_chunked(fields: list[tuple[bytes, bytes]]) -> bool:
    codings = [value.lower() for value in _values(fields, b"transfer-encoding")]
    if codings not in ([], [b"chunked"]):
        raise Malformed("a Transfer-Encoding other than chunked")
    return bool(codings)


def _length(fields: list[tuple[bytes, bytes]]) -> int | None:
    told = {text.strip(b" \t") for value in _values(fields, b"content-length") for text in value.split(b",")}
    if not told:
        return None
    text = told.pop()
    if told or not _LENGTH.fullmatch(text) or len(text) > _MOST_DIGITS:
        raise Malformed("a Content-Length that is none, or more than one")
    return int(text)


class Body:
    """A body, as it is taken off a connection's buffer. `size`: its bytes; None: until the connection ends, or, with
    `is_chunked`, until the chunk of no bytes.
    """

    def __init__(self, size: int | None, *, is_chunked: bool = False) -> None:
        self.is_whole = size == 0
        self.ends_with_connection = size is None and not is_chunked
        self._left = 0 if size is None else size
        self._is_chunked = is_chunked
        self._state = self._take_size if is_chunked else self._take_rest if size is None else self._take_piece

    def take(self, buffer: bytearray) -> bytes:
        """The next bytes; b"" when more has to arrive, or at the end. Raises Malformed."""
        while not self.is_whole:
            piece = self._state(buffer)
            if piece is None:
                return b""
            if piece:
                return piece
        return b""

    # the states: each takes something; None if there is not enough

    def _take_rest(self, buffer: bytearray) -> bytes | None:
        return _taken(buffer, len(buffer)) or None

    def _take_piece(self, buffer: bytearray) -> bytes | None:
        piece = _taken(buffer, self._left)
        self._left -= len(piece)
        if self._left:
            return piece or None
        if self._is_chunked:
            self._state = self._take_footer
        else:
            self.is_whole = True
        return piece

    def _take_size(self, buffer: bytearray) -> bytes | None:
        end = buffer.find(b"\r\n", 0, MOST_HEAD)
        if end < 0:
            if len(buffer) >= MOST_HEAD:
                raise Malformed("a chunk without a size")
            return None
        found = _CHUNK.fullmatch(_taken(buffer, end + 2))
        if found is None:
            raise Malformed("a chunk without a size")
        self._left = int(found[1], 16)
        self._state = self._take_piece if self._left else self._take_trailers
        return b""

    def _take_footer(self, buffer: bytearray) -> bytes | None:
        if not b"\r\n".startswith(buffer[:2]):
            raise Malformed("a chunk is longer than its size")
        if len(buffer) < 2:
            return None
        del buffer[:2]
        self._state = self._take_size
        return b""

    def _take_trailers(self, buffer: bytearray) -> bytes | None:
        lines = _take_lines(buffer)
        if lines is None:
            return None
        list(_fields(lines))
        self.is_whole = True
        return b""


def message(first: str, headers: list[tuple[str, str]]) -> bytes:
    """The head of a message to send. No value can begin another line."""
    lines = "".join("%s: %s\r\n" % (name, _LINE_ENDS.sub(" ", value)) for name, value in headers)
    return ("%s\r\n%s\r\n" % (first, lines)).encode("latin-1", "replace")


def _taken(buffer: bytearray, size: int) -> bytes:
    piece = bytes(memoryview(buffer)[:size])
    del buffer[:size]
    return piece
