"""What profilers tell becomes documents and pictures; they are kept within limits; who is slow."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Kind, Result, Usage
from pyfc.model.names import Target, request_id
from pyfc.observe.journal import CallRecord
from pyfc.observe.profiles.bounds import Bounds
from pyfc.observe.profiles.flames import svg
from pyfc.observe.profiles.shelf import Shelf
from pyfc.observe.profiles.speedscope import Frame, Share, Stacks, Thread, document, hottest, read, read_v8

FRAMES = [{"name": "handler", "file": "index.py", "line": 3}, {"name": "slow_part", "file": "index.py", "line": 1}]


def told(samples: list[list[int]], weights: list[float], frames: list[dict[str, Any]] = FRAMES) -> bytes:
    part = {"type": "sampled", "name": "main", "unit": "seconds", "samples": samples, "weights": weights}
    return json.dumps({"shared": {"frames": frames}, "profiles": [part]}).encode()


def test_the_hottest_functions_come_first_and_count_once_on_a_stack() -> None:
    stacks = read(told([[0, 1], [0], [0, 1, 1]], [0.2, 0.1, 0.3]))

    assert hottest(stacks, 2) == [
        Share(Frame("slow_part", "index.py", 1), 0.5, 0.5),
        Share(Frame("handler", "index.py", 3), 0.1, pytest.approx(0.6)),
    ]
    assert read(json.dumps(document(stacks, "head")).encode()) == stacks


def test_what_v8_tells_has_its_lines_from_one_on_and_no_time_in_which_nothing_ran() -> None:
    def node(number: int, name: str, *children: int, url: str = "file:///code/index.js") -> dict[str, Any]:
        frame = {"functionName": name, "url": url, "lineNumber": 4}
        return {"id": number, "callFrame": frame, "children": list(children)}

    nodes = [node(1, "(root)", 2, 3, url=""), node(2, "(idle)", url=""), node(3, "handler", 4), node(4, "slow_part")]
    profile = {"nodes": nodes, "samples": [2, 4, 4, 3, 2], "timeDeltas": [0, 500, 10000, 20000, 10000]}

    stacks = read_v8(json.dumps(profile).encode())

    names = [stacks.frames[number] for number in stacks.threads[0].samples[0]]
    assert names == [Frame("handler", "/code/index.js", 5), Frame("slow_part", "/code/index.js", 5)]
    assert stacks.threads[0].weights == [0.01, 0.02, 0.01]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"shared": {"frames": []}, "profiles": [{"name": "x", "samples": [[0]], "weights": [1]}]}',
        told([[7]], [0.1]),
        told([[-1]], [0.1]),
        told([[0]], []),
        told([[0]], [-1.0]),
        told([[0]], [1e300]),
        told([[0] * 5000], [0.1]),
        told([[0]] * 200_001, [0.1] * 200_001),
    ],
)
def test_what_is_no_profile_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"sample|too much|expected|Expected|truncated"):
        read(data)


@pytest.mark.parametrize("children", [[1], [2], [2, 9]])
def test_stacks_of_v8_that_have_no_end_or_no_frame_are_an_error(children: list[int]) -> None:
    frame = {"functionName": "f", "url": "x", "lineNumber": 0}
    nodes = [{"id": 1, "callFrame": frame, "children": children}, {"id": 2, "callFrame": frame, "children": [1]}]
    samples = {"nodes": nodes, "samples": [1, 9], "timeDeltas": [0, 10, 10]}
    with pytest.raises(ValueError, match="have no root"):
        read_v8(json.dumps(samples).encode())


def test_a_hostile_name_is_nothing_but_text_in_the_picture() -> None:
    name = "<script>alert('1')</script>\x00\x1b]\ud800\"&"
    picture = svg(Stacks([Frame(name, "</svg>", 1)], [Thread("main", [[0]], [1.0])]), "<b>head")

    tree = ElementTree.fromstring(picture)
    assert {each.tag.rpartition("}")[2] for each in tree.iter()} == {"svg", "g", "rect", "text", "title"}
    assert any("<script>alert('1')</script>" in (each.text or "") for each in tree.iter())


def test_a_box_of_the_picture_is_as_wide_as_its_function_was_seen() -> None:
    stacks = Stacks([Frame("a", "", 0), Frame("b", "", 0)], [Thread("one", [[0], [1]], [3.0, 1.0])])

    texts = [each.text or "" for each in ElementTree.fromstring(svg(stacks, "head")).iter()]

    assert "a: 3.00 s, 75.0%" in texts
    assert "b: 1.00 s, 25.0%" in texts


def test_two_threads_stand_side_by_side() -> None:
    stacks = Stacks([Frame("a", "", 0)], [Thread("one", [[0]], [1.0]), Thread("two", [[0]], [1.0])])

    texts = [each.text or "" for each in ElementTree.fromstring(svg(stacks, "head")).iter()]

    assert texts.count("a: 1.00 s, 50.0%") == 2
    assert "thread two: 1.00 s, 50.0%" in texts


def test_profiles_are_kept_over_a_restart_and_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    names = [request_id() for _ in range(4)]
    shelf = Shelf(tmp_path / "profiles", 60, 3 * 30)
    for name in names:
        shelf.keep(name, {"name": "x" * 15})  # 26 bytes

    assert [name in shelf for name in names] == [False, True, True, True]
    assert shelf.get(names[0]) is None
    (tmp_path / "profiles" / f"{names[0]}.part").write_text("half")
    again = Shelf(tmp_path / "profiles", 60, 3 * 30)
    assert json.loads(again.get(names[3]) or b"") == {"name": "x" * 15}
    assert sorted(path.name for path in (tmp_path / "profiles").iterdir()) == sorted(f"{n}.json" for n in names[1:])


def test_a_profile_that_is_too_old_is_none(tmp_path: Path) -> None:
    old, new = request_id(), request_id()
    shelf = Shelf(tmp_path / "profiles", 60, 1000)
    shelf.keep(old, {})
    past = time.time() - 61
    os.utime(tmp_path / "profiles" / f"{old}.json", (past, past))
    shelf = Shelf(tmp_path / "profiles", 60, 1000)

    assert old not in shelf
    shelf.keep(new, {})
    assert [path.stem for path in (tmp_path / "profiles").iterdir()] == [new]


@pytest.mark.parametrize("name", ["../../etc/passwd", "x", "01a2224c-9b8d-7976-a74a-e04409a9b765/../x", ""])
def test_a_profile_has_no_other_name_than_that_of_a_call(name: str, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "profiles", 60, 1000)
    with pytest.raises(ValueError, match="no request id"):
        shelf.keep(name, {})
    assert shelf.get(name) is None


def record(function: Function, seconds: float) -> CallRecord:
    call = Invocation(request_id=request_id(), target=Target("shop", "pay"), kind=Kind.EVENT, body=b"")
    return CallRecord(0.0, function, call, 200, Result(None, b"", Usage(seconds, 1.0, False, "c-1", None)), "")


def test_the_bound_is_above_99_of_100_of_the_last_thousand_calls_when_there_are_a_hundred() -> None:
    function = Function(service="shop", name="pay", runtime="python3", handler="index.handler", profile="slow")
    bounds = Bounds()
    bounds.listen([record(function, 0.1 * number) for number in range(1, 100)])
    assert bounds.of(function, 0.0) is None

    bounds.listen([record(function, 10.0)])
    assert bounds.of(function, 0.0) == 10.0
    bounds.listen([record(function, 0.001)] * 1000)
    assert bounds.of(function, 0.5) == 10.0  # of this second
    assert bounds.of(function, 2.0) == 0.05  # nothing shorter can be looked at

    bounds.forget(function)
    assert bounds.of(function, 3.0) is None
