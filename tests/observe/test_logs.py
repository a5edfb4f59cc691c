"""Function logs: what is wrong with a file costs no more than the lines it is wrong with."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.errors import Unavailable
from pyfc.model.function import Function
from pyfc.observe import logs
from pyfc.observe.journal import Journal, OutputRecord
from pyfc.observe.logs import FunctionLogs, tail

FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler")


def written(folder: Path, *texts: str) -> Path:
    """The log after an instance wrote these texts, one server life each."""
    for text in texts:
        files = FunctionLogs(folder, 1_000_000, 2)
        files.listen([OutputRecord(0.0, FUNCTION, "i", "", text.encode("utf-8", "surrogatepass"))])
        assert not files.lost
        files.close()
    return folder / "s" / "f.jsonl"


def told(found: tuple[list[dict[str, Any]], int]) -> list[str]:
    return [record["log"] for record in found[0]]


def test_a_torn_last_line_costs_that_line_only(tmp_path: Path) -> None:
    path = written(tmp_path, "one", "two")
    os.truncate(path, path.stat().st_size - 10)

    written(tmp_path, "three")

    assert told(tail(path, None, 100)) == ["one", "three"]
    assert told(tail(path, 0, 100)) == ["one", "three"]


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, "one")
    with path.open("ab") as file:
        file.write(b"\xff\xfe\x00\n[1]\nnull\n" + b"[" * 100_000 + b"\n\n\r\n{\n")

    written(tmp_path, "two")

    assert told(tail(path, None, 2)) == ["one", "two"]
    assert told(tail(path, 0, 100)) == ["one", "two"]


def test_who_follows_a_log_gets_past_a_line_of_any_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_TAIL", 1000)
    path = written(tmp_path, "one", "x" * 5000, '{"log": "forged"}' * 200, "two")

    found, offset, before = [], 0, -1
    while offset != before:
        before = offset
        records, offset = tail(path, offset, 0)
        found += [record["log"] for record in records]

    assert found == ["one", "two"]
    assert offset == path.stat().st_size
    assert told(tail(path, None, 100)) == ["two"]


@given(data=st.binary(max_size=300), offset=st.none() | st.integers(0, 400), lines=st.integers(0, 5))
def test_any_file_is_read_to_its_end(data: bytes, offset: int | None, lines: int, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(data)

    records, end = tail(path, offset, lines)

    assert all(isinstance(record, dict) for record in records)
    assert 0 <= end <= len(data)


def test_text_that_is_no_utf_8_is_kept(tmp_path: Path) -> None:
    files = FunctionLogs(tmp_path, 1_000_000, 2)

    files._append(("s", "f"), json.dumps({"log": "\ud800é"}, ensure_ascii=False) + "\n")

    assert told(tail(tmp_path / "s" / "f.jsonl", None, 1)) == ["\ud800é"]
    files.close()


@pytest.mark.parametrize("what", ["folder", "pipe", "file above", "link to itself"])
def test_what_is_no_file_is_named_and_stops_nobody(tmp_path: Path, what: str) -> None:
    place = tmp_path / "s" / "f.jsonl"
    if what == "file above":
        place.parent.write_text("")
    else:
        place.parent.mkdir()
    if what == "folder":
        place.mkdir()
    elif what == "pipe":
        os.mkfifo(place)
    elif what == "link to itself":
        place.symlink_to(place)

    with pytest.raises(Unavailable, match="can not be read"):
        tail(place, None, 10)
    files = FunctionLogs(tmp_path, 1_000_000, 2)
    files.listen([OutputRecord(0.0, FUNCTION, "i", "", b"lost")])
    assert files.lost == 1


def test_a_disk_that_was_full_costs_the_lines_of_that_time(tmp_path: Path) -> None:
    path = tmp_path / "s" / "f.jsonl"
    files = FunctionLogs(tmp_path, 1_000_000, 2)
    record = OutputRecord(0.0, FUNCTION, "i", "", b"text")
    files.listen([record])
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, old[1]))
    try:
        files.listen([record])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    files.listen([record])
    files.close()

    assert files.lost == 1
    assert told(tail(path, None, 10)) == ["text", "text"]


def test_a_listener_that_fails_takes_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> list[object]:
        journal, heard = Journal(), list[object]()
        journal.listeners = [lambda _: 1 / 0, heard.extend]  # type: ignore[list-item,return-value]
        journal.add(OutputRecord(0.0, FUNCTION, "i", "", b"text"))
        journal.flush()
        return heard

    assert len(asyncio.run(scenario())) == 1
    assert "ZeroDivisionError" in caplog.text
