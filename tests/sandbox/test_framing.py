"""Frames out of bytes: however a stream is cut, and however it is read, it is the same frames; what is none is an error
in its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.sandbox.inside import framing
from pyfc.wire import frames

Cut = Callable[[bytes, list[int]], tuple[list[framing.Frame], str]]
"""The frames of a stream that comes in pieces of these sizes, and the error at its end ("" for none)."""


LONG = 1000
"""Instead of 128 KiB: there is less to move."""


@pytest.fixture(scope="module", autouse=True)
def _short_long_frames() -> Iterator[None]:
    with mock.patch.object(framing, "LONG", LONG):
        yield


def frame(kind: int, call: int, header: bytes, payload: bytes, lie: int = 0) -> bytes:
    length = max(0, framing.LEAST + len(header) + len(payload) + lie)
    return framing.PREFIX.pack(length, kind, call, len(header)) + header + payload


def fed(data: bytes, sizes: list[int]) -> tuple[list[framing.Frame], str]:
    parser, found, at, number = framing.Parser(), [], 0, 0
    while at < len(data):
        piece = data[at : at + sizes[number % len(sizes)]]
        at, number = at + len(piece), number + 1
        try:
            for each in parser.feed(piece):
                found.append(each)  # noqa: PERF402  those before the error count
        except framing.Malformed as error:
            assert_that_nothing_follows(parser, str(error))
            return found, str(error)
    assert parser.is_amid == (len(data) > sum(size_of(each) for each in found))
    return found, ""


def read_exactly(data: bytes, sizes: list[int]) -> tuple[list[framing.Frame], str]:
    """As control sockets are read: never a byte of the next frame."""
    parser, found, at, number = framing.Parser(), [], 0, 0
    while at < len(data):
        piece = data[at : at + min(parser.missing, sizes[number % len(sizes)])]
        at, number = at + len(piece), number + 1
        try:
            new = list(parser.feed(piece))
        except framing.Malformed as error:
            return found, str(error)
        assert len(new) <= 1
        assert not new or at == sum(size_of(each) for each in [*found, *new])
        found += new
    return found, ""


def read_into_room(data: bytes, sizes: list[int]) -> tuple[list[framing.Frame], str]:
    """As the link reads: long frames straight into their place."""
    parser, found, at, number = framing.Parser(), [], 0, 0
    while at < len(data):
        size, room = sizes[number % len(sizes)], parser.room
        number += 1
        try:
            if room is None:
                piece = data[at : at + size]
                at += len(piece)
                for each in parser.feed(piece):
                    found.append(each)  # noqa: PERF402
            else:
                piece = data[at : at + min(size, len(room))]
                room[: len(piece)] = piece
                at += len(piece)
                found += parser.filled(len(piece))
        except framing.Malformed as error:
            return found, str(error)
    return found, ""


def size_of(each: framing.Frame) -> int:
    return framing.PREFIX.size + len(each[2]) + len(each[3])


def assert_that_nothing_follows(parser: framing.Parser, error: str) -> None:
    with pytest.raises(framing.Malformed, match=error):
        list(parser.feed(frame(1, 1, b"", b"")))
    assert parser.is_amid


def whole(data: bytes) -> tuple[list[framing.Frame], bool]:
    """The same, told by hand: the frames, and whether what follows them is none."""
    found: list[framing.Frame] = []
    while len(data) >= 4:
        length = int.from_bytes(data[:4], "big")
        if not 7 <= length <= 7 + 65535 + (1 << 20):
            return found, True
        if len(data) < 4 + length:
            break
        header = int.from_bytes(data[9:11], "big")
        if 7 + header > length:
            return found, True
        found.append(
            (data[4], int.from_bytes(data[5:9], "big"), data[11 : 11 + header], data[11 + header : 4 + length])
        )
        data = data[4 + length :]
    return found, False


contents = st.binary(max_size=40) | st.integers(0, 400).map(bytes)
well_formed = st.builds(frame, st.integers(0, 255), st.integers(0, 2**32 - 1), contents, contents)
long = st.builds(frame, st.just(18), st.just(1), contents, st.integers(LONG - 100, LONG + 9).map(bytes))
lies = st.integers(-50, 50) | st.sampled_from([2**30, -(2**30)])
lying = st.builds(frame, st.integers(0, 255), st.just(1), contents, contents, lies)
cuts = st.lists(st.integers(1, 60) | st.sampled_from([400, 2000]), min_size=1, max_size=6)
ways = pytest.mark.parametrize("cut", [fed, read_exactly, read_into_room])


@ways
@given(st.lists(well_formed | long, max_size=6).map(b"".join), cuts)
def test_any_cutting_of_any_frames_gives_these_frames(cut: Cut, data: bytes, sizes: list[int]) -> None:
    expected, _ = whole(data)

    assert cut(data, sizes) == (expected, "")
    assert b"".join(frame(*each[:3], bytes(each[3])) for each in expected) == data


@ways
@given(st.lists(well_formed | lying | st.binary(max_size=20), max_size=5).map(b"".join), cuts)
def test_what_is_no_frame_is_an_error_after_the_frames_before_it_and_nothing_else(
    cut: Cut, data: bytes, sizes: list[int]
) -> None:
    expected, is_error = whole(data)
    found, error = cut(data, sizes)

    assert found == expected
    assert bool(error) == is_error


@pytest.mark.parametrize("length", [framing.LEAST, framing.MOST])
def test_a_frame_may_be_as_long_as_the_wire_allows_and_no_longer(length: int) -> None:
    header = b"h" * min(65535, length - framing.LEAST)
    data = frame(1, 1, header, bytes(length - framing.LEAST - len(header)))
    beyond = framing.PREFIX.pack(length + (1 if length == framing.MOST else -1), 1, 1, 0)

    assert fed(data, [65536]) == (whole(data)[0], "")
    assert fed(data + beyond, [65536])[0] == whole(data)[0]
    assert "bytes" in fed(beyond, [65536])[1]


def test_the_limits_are_those_that_the_wire_declares() -> None:
    assert frames.PREFIX.format == framing.PREFIX.format
    assert framing.MOST == frames.MAXIMUM_FRAME


def test_a_header_that_is_longer_than_its_frame_is_named() -> None:
    assert fed(framing.PREFIX.pack(9, 1, 1, 3) + b"ab", [100]) == ([], "a header of 3 bytes in a frame of 13")


def test_a_long_payload_stays_as_it_is_while_others_arrive() -> None:
    parser = framing.Parser()
    first, second = (frame(3, 1, b"", letter * LONG) for letter in (b"a", b"b"))

    found = [each for piece in (first[:500], first[500:], second[:500]) for each in parser.feed(piece)]

    assert [type(each[3]) for each in found] == [memoryview]
    assert found[0][3] == b"a" * LONG


@ways
def test_a_long_frame_costs_time_by_its_length_alone(cut: Cut) -> None:
    data = frame(3, 1, b"", bytes(1 << 20))
    began = time.process_time()

    found, _ = cut(data, [16])

    assert len(found) == 1
    assert time.process_time() - began < 3  # by copying all that is there with each piece it would be ten times as long
