"""The wire, byte by byte, on both of its sides."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfc.host.runtimes import ROOT, Runtimes
from pyfc.wire import frames
from runtime_modules import load

VECTORS = json.loads((Path(__file__).parent / "vectors" / "frames.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


[WIRE] = load("python", "wire")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_frame_is_these_bytes_on_both_sides(vector: dict[str, Any]) -> None:
    frame, payload = bytes.fromhex(vector["frame"]), bytes.fromhex(vector["payload"])
    length, kind, call, header_size = frames.PREFIX.unpack_from(frame)
    header = frame[frames.PREFIX.size : frames.PREFIX.size + header_size]

    assert length == len(frame) - 4
    assert (kind, call) == (vector["type"], vector["call"])
    assert msgpack.unpackb(header) == vector["header"]
    assert WIRE.unpack(header) == vector["header"]
    assert frame[frames.PREFIX.size + header_size :] == payload
    read, write = os.pipe()
    os.write(write, frame)
    assert WIRE.Channel(read, write).read() == (kind, call, vector["header"], payload)
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_stands_in_the_readme(vector: dict[str, Any]) -> None:
    assert vector["frame"] in README


def test_both_sides_have_the_same_numbers() -> None:
    names = [name for name in vars(frames) if name.isupper() and isinstance(getattr(frames, name), int)]
    shared = [name for name in names if name not in {"MAXIMUM_HEADER", "MAXIMUM_FRAME"}]

    assert {name: getattr(WIRE, name) for name in shared} == {name: getattr(frames, name) for name in shared}


def test_both_sides_have_the_same_fields_of_an_init() -> None:
    assert WIRE.Init._fields == frames.Init._fields
    assert WIRE.Init._field_defaults == frames.Init._field_defaults
    assert WIRE.Init.of([*range(len(frames.Init._fields)), "of a later version"]) == tuple(
        range(len(frames.Init._fields))
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda children: st.lists(children, max_size=20) | st.dictionaries(st.text(max_size=40), children, max_size=20),
    max_leaves=30,
)


@given(values)
@settings(deadline=None)
def test_the_runtimes_msgpack_is_the_same_as_the_librarys(value: Any) -> None:
    assert WIRE.unpack(msgpack.packb(value)) == value
    assert msgpack.unpackb(WIRE.pack(value)) == value


@pytest.mark.parametrize("size", [31, 32, 255, 256, 65535, 65536])
def test_lengths_at_the_borders_of_their_forms_survive(size: int) -> None:
    for value in ("x" * size, b"x" * size, [1] * size, {str(number): 1 for number in range(size)}):
        assert WIRE.unpack(msgpack.packb(value)) == value
        assert msgpack.unpackb(WIRE.pack(value)) == value


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_malformed_msgpack_is_an_error_and_nothing_else(data: bytes) -> None:
    try:
        WIRE.unpack(data)
    except WIRE.WireError:
        pass


@given(st.lists(st.sampled_from(VECTORS), min_size=1, max_size=6), st.lists(st.integers(1, 40), min_size=1))
@settings(deadline=None, max_examples=settings().max_examples // 2)
def test_frames_survive_any_chunking(chosen: list[dict[str, Any]], sizes: list[int]) -> None:
    data = b"".join(bytes.fromhex(vector["frame"]) for vector in chosen)
    read, write = os.pipe()

    def feed() -> None:
        at = 0
        while at < len(data):
            size = sizes[at % len(sizes)]
            os.write(write, data[at : at + size])
            at += size
        os.close(write)

    thread = threading.Thread(target=feed)
    thread.start()
    channel = WIRE.Channel(read, -1)
    found = [channel.read() for _ in chosen]
    thread.join()

    assert channel.read() is None
    os.close(read)
    assert [each[2] for each in found] == [vector["header"] for vector in chosen]


def test_a_stream_that_ends_within_a_frame_is_an_error() -> None:
    read, write = os.pipe()
    os.write(write, bytes.fromhex(VECTORS[0]["frame"])[:-1])
    os.close(write)

    with pytest.raises(WIRE.WireError):
        WIRE.Channel(read, -1).read()
    os.close(read)


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("body", [b"", b"hi", b"x" * 70000])
def test_the_fast_form_of_a_plain_reply_is_a_reply_like_any_other(body: bytes, *, written: bool) -> None:
    frame = WIRE.plain_reply(7, body, written)

    length, kind, call, header_size = frames.PREFIX.unpack_from(frame)
    header = frame[frames.PREFIX.size : frames.PREFIX.size + header_size]
    assert (length, kind, call) == (len(frame) - 4, frames.REPLY, 7)
    assert msgpack.unpackb(header) == [False, len(body), None, 200, None, written]
    assert frame[frames.PREFIX.size + header_size :] == body


@pytest.mark.parametrize("size", [0, 5, 200, 70000])
@pytest.mark.parametrize(
    "rest",
    [
        ("a" * 36, 0, 0, 1, None, None),
        ("a" * 36, 1, 127, 2**63, None, None),
        ("a" * 36, 0, 128, 5, None, None),
        ("a" * 36, 0, 0, 2**40, None, ["span", {}]),
        ("short", 0, 0, 2**40, None, None),
    ],
)
def test_an_invoke_of_the_usual_form_is_read_like_any_other(size: int, rest: tuple[object, ...]) -> None:
    header = msgpack.packb((False, size, *rest))
    payload = b"x" * size
    frame = frames.PREFIX.pack(7 + len(header) + size, frames.INVOKE, 3, len(header)) + header + payload
    read, write = os.pipe()
    writer = threading.Thread(target=os.write, args=(write, frame))  # more than a pipe holds
    writer.start()

    assert WIRE.Channel(read, -1).read() == (frames.INVOKE, 3, [False, size, *rest], payload)

    writer.join()
    os.close(read)
    os.close(write)


CUTS = """
const { Parser } = require(process.argv[1]);
const data = Buffer.from(process.argv[2], 'hex');
for (let size = 1; size <= data.length; size++) {
  const found = [];
  const parser = new Parser((kind, call, header, payload) => found.push([kind, call, header, payload.toString('hex')]));
  for (let at = 0; at < data.length; at += size) parser.feed(data.subarray(at, at + size));
  console.log(JSON.stringify(found));
}
"""


def test_nodes_reader_gives_the_same_frames_in_any_cutting() -> None:
    runtimes = Runtimes()
    node = runtimes.interpreter("nodejs")
    if node is None:
        pytest.skip(runtimes.why_not("nodejs"))
    data = "".join(vector["frame"] for vector in VECTORS)
    argv = [str(node.path), "-e", CUTS, str(ROOT / "nodejs" / "wire.js"), data]

    told = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()

    expected = [[each["type"], each["call"], each["header"], each["payload"]] for each in VECTORS]
    assert len(told) == len(data) // 2
    assert {line == told[0] for line in told} == {True}
    assert json.loads(told[0]) == expected
