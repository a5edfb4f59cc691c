"""Output without end: a rate, a burst, and a line that says what is missing."""

from __future__ import annotations

import asyncio

import pytest

from pyfc.observe import flood
from pyfc.observe.flood import BURST, Flood


def test_a_burst_passes_and_more_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "_TOLD_AFTER", 0.01)
    passed: list[tuple[str, bytes]] = []

    async def scenario() -> None:
        told = asyncio.Event()

        def sink(request_id: str, data: bytes) -> None:
            passed.append((request_id, data))
            if b"left out" in data:
                told.set()

        limited = Flood(sink, 100)
        for _ in range(BURST):
            limited("r", b"x" * 100)
        limited("r", b"y" * 150)
        limited("r", b"y" * 150)
        async with asyncio.timeout(5):
            await told.wait()

    asyncio.run(scenario())

    assert passed[:BURST] == [("r", b"x" * 100)] * BURST
    assert passed[BURST:] == [("", b"\n[pyfc left out 300 bytes of output here: more than 100 a second]\n")]


def test_what_comes_after_a_pause_passes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(flood.time, "monotonic", lambda: now)
    passed: list[bytes] = []

    async def scenario() -> None:
        nonlocal now
        limited = Flood(lambda _, data: passed.append(data), 100)
        limited("r", b"x" * 800)
        limited("r", b"y" * 100)
        now += 2.0
        limited("r", b"z" * 150)
        limited("", b"")

    asyncio.run(scenario())

    assert passed[0] == b"x" * 800
    assert passed[1].endswith(b"z" * 150)
    assert b"left out 100 bytes" in passed[1]
    assert len(passed) == 2
