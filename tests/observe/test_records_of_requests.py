"""Records of requests: which calls have one, what it says, and that the process which keeps them loses none."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pyfc.errors import Unavailable
from pyfc.model.function import Function
from pyfc.model.invocation import Cause, Fault, FaultKind, Invocation, Kind, Phases, Result, Start, Trace, Usage
from pyfc.model.names import LATEST, Target
from pyfc.observe.journal import CallRecord, OutputRecord, Record
from pyfc.observe.logs import FunctionLogs
from pyfc.observe.requests.choosing import SLOW, Choosing
from pyfc.observe.requests.requests import Requests
from pyfc.observe.requests.table import Limits, Records, Wanted
from support import run_with

FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler")
LIMITS = Limits(1e10, 1 << 29)
NOON = 1_700_006_400.0


def called(
    duration: float | None = 0.002,
    *,
    moment: float = NOON,
    name: str = "id",
    function: Function = FUNCTION,
    status: int = 200,
    error: str = "",
    fault: Fault | None = None,
    start: Start | None = None,
    cause: Cause | None = None,
    trace: Trace | None = None,
) -> CallRecord:
    """A call that ran so many seconds, or did not (None)."""
    target = Target(function.service, function.name, LATEST)
    call = Invocation(name, target, Kind.EVENT, b"ev", trace=trace, cause=cause)
    cold = start is not None and start.phases is not None
    usage = Usage(duration or 0.0, 20.0, cold, "i", start)
    return CallRecord(moment, function, call, status, None if duration is None else Result(fault, b"", usage), error)


@pytest.fixture
def logs(tmp_path: Path) -> FunctionLogs:
    return FunctionLogs(tmp_path / "logs", 1 << 20, 2)


def why(choosing: Choosing, *records: Record) -> list[str]:
    return [each.record["kept"] for each in choosing.rows(list(records))]


COLD = Start(0.5, "no instance", Phases(0.1, 0.2, 0.3))
CASES = {
    "failed": called(fault=Fault(FaultKind.TIMEOUT, "late")),
    "cold": called(start=COLD),
    "slow": called(SLOW * 2),
    "asynchronous": called(cause=Cause("e", "", 0.1)),
    "traced": called(trace=("abc:1:0:1", {})),
}


@pytest.mark.parametrize("reason", CASES)
def test_what_is_not_plain_is_always_kept(logs: FunctionLogs, reason: str) -> None:
    assert why(Choosing(0, logs), CASES[reason], called(), OutputRecord(NOON, FUNCTION, "i", "", b"x")) == [reason]


def test_refused_calls_and_answers_that_say_failure_are_kept(logs: FunctionLogs) -> None:
    assert why(Choosing(0, logs), called(None, status=429, error="x"), called(status=404)) == ["failed", "failed"]


def test_plain_calls_are_kept_up_to_the_rate_of_each_function_and_the_others_are_counted(logs: FunctionLogs) -> None:
    choosing = Choosing(3, logs)
    other = Function(service="s", name="g", runtime="python3", handler="index.handler")

    kept = why(choosing, *[called() for _ in range(10)], *[called(function=other) for _ in range(2)])
    later = why(choosing, *[called(moment=NOON + 1) for _ in range(4)])

    assert (kept, later) == (["plain"] * 5, ["plain"] * 3)
    assert choosing.left_out(NOON + 1) == [("s", "f", NOON, 8)]
    assert choosing.left_out(NOON + 1) == []


def test_what_is_slow_is_found_by_the_functions_own_percentile(logs: FunctionLogs) -> None:
    choosing = Choosing(0, logs)

    assert why(choosing, called(SLOW / 2)) == []  # fewer than 100 are known
    assert why(choosing, *[called(0.002) for _ in range(199)]) == []
    assert why(choosing, called(0.003, moment=NOON + 2)) == ["slow"]
    assert why(choosing, called(0.002, moment=NOON + 2)) == []


@pytest.fixture
def with_requests(tmp_path: Path, logs: FunctionLogs) -> Callable[[Callable[[Requests], Awaitable[None]]], None]:
    def enter() -> Requests:
        return Requests(tmp_path, logs, 100, LIMITS)

    return lambda use: run_with(enter, use)


async def found(requests: Requests, **wanted: Any) -> list[dict[str, Any]]:
    return (await requests.find(Wanted(**wanted))).records


def test_a_record_joins_what_is_known_of_a_request(
    tmp_path: Path, logs: FunctionLogs, with_requests: Callable[..., None]
) -> None:
    call = called(
        0.25, fault=Fault(FaultKind.UNHANDLED, "no money"), start=COLD, cause=Cause("e", "nightly", 1.5),
        trace=("4bf92f3577b34da6a3ce929d0e0e4736:1:0:1", {}),
    )  # fmt: skip

    async def use(requests: Requests) -> None:
        for batch in ([called(name="before")], [call]):
            logs.listen(list(batch))
            requests.listen(list(batch))
        [record] = await found(requests, id="id")
        log = record.pop("log")
        assert b'"requestId": "id"' in Path(log["file"]).read_bytes()[log["offset"] :].splitlines()[0]
        assert record == {
            "requestId": "id", "time": NOON, "service": "s", "function": "f", "qualifier": "LATEST",
            "version": "LATEST", "checksum": "", "kind": "event", "status": 200, "error": "",
            "errorType": "FunctionUnhandledError", "faultKind": "UNHANDLED", "fault": "no money", "attempt": 0,
            "memorySize": 128, "payloadBytes": 2, "resultBytes": 0, "kept": "failed", "event": "e",
            "trigger": "nightly", "queuedMs": 1500.0, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
            "callerSpan": "0" * 16, "sampled": True, "hasInitializer": False,
            "instanceId": "i", "cold": True, "durationMs": 250.0, "memoryMb": 20.0, "waitedMs": 500.0,
            "why": "no instance", "phasesMs": {"PrepareCode": 100.0, "RuntimeInitialize": 200.0, "Initializer": 300.0},
        }  # fmt: skip

    with_requests(use)
    logs.close()


def test_the_log_of_a_record_is_found_after_it_was_rotated(tmp_path: Path) -> None:
    logs = FunctionLogs(tmp_path / "logs", 10, 1)

    def enter() -> Requests:
        return Requests(tmp_path, logs, 100, LIMITS)

    async def use(requests: Requests) -> None:
        for name in ("one", "two"):
            batch: list[Record] = [called(name=name)]
            logs.listen(batch)
            requests.listen(batch)
        [gone], [there] = [await found(requests, id=name) for name in ("one", "two")]
        assert gone["log"] is None
        assert there["log"] == {"file": str(tmp_path / "logs" / "s" / "f.jsonl.1"), "offset": 0}

    run_with(enter, use)


def test_records_are_searched_by_what_they_say(with_requests: Callable[..., None]) -> None:
    other = Function(service="t", name="g", runtime="python3", handler="index.handler")
    fault = Fault(FaultKind.OUT_OF_MEMORY, "")

    async def use(requests: Requests) -> None:
        requests.listen([called(0.1, name="a"), called(0.3, name="b", moment=NOON + 1)])
        requests.listen([called(0.2, name="c", moment=NOON + 2, fault=fault)])
        requests.listen(
            [called(None, name="d", moment=NOON + 3, function=other, status=429, error="ResourceExhausted")]
        )

        async def ids(**wanted: Any) -> str:
            return "".join(each["requestId"] for each in await found(requests, **wanted))

        assert await ids() == "dcba"
        assert await ids(slowest=True) == "bcad"
        assert await ids(slowest=True, since=NOON + 1, limit=1) == "b"
        assert await ids(service="s") == "cba"
        assert await ids(service="t", function="g") == "d"
        assert await ids(since=NOON + 1, until=NOON + 3) == "cb"
        assert await ids(error="*") == "dc"
        assert await ids(error="FunctionOOMError") == "c"
        assert await ids(status=429) == "d"
        assert await ids(limit=2) == "dc"

    with_requests(use)


def test_records_are_there_after_a_restart_with_how_many_calls_have_none(tmp_path: Path, logs: FunctionLogs) -> None:
    def enter() -> Requests:
        return Requests(tmp_path, logs, 1, LIMITS)

    async def write(requests: Requests) -> None:
        requests.listen([called(moment=time.time(), name=str(number)) for number in range(5)])

    async def read(requests: Requests) -> None:
        answer = await requests.find(Wanted(service="s", since=time.time() - 60))
        assert ([each["requestId"] for each in answer.records], answer.left_out) == (["0"], 4)
        assert (await requests.find(Wanted(service="t"))).left_out == 0

    run_with(enter, write)
    run_with(enter, read)


def test_another_process_takes_over_when_the_one_that_keeps_records_was_killed(
    with_requests: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyfc.observe.requests.requests._PAUSE", 0.0)

    async def use(requests: Requests) -> None:
        requests.listen([called(name="before")])
        assert await found(requests, id="before")
        process = requests._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()

        requests.listen([called(name="after")])

        assert [each["requestId"] for each in await found(requests)] == ["after", "before"]

    with_requests(use)


def test_a_file_that_is_damaged_is_put_aside_and_another_begun(
    tmp_path: Path, with_requests: Callable[..., None]
) -> None:
    (tmp_path / "requests.sqlite").write_bytes(b"no database at all" * 1000)

    async def use(requests: Requests) -> None:
        with pytest.raises(Unavailable, match="not a database"):
            await requests.find(Wanted())
        requests.listen([called()])
        assert len(await found(requests)) == 1

    with_requests(use)
    assert (tmp_path / "requests.sqlite.damaged").read_bytes().startswith(b"no database")


def rows(count: int, moment: float) -> list[tuple[Any, ...]]:
    return [(moment + n, "s", "f", f"{moment}-{n}", 200, "", 1.0, {"n": n, "text": "x" * 500}) for n in range(count)]


def test_what_is_older_than_its_time_goes(tmp_path: Path) -> None:
    records, now = Records(tmp_path / "r.sqlite", Limits(3600.0, 1 << 30)), time.time()
    records.keep([*rows(3, now - 7200), *rows(2, now)], [("s", "f", int(now) - 7200, 5), ("s", "f", int(now), 7)])

    kept, left_out = records.find(Wanted())

    assert ([each["n"] for each in kept], left_out) == ([1, 0], 7)
    records.close()


def test_what_is_more_than_the_limit_goes_the_oldest_first(tmp_path: Path) -> None:
    limit, now = 2 * 1024 * 1024, time.time()
    records = Records(tmp_path / "r.sqlite", Limits(86400.0, limit))
    for part in range(4):
        records.keep(rows(10_000, now + part * 10_000), [])

    with sqlite3.connect(tmp_path / "r.sqlite") as connection:
        first, last, count = connection.execute("SELECT min(number), max(number), count(*) FROM requests").fetchone()
    pages = (tmp_path / "r.sqlite").stat().st_size

    assert last == 40_000
    assert count == last - first + 1
    assert 1000 < count < limit / 500
    assert pages < 12 * 1024 * 1024
    records.close()


def test_who_leaves_while_records_are_read_disturbs_nobody_else(
    with_requests: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyfc.observe.requests.requests._PAUSE", 0.0)

    async def use(requests: Requests) -> None:
        requests.listen([called(name="a")])
        assert await found(requests, id="a")
        asked = asyncio.create_task(found(requests, id="a"))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait({asked})
        assert await found(requests, id="none") == []

    with_requests(use)
