"""Functions' log files are asked in the language of searches, back through those that were rotated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.records import Wanted, found
from pyfc.observe import logs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with records 6 to 9, and older ones with the others."""
    place = tmp_path / "pay.jsonl"
    for name, numbers in (("pay.jsonl.2", range(3)), ("pay.jsonl.1", range(3, 6)), ("pay.jsonl", range(6, 10))):
        lines = [
            json.dumps(
                {"time": f"2026-11-28T00:00:0{number}.000Z", "requestId": str(number), "log": f"line {number}\n"}
            )
            for number in numbers
        ]
        (tmp_path / name).write_text("\n".join([*lines[:1], "no record", *lines[1:]]) + "\n")
    return place


def _ids(answer: dict[str, Any]) -> list[str]:
    return [record["requestId"] for record in answer["records"]]


def test_the_newest_are_found_in_their_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in (1, 7, 100, 10_000):
        monkeypatch.setattr(logs, "_BLOCK", block)
        assert _ids(found(path, Wanted("line", lines=6))) == ["4", "5", "6", "7", "8", "9"]
        assert _ids(found(path, Wanted("line", lines=100))) == [str(number) for number in range(10)]


def test_what_is_older_is_not_found(path: Path) -> None:
    second = 1795824000  # 2026-11-28 00:00:00 UTC

    assert _ids(found(path, Wanted("line", since=second + 4.5))) == ["5", "6", "7", "8", "9"]


def test_the_offset_is_the_end_of_what_was_looked_through(path: Path) -> None:
    answer = found(path, Wanted("line"))
    with path.open("a") as file:
        file.write(json.dumps({"time": "2026-11-28T00:00:20.000Z", "requestId": "new", "log": "line"}) + "\n")

    assert _ids(found(path, Wanted("line", offset=answer["offset"]))) == ["new"]
    assert _ids(found(path, Wanted("other", offset=answer["offset"]))) == []


def test_what_takes_too_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfc.cloud.sls.records._LONGEST", -1.0)

    assert found(path, Wanted("line"))["is_complete"] is False


def test_a_function_that_has_logged_nothing_has_no_records(tmp_path: Path) -> None:
    assert found(tmp_path / "none.jsonl", Wanted("x")) == {"records": [], "offset": 0, "is_complete": True}


def test_a_query_that_is_not_understood_is_a_fault(path: Path) -> None:
    with pytest.raises(Fault, match="query"):
        found(path, Wanted("a and"))
