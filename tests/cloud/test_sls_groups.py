"""Log groups are read with strict limits, and bodies are unpacked no further than was told."""

from __future__ import annotations

import contextlib
import zlib

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pyfc.cloud.sls.compression import MOST, pack, unpack
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.groups import Labels, Log, group_list, read_group, read_log, without_parts, write_group

DATA = b"hello hello hello " * 1000
PACKED = {
    "lz4": lz4.block.compress(DATA, store_size=False),
    "deflate": zlib.compress(DATA),
    "zstd": zstandard.ZstdCompressor().compress(DATA),
}
LOGS = [Log(1795809053, 5, [("message", "ü"), ("a", "")]), Log(1, 0, [])]
LABELS = Labels("topic", "10.0.0.1", [("host", "x")])


def _code(work: object, *arguments: object) -> str:
    with pytest.raises(Fault) as caught:
        work(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_a_group_is_read_as_it_was_written() -> None:
    data = write_group(LABELS, LOGS)
    group = read_group(data)

    assert group.labels == LABELS
    assert [read_log(data, *place) for place in group.places] == LOGS


def test_a_group_of_a_client_is_read() -> None:
    # aliyun-log-python-sdk 0.9.52: one log of two contents, with nanoseconds; topic, source, a tag
    data = bytes.fromhex(
        "0a2608ddeea7d80612090a016d12046c696e6512070a01731202c3bc12050a016e1200250f000000"
        "1a05746f706963220831302e302e302e3132060a0161120162"
    )

    group = read_group(data)

    assert group.labels == Labels("topic", "10.0.0.1", [("a", "b")])
    assert [read_log(data, *place) for place in group.places] == [
        Log(1795815261, 15, [("m", "line"), ("s", "ü"), ("n", "")])
    ]


def test_bytes_that_are_no_text_are_kept() -> None:
    value = b"\xff\xfe"
    content = b"\x0a\x01k\x12\x02" + value
    log = b"\x08\x01\x12" + bytes([len(content)]) + content
    data = b"\x0a" + bytes([len(log)]) + log

    assert read_log(data, *read_group(data).places[0]).contents == [("k", "\ufffd\ufffd")]
    assert value in data


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a", b"\x0a\x05\x08\x01", b"\x0a\x02\x12\x00", b"\x0a\x00", b"\x08\x01", b"\x0b\x0c", b"\x1a\xff",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0a\x02\x0d\x00", b"\x0a\x05\x08\xff\xff\xff\xff",
        b"\x0a\x06\x08\x01\x12\x02\x08\x01",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_group_is_refused(data: bytes) -> None:
    assert _code(read_group, data) == "PostBodyInvalid"


@given(st.binary(max_size=200))
def test_no_bytes_are_worse_than_refused(data: bytes) -> None:
    with contextlib.suppress(Fault):
        for place in read_group(data).places:
            read_log(data, *place)
        without_parts(data)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 999_999_999), st.lists(st.tuples(st.text(), st.text()))),
        max_size=5,
    )
)
def test_only_the_nanoseconds_go(logs: list[tuple[int, int, list[tuple[str, str]]]]) -> None:
    clean = [Log(time, part, [(k, v) for k, v in pairs if (k + v).isprintable()]) for time, part, pairs in logs]
    data = write_group(LABELS, clean)

    left = without_parts(data)

    assert [read_log(left, *place) for place in read_group(left).places] == [log._replace(part=0) for log in clean]
    assert read_group(left).labels == LABELS


def test_a_group_of_too_many_logs_is_refused() -> None:
    assert _code(read_group, b"\x0a\x02\x08\x01" * 512_001) == "PostBodyTooLarge"


def test_groups_are_told_apart_in_a_list() -> None:
    assert group_list([b"a", b"bc" * 100]) == b"\x0a\x01a\x0a\xc8\x01" + b"bc" * 100


@pytest.mark.parametrize("kind", PACKED)
def test_a_body_is_unpacked(kind: str) -> None:
    assert unpack(kind, PACKED[kind], str(len(DATA))) == DATA


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("told", ["0", "1", str(len(DATA) - 1), str(len(DATA) + 1)])
def test_a_body_of_another_size_than_was_told_is_refused(kind: str, told: str) -> None:
    assert _code(unpack, kind, PACKED[kind], told) == "PostBodyUncompressError"


@pytest.mark.parametrize("kind", PACKED)
def test_what_is_not_packed_as_was_told_is_refused(kind: str) -> None:
    assert _code(unpack, kind, b"\x00\x01nonsense" * 9, "90") == "PostBodyUncompressError"
    assert _code(unpack, kind, PACKED[kind][:-9], str(len(DATA))) == "PostBodyUncompressError"


@pytest.mark.parametrize(
    ("kind", "told", "code"),
    [
        ("lz4", None, "MissingBodyRawSize"),
        ("lz4", "-1", "InvalidBodyRawSize"),
        ("", "x", "InvalidBodyRawSize"),
        ("lz4", str(MOST + 1), "PostBodyTooLarge"),
        ("brotli", "5", "InvalidCompressType"),
    ],
)
def test_a_size_or_kind_of_no_use_is_refused_by_name(kind: str, told: str | None, code: str) -> None:
    assert _code(unpack, kind, b"x", told) == code


def test_an_answer_is_packed_for_who_understands_that() -> None:
    kind, data = pack("lz4", DATA)

    assert (kind, lz4.block.decompress(data, uncompressed_size=len(DATA))) == ("lz4", DATA)
    assert pack("", DATA) == pack("identity, br", DATA) == ("", DATA)
    assert zlib.decompress(pack("br;q=1, deflate;q=0.5", DATA)[1]) == DATA


@pytest.mark.parametrize("kind", PACKED)
def test_a_body_that_is_told_to_be_too_large_is_refused_before_it_is_unpacked(kind: str) -> None:
    assert _code(unpack, kind, b"nothing that could be unpacked", str(len(DATA)), len(DATA) - 1) == "PostBodyTooLarge"
