"""What `pyfc top` shows, whatever functions are called, and how text is laid out in columns."""

from __future__ import annotations

import pytest

from pyfc.dev.activity import Activity, Live, activities
from pyfc.dev.cells import cut, left, right, width_of, wrapped
from pyfc.dev.limits import sentences
from pyfc.dev.terminal import keys_of
from pyfc.dev.top import Top

NOW = 1_000_000.0


def activity(name: str, **numbers: float) -> Activity:
    live = Live("c-1", "LATEST", "ready", NOW - 90, 1, 100.0, 3.0)
    counts = {"calls": 60, "failed": 0, "throttled": 0, "cold": 0, "waiting": 0, "backlog": 0, "limit": 128, **numbers}
    return Activity(name, 1.0, p50=10.0, p99=20.0, instances=[live], **counts)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["\x1b]0;x\x07\u202e\nforged", "订单服务/支付函数处理器与很长的名字", "x" * 300, ""])
def test_no_name_breaks_a_page(name: str) -> None:
    top = Top("http://\x1b[2J")
    rows = [activity(name), activity("s/f")]
    top.take(rows, NOW)
    for width, height in ((80, 24), (200, 10), (20, 5), (1, 1)):
        for key in ("escape", "home", "i", "escape", "?", "escape", "e"):
            top.press(key)
            top.explain(name, sentences(rows[0], [], [], 5))
            page = top.page(width, height, NOW)
            assert len(page) == height
            for line in page:
                assert width_of(line.text) <= width
                assert line.text.isprintable()


def test_text_is_measured_by_the_columns_that_it_takes() -> None:
    assert (width_of("支付"), width_of("e\u0301"), width_of("pay")) == (4, 1, 3)
    assert [cut("支付函数", width) for width in (8, 7, 2, 0)] == ["支付函数", "支付函…", "…", ""]
    assert (left("支付", 6), right("支付", 6)) == ("支付  ", "  支付")
    assert list(wrapped("one two three", 8)) == ["one two", "  three"]
    assert list(wrapped("  pyfc why " + "x" * 12, 10)) == ["  pyfc why", "  xxxxxxxx", "  xxxx"]


def test_processors_are_measured_between_two_looks() -> None:
    def told(time: float, **used: float) -> dict[str, object]:
        lives = [
            {"id": name, "version": "LATEST", "state": "ready", "created": 1.0, "requests": 0, "memoryMb": 1.0,
             "cpuSeconds": seconds} for name, seconds in used.items()
        ]  # fmt: skip
        names = ("memorySize", "calls", "failed", "throttled", "coldStarts", "waiting", "backlog")
        row = {**dict.fromkeys(names, 0), "p50Ms": None, "p99Ms": None, "instances": lives}
        return {"time": time, "seconds": 60.0, "functions": {"s/f": row}}

    before = told(10.0, a=5.0, gone=100.0)
    [first], [second] = activities(before, None), activities(told(12.0, a=6.0, b=1.0), before)
    assert first.cpu is None
    assert [each.cpu for each in second.instances] == [50.0, 50.0]
    assert second.cpu == 100.0


def test_what_limits_a_function_names_the_next_command() -> None:
    busy = activity("s/f", throttled=7, failed=9, cold=30, waiting=2, backlog=5, limit=110)
    failed = [{"errorType": "FunctionTimeoutError", "status": 200, "fault": "too\x1b slow", "requestId": "1-2"}] * 2
    told = "\n".join(sentences(busy, failed, [{"durationMs": 900.0, "waitedMs": 5.0, "requestId": "1-3"}], 5))
    for said in ("7 of 60 calls were refused", "pyfc provision s/f", "2 had FunctionTimeoutError", "pyfc why 1-2",
                 "2 calls wait", "5 asynchronous calls", "30 of 60 calls were cold", "pyfc explain s/f",
                 "100MB of 110 MB", "pyfc tune s/f -e EVENT", "pyfc why 1-3"):  # fmt: skip
        assert said in told
    assert "Nothing limits it" not in told
    assert "Nothing limits it" in "\n".join(sentences(activity("s/f", limit=512), [], [], 5))


def test_keys_are_told_apart_also_in_pieces() -> None:
    assert keys_of(b"j\x1b[A\x1bOB\x1b[5~\r\x7f\x1b[1;5C") == (
        ["j", "up", "down", "page up", "enter", "backspace", "other"], b"",
    )  # fmt: skip
    assert keys_of(b"\x1b") == (["escape"], b"")
    assert keys_of("支".encode()[:2]) == ([], "支".encode()[:2])
    assert keys_of(b"\xff\xfe\x80q")[0]
