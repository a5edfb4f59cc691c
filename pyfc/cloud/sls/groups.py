"""Log groups as SLS's clients pack them (protocol buffers of its documentation), read with strict limits and written.

    LogGroup: 1 Logs, 3 Topic, 4 Source, 6 LogTags      Log: 1 Time (varint), 2 Contents, 4 Time_ns (fixed32)
    Content and LogTag: 1 Key, 2 Value                  LogGroupList: 1 the groups

Values may be any bytes. A group is kept as it was sent; what is read of it are its labels, and where its logs are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pyfc.cloud.sls.faults import Fault
from pyfc.wire import protobuf

MOST_LOGS = 512_000
"""Logs of a group."""
_MOST_FIELDS = 2_000_000
"""Fields of a group, with those of its logs: what reading it costs."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_WORD = 0xFFFFFFFF
Pairs = Sequence[tuple[str, str]]


class Labels(NamedTuple):
    """What the logs of a group have in common."""

    topic: str = ""
    source: str = ""
    tags: Pairs = ()


class Log(NamedTuple):
    """One log."""

    time: int
    """Seconds since the epoch."""
    part: int
    """Nanoseconds beyond them."""
    contents: Pairs


class Group(NamedTuple):
    """A group that was read: its labels, and the bytes of each log in it."""

    labels: Labels
    places: Sequence[tuple[int, int]]
    """Where each log begins and ends."""


def read_group(data: bytes) -> Group:
    """Check the whole of a group. Raises Fault PostBodyInvalid for what is none, PostBodyTooLarge."""
    labels, tags, places, fields = {3: "", 4: ""}, list[tuple[str, str]](), list[tuple[int, int]](), 0
    for number, kind, begin, end in _fields(data, 0, len(data)):
        fields += 1
        if number == 1:
            _expect(kind, _BYTES)
            fields += _check_log(data, begin, end)
            places.append((begin, end))
        elif number in labels:
            _expect(kind, _BYTES)
            labels[number] = _text(data, begin, end)
        elif number == 6:
            _expect(kind, _BYTES)
            tags.append(_pair(data, begin, end))
        if fields > _MOST_FIELDS or len(places) > MOST_LOGS:
            raise Fault("PostBodyTooLarge", f"A group has at most {MOST_LOGS} logs and {_MOST_FIELDS} fields.")
    return Group(Labels(labels[3], labels[4], tags), places)


def read_log(data: bytes, begin: int = 0, end: int | None = None) -> Log:
    """A log of a group that was checked. Bytes that are no UTF-8 are replaced."""
    time = part = 0
    contents: list[tuple[str, str]] = []
    for number, _, first, last in _fields(data, begin, len(data) if end is None else end):
        if number == 1:
            time = _number(data, first, last)
        elif number == 2:
            contents.append(_pair(data, first, last))
        elif number == 4:
            part = int.from_bytes(data[first:last], "little")
    return Log(time & _WORD, part, contents)


def write_group(labels: Labels, logs: Iterable[Log]) -> bytes:
    """A group as clients pack it."""
    found = bytearray()
    for log in logs:
        packed = protobuf.number(1, log.time) + b"".join(protobuf.part(2, _packed_pair(each)) for each in log.contents)
        found += protobuf.part(1, packed + (b"\x25" + log.part.to_bytes(4, "little") if log.part else b""))
    found += protobuf.text(3, labels.topic) + protobuf.text(4, labels.source)
    return bytes(found) + b"".join(protobuf.part(6, _packed_pair(tag)) for tag in labels.tags)


def group_list(groups: Iterable[bytes]) -> bytes:
    """Groups one after the other, as PullLogs answers."""
    return b"".join(protobuf.part(1, group) for group in groups)


def without_parts(data: bytes) -> bytes:
    """A group without the nanoseconds of its logs, which the oldest client for Node.js cannot read."""
    found = bytearray()
    last = 0
    for number, _, begin, end in _fields(data, 0, len(data)):
        if number == 1:
            found += protobuf.part(1, b"".join(_kept(data, begin, end)))
        else:
            found += data[last:end]
        last = end
    return bytes(found)


def _kept(data: bytes, begin: int, end: int) -> Iterator[bytes]:
    last = begin
    for number, _, _, stop in _fields(data, begin, end):
        if number != 4:
            yield data[last:stop]
        last = stop


def _check_log(data: bytes, begin: int, end: int) -> int:
    """How many fields a log has."""
    has_time, count = False, 0
    for number, kind, first, last in _fields(data, begin, end):
        count += 1
        if number == 2:
            _expect(kind, _BYTES)
            for _, inner, _, _ in _fields(data, first, last):
                count += 1
                _expect(inner, _BYTES)
        elif number == 1:
            _expect(kind, _VARINT)
            has_time = True
        elif number == 4:
            _expect(kind, _FIXED32)
        if count > _MOST_FIELDS:
            raise Fault("PostBodyTooLarge", f"A group has at most {_MOST_FIELDS} fields.")
    if not has_time:
        raise _invalid("a log has no time")
    return count


def _fields(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number and kind of each field between two places, and where its value begins and ends."""
    while place < end:
        key = data[place]
        place += 1
        if key > 127:
            key, place = _long(data, place - 1, end)
        kind = key & 7
        if kind == _BYTES:
            if place >= end:
                raise _invalid("it ends within a field")
            size = data[place]
            place += 1
            if size > 127:
                size, place = _long(data, place - 1, end)
            stop = place + size
        elif kind == _VARINT:
            stop = _long(data, place, end)[1]
        elif kind in (_FIXED32, _FIXED64):
            stop = place + (4 if kind == _FIXED32 else 8)
        else:
            raise _invalid("a field is of a kind that there is not")
        if stop > end:
            raise _invalid("it ends within a field")
        yield key >> 3, kind, place, stop
        place = stop


def _long(data: bytes, place: int, end: int) -> tuple[int, int]:
    """A number of several bytes, and where it ends."""
    found = 0
    for index in range(_LONGEST_VARINT):
        if place >= end:
            raise _invalid("it ends within a number")
        byte = data[place]
        place += 1
        found |= (byte & 127) << (7 * index)
        if byte < 128:
            return found, place
    raise _invalid("a number is too long")


def _number(data: bytes, begin: int, end: int) -> int:
    return _long(data, begin, end)[0]


def _pair(data: bytes, begin: int, end: int) -> tuple[str, str]:
    key = value = ""
    for number, kind, first, last in _fields(data, begin, end):
        if kind == _BYTES and number == 1:
            key = _text(data, first, last)
        elif kind == _BYTES and number == 2:
            value = _text(data, first, last)
    return key, value


def _text(data: bytes, begin: int, end: int) -> str:
    return data[begin:end].decode("utf-8", "replace")


def _packed_pair(pair: tuple[str, str]) -> bytes:
    return protobuf.text(1, pair[0]) + protobuf.text(2, pair[1])


def _expect(kind: int, wanted: int) -> None:
    if kind != wanted:
        raise _invalid("a field has another kind of value than it should")


def _invalid(why: str) -> Fault:
    return Fault("PostBodyInvalid", f"The body is no LogGroup: {why}.")
