"""The worker's side of the wire: frames over descriptors, and the part of msgpack that headers need.
How frames are told apart is in framing.py, what becomes of them in bootstrap.py, calls.py and threads.py.

runtimes/README.md describes every frame. Standard library only, Python 3.9 syntax: the function's interpreter may be
older than pyfc's.
"""

from __future__ import annotations

import os
import select
import struct
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import framing

VERSION = 1
MAXIMUM_UNARY = 1024 * 1024
MAXIMUM_DATA = 256 * 1024

INIT, INVOKE, DATA, CREDIT, CANCEL, HOOK, STOP = range(1, 8)
HELLO, READY, REPLY, END, HOOK_DONE, LOG = range(16, 22)
FORK, SHUTDOWN, KEEP, BEAR, EXEC, FURNISH = range(32, 38)
FORKED, EXITED, NESTED, FURNISHED = range(48, 52)

_READ = 65536
_HEAD: int = framing.PREFIX.size
_prefix = framing.PREFIX.unpack_from
_WHOLE = b"\x98\xc2"
_USUAL = struct.Struct(">H36sBBBQH")
"""An Invoke's header of eight items, the first false (so its size is the payload's); then the others, if the id has
36 characters, the numbers are small and the last two items nil. Taking that apart at once is four times as quick."""
_PLAIN = struct.Struct(">IBIHBBBQBBBBB")
"""A Reply's prefix and its header [false, size, null, 200, null, written]."""
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_I64 = struct.Struct(">q")
_F64 = struct.Struct(">d")


Frame = tuple[int, int, list[Any], bytes]
"""Type, call id, header, payload."""
_Reader = Callable[[bytes, int], "tuple[Any, int]"]


class Init(NamedTuple):
    """What a worker is to be: the fields of an Init frame, which pyfc/wire/frames.py explains."""

    handler: str
    initializer: str
    code: str
    environment: dict[str, str]
    context: dict[str, Any]
    packages: list[str]
    cache: str
    source: str
    concurrency: int
    mark: str
    sandbox: dict[str, Any]
    template: dict[str, Any]
    hooks: dict[str, str]
    debug_port: int = 0
    traces: bool = False
    program: dict[str, Any] = {}  # noqa: RUF012  never changed
    debugger: str = "attach"
    profiler: str = ""

    @classmethod
    def of(cls, fields: list[Any]) -> Init:
        """Those of a frame, which may have some that nobody here knows yet."""
        return cls(*fields[: len(cls._fields)])


class WireError(Exception):
    """The other side sent what is no frame, or went away in the middle of one."""


def pack(value: Any) -> bytes:
    """msgpack of None, bool, int, float, str, bytes, list, tuple and dict."""
    out = bytearray()
    _pack(value, out)
    return bytes(out)


def _pack(value: Any, out: bytearray) -> None:
    packer = _PACK.get(type(value))
    if packer is None:
        raise TypeError("cannot pack " + type(value).__name__)
    packer(value, out)


def _pack_text(value: str, out: bytearray) -> None:
    data = _utf8(value)
    _pack_length(len(data), (0xA0, 32), (0xD9, 0xDA, 0xDB), out)
    out += data


def _pack_list(value: Any, out: bytearray) -> None:
    _pack_length(len(value), (0x90, 16), (None, 0xDC, 0xDD), out)
    for item in value:
        _pack(item, out)


def _pack_dict(value: dict[Any, Any], out: bytearray) -> None:
    _pack_length(len(value), (0x80, 16), (None, 0xDE, 0xDF), out)
    for key, item in value.items():
        _pack(key, out)
        _pack(item, out)


def _pack_bytes(value: bytes, out: bytearray) -> None:
    _pack_length(len(value), (0, 0), (0xC4, 0xC5, 0xC6), out)
    out += value


def _pack_float(value: float, out: bytearray) -> None:
    out.append(0xCB)
    out += _F64.pack(value)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _pack_integer(value: int, out: bytearray) -> None:
    if 0 <= value < 128:
        out.append(value)
    elif -32 <= value < 0:
        out.append(256 + value)
    elif value >= 0:
        out.append(0xCF)
        out += _U64.pack(value)
    else:
        out.append(0xD3)
        out += _I64.pack(value)


def _pack_length(length: int, short: tuple[int, int], tags: tuple[int | None, int, int], out: bytearray) -> None:
    base, limit = short
    if length < limit:
        out.append(base | length)
    elif tags[0] is not None and length < 256:
        out.append(tags[0])
        out.append(length)
    elif length < 65536:
        out.append(tags[1])
        out += _U16.pack(length)
    else:
        out.append(tags[2])
        out += _U32.pack(length)


_PACK: dict[type, Callable[[Any, bytearray], None]] = {
    type(None): lambda _, out: out.append(0xC0),
    bool: lambda value, out: out.append(0xC3 if value else 0xC2),
    int: _pack_integer,
    float: _pack_float,
    str: _pack_text,
    bytes: _pack_bytes,
    list: _pack_list,
    tuple: _pack_list,
    dict: _pack_dict,
}


def unpack(data: bytes) -> Any:
    """The value that `data` holds; WireError if it is not exactly one."""
    try:
        value, end = _unpack(data, 0)
    except (IndexError, struct.error, UnicodeDecodeError, TypeError, RecursionError) as error:
        raise WireError("malformed msgpack") from error
    if end != len(data):
        raise WireError("trailing bytes after msgpack")
    return value


def _unpack(data: bytes, at: int) -> tuple[Any, int]:
    tag = data[at]
    at += 1
    if tag < 0x80:
        return tag, at
    if 0xA0 <= tag < 0xC0:
        end = at + (tag & 31)
        return str(data[at:end], "utf-8", "surrogateescape"), end
    if 0x90 <= tag < 0xA0:
        return _unpack_list(data, at, tag & 15)
    if tag < 0x90:
        return _unpack_dict(data, at, tag & 15)
    if tag >= 0xE0:
        return tag - 256, at
    return _UNPACK[tag](data, at)


def _unpack_list(data: bytes, at: int, length: int) -> tuple[Any, int]:
    items = []
    for _ in range(length):
        item, at = _unpack(data, at)
        items.append(item)
    return items, at


def _unpack_dict(data: bytes, at: int, length: int) -> tuple[Any, int]:
    items = {}
    for _ in range(length):
        key, at = _unpack(data, at)
        items[key], at = _unpack(data, at)
    return items, at


def _number(form: struct.Struct) -> _Reader:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        return form.unpack_from(data, at)[0], at + form.size

    return read


def _sized(form: struct.Struct, finish: Callable[[bytes, int, int], tuple[Any, int]]) -> _Reader:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        (length,) = form.unpack_from(data, at)
        return finish(data, at + form.size, length)

    return read


def _text(data: bytes, at: int, length: int) -> tuple[Any, int]:
    if at + length > len(data):
        raise IndexError
    return str(data[at : at + length], "utf-8", "surrogateescape"), at + length


def _bytes(data: bytes, at: int, length: int) -> tuple[Any, int]:
    if at + length > len(data):
        raise IndexError
    return bytes(data[at : at + length]), at + length


_U8 = struct.Struct(">B")


def _unknown(data: bytes, at: int) -> tuple[Any, int]:
    raise TypeError("unknown msgpack tag")


_UNPACK: dict[int, _Reader] = dict.fromkeys(range(0xC0, 0xE0), _unknown)
_UNPACK.update({
    0xC0: lambda data, at: (None, at),
    0xC2: lambda data, at: (False, at),
    0xC3: lambda data, at: (True, at),
    0xC4: _sized(_U8, _bytes),
    0xC5: _sized(_U16, _bytes),
    0xC6: _sized(_U32, _bytes),
    0xCA: _number(struct.Struct(">f")),
    0xCB: _number(_F64),
    0xCC: _number(_U8),
    0xCD: _number(_U16),
    0xCE: _number(_U32),
    0xCF: _number(_U64),
    0xD0: _number(struct.Struct(">b")),
    0xD1: _number(struct.Struct(">h")),
    0xD2: _number(struct.Struct(">i")),
    0xD3: _number(_I64),
    0xD9: _sized(_U8, _text),
    0xDA: _sized(_U16, _text),
    0xDB: _sized(_U32, _text),
    0xDC: _sized(_U16, _unpack_list),
    0xDD: _sized(_U32, _unpack_list),
    0xDE: _sized(_U16, _unpack_dict),
    0xDF: _sized(_U32, _unpack_dict),
})  # fmt: skip


def encode(kind: int, call: int, header: tuple[Any, ...], payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    packed = pack(header)
    head: bytes = framing.PREFIX.pack(7 + len(packed) + len(payload), kind, call, len(packed))
    return head + packed + payload


def plain_reply(call: int, body: bytes, written: bool) -> bytes:
    """The Reply frame of a call that went well and has neither status nor headers: the one that must be fast."""
    size = len(body)
    last = 0xC3 if written else 0xC2
    head = _PLAIN.pack(23 + size, REPLY, call, 16, 0x96, 0xC2, 0xCF, size, 0xC0, 0xCC, 200, 0xC0, last)
    return head + body


def _fields(kind: int, header: bytes, size: int) -> list[Any]:
    """The fields of a header, of a frame with `size` bytes of payload."""
    if kind == INVOKE and header[:2] == _WHOLE and len(header) >= _USUAL.size + 2:
        mark, identifier, run_kind, attempt, tag, deadline, nils = _USUAL.unpack_from(header, -_USUAL.size)
        if mark == 0xD924 and tag == 0xCF and nils == 0xC0C0:
            return [False, size, identifier.decode(), run_kind, attempt, deadline, None, None]
    fields: list[Any] = unpack(header)
    return fields


class Channel:
    """Frames over two blocking descriptors. One thread reads; any may write."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._in = incoming
        self._out = outgoing
        self._parser = framing.Parser()
        self._frames: deque[Frame] = deque()
        """Those that have been read and not been taken."""
        self._writing = threading.Lock()
        self._poll: Any = None

    def read(self) -> Frame | None:
        """The next frame; None when the other side has closed. In packet mode a read takes one packet, which is one
        frame: what was sent ahead stays where it can be taken back.
        """
        frames, parser = self._frames, self._parser
        while not frames:
            data = os.read(self._in, max(_READ, parser.missing) if parser.is_amid else _READ)
            if data:
                size = len(data)
                if size >= _HEAD and not parser.is_amid:
                    length, kind, call, header_size = _prefix(data)
                    start = _HEAD + header_size
                    if length + 4 == size >= start:  # mostly it is one whole frame
                        return kind, call, _fields(kind, data[_HEAD:start], size - start), data[start:]
                self._feed(data)
            elif parser.is_amid:
                raise WireError("truncated frame")
            else:
                return None
        return frames.popleft()

    def _feed(self, data: bytes) -> None:
        try:
            for kind, call, header, payload in self._parser.feed(data):
                whole = payload if type(payload) is bytes else bytes(payload)
                self._frames.append((kind, call, _fields(kind, header, len(whole)), whole))
        except framing.Malformed as error:
            raise WireError(str(error)) from error

    def arrived(self) -> Frame | None:
        """The next frame if it has begun to arrive, else None. Raises WireError when the other side has closed."""
        if not self.ready():
            return None
        if not self._frames and not self._parser.is_amid:
            os.set_blocking(self._in, False)
            try:
                data = os.read(self._in, _READ)
            except BlockingIOError:
                return None  # it was taken back meanwhile
            finally:
                os.set_blocking(self._in, True)
            if not data:
                raise WireError("the other side went away")
            self._feed(data)
        return self.read()

    def ready(self, milliseconds: int = 0) -> bool:
        """Whether a frame has begun to arrive (or the other side has closed), now or before long."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._in, select.POLLIN)
        return bool(self._frames) or self._parser.is_amid or bool(self._poll.poll(milliseconds))

    def write(self, kind: int, call: int, header: tuple[Any, ...], payload: bytes = b"") -> None:
        """Write one frame, however long that takes."""
        self.send(encode(kind, call, header, payload))

    def send(self, frame: bytes) -> None:
        """Write the bytes of a frame, however long that takes."""
        with self._writing:
            written = os.write(self._out, frame)
            while written < len(frame):
                written += os.write(self._out, memoryview(frame)[written:])
