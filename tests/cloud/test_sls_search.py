"""GetLogs and GetHistograms over HTTP, with the process that searches."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import lz4.block
import psutil
import pytest

from cloud.sls_client import LOGSTORE, Answer, Client
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.groups import Labels, Log
from pyfc.cloud.sls.searchers import Searcher, _Process
from support import Server, wait_until

NOW = int(time.time())
LOGS = [
    Log(NOW - 100 + number, 0, [("message", f"line {number} {'错误' if number % 10 == 0 else 'fine'}"),
                                ("status", "500" if number % 10 == 0 else "200")])
    for number in range(50)
]  # fmt: skip


@pytest.fixture(scope="module")
def server(shared: Server) -> Server:
    ask = Client(shared)
    ask("POST", "/", body={"projectName": ask.project})
    ask("POST", "/logstores", body={"logstoreName": LOGSTORE})
    ask.put(*LOGS[25:], labels=Labels("second", "10.0.0.2", [("host", "b")]))
    ask.put(*LOGS[:25], labels=Labels("first", "10.0.0.1", [("host", "a")]))
    return shared


@pytest.fixture
def ask(server: Server) -> Client:
    return Client(server)


def _post(ask: Client, query: str, logstore: str = LOGSTORE, **more: object) -> Answer:
    body = {"from": NOW - 1000, "to": NOW + 1000, "query": query, "line": 100, "offset": 0, **more}
    return ask("POST", f"/logstores/{logstore}/logs", body=body)


def _get(ask: Client, query: str, logstore: str = LOGSTORE, **more: object) -> Answer:
    asked = {"type": "log", "from": NOW - 1000, "to": NOW + 1000, "query": query, **more}
    return ask("GET", f"/logstores/{logstore}", asked)


def test_both_dialects_find_the_same_logs_in_the_order_of_their_times(ask: Client) -> None:
    newer, older = _post(ask, "错误"), _get(ask, "错误")
    data = newer.json["data"]

    assert [log["message"] for log in data] == [f"line {number} 错误" for number in range(0, 50, 10)]
    assert data[0] == {
        "__time__": str(NOW - 100), "__topic__": "first", "__source__": "10.0.0.1", "__tag__:host": "a",
        "message": "line 0 错误", "status": "500",
    }  # fmt: skip
    assert {name: newer.json["meta"][name] for name in ("progress", "count", "hasSQL")} == {
        "progress": "Complete", "count": 5, "hasSQL": False,
    }  # fmt: skip
    assert older.json == data
    assert (older.headers["x-log-progress"], older.headers["x-log-count"]) == ("Complete", "5")


def test_pages_are_taken_from_either_end(ask: Client) -> None:
    first = _post(ask, "status:500", line=2).json["data"]
    newest = _post(ask, "status:500", line=2, offset=1, reverse=True).json["data"]

    assert [log["message"] for log in first] == ["line 0 错误", "line 10 错误"]
    assert [log["message"] for log in newest] == ["line 30 错误", "line 20 错误"]
    assert _get(ask, "status:500", line=2, offset=1, reverse="true").json == newest


def test_a_time_ends_before_its_end(ask: Client) -> None:
    found = _post(ask, "*", **{"from": NOW - 100, "to": NOW - 97}).json["data"]

    assert [log["message"] for log in found] == ["line 0 错误", "line 1 fine", "line 2 fine"]


def test_a_topic_is_asked_for_as_a_parameter_too(ask: Client) -> None:
    assert _post(ask, "*", topic="second").json["meta"]["count"] == 25
    assert _get(ask, "*", topic="nobody").json == []


def test_an_answer_is_packed_for_who_asks_for_lz4(ask: Client) -> None:
    body = {"from": NOW - 1000, "to": NOW + 1000, "query": "*"}
    answer = ask("POST", f"/logstores/{LOGSTORE}/logs", body=body, accept_encoding="lz4")
    size = int(answer.headers["x-log-bodyrawsize"])

    assert answer.headers["x-log-compresstype"] == "lz4"
    assert b'"progress": "Complete"' in lz4.block.decompress(answer.body, uncompressed_size=size)


def test_sql_is_asked_of_what_is_found(ask: Client) -> None:
    answer = _post(ask, "错误 or fine | select status, count(1) as pv group by status order by pv")

    assert answer.json["data"] == [{"status": "500", "pv": "5"}, {"status": "200", "pv": "45"}]
    assert (answer.json["meta"]["hasSQL"], answer.json["meta"]["keys"]) == (True, ["status", "pv"])


def test_a_histogram_counts_all(ask: Client) -> None:
    asked = {"type": "histogram", "from": NOW - 120, "to": NOW, "query": "status:500"}
    answer = ask("GET", f"/logstores/{LOGSTORE}", asked)
    spans = answer.json

    assert (spans[0]["from"], spans[-1]["to"]) == (NOW - 120, NOW)
    assert all(before["to"] == after["from"] for before, after in pairwise(spans))
    assert [span["from"] - NOW + 100 for span in spans if span["count"]] == [0, 10, 20, 30, 40]
    assert answer.headers["x-log-count"] == "5"
    everything = ask("GET", f"/logstores/{LOGSTORE}", {**asked, "query": "*"}).json
    assert sum(span["count"] for span in everything) == 50
    assert ask("GET", f"/logstores/{LOGSTORE}/index", asked).json == spans  # where the client for Java asks for it


def test_what_was_put_is_found_at_once(ask: Client) -> None:
    for number in range(5):
        word = f"unique{number}{time.monotonic_ns()}"
        ask.put(Log(NOW, 0, [("message", word)]))
        assert _post(ask, word).json["meta"]["count"] == 1


def test_an_index_says_what_is_found(ask: Client) -> None:
    ask("POST", "/logstores", body={"logstoreName": "indexed"})
    ask.put(Log(NOW, 0, [("message", "Secret thing"), ("status", "200")]), logstore="indexed")
    before = _post(ask, "secret", "indexed").json["meta"]["count"]
    ask("POST", "/logstores/indexed/index", body={"keys": {"status": {"type": "long"}}})

    assert before == 1
    assert _post(ask, "secret", "indexed").json["meta"]["count"] == 0
    assert _post(ask, "status>100", "indexed").json["meta"]["count"] == 1
    assert _post(ask, "message:secret", "indexed").code == "ParameterInvalid"


def test_logs_of_a_logstore_that_is_gone_are_found_nowhere(ask: Client) -> None:
    for _ in range(2):
        ask("POST", "/logstores", body={"logstoreName": "passing"})
        ask.put(Log(NOW, 0, [("message", "here")]), logstore="passing")
        assert _post(ask, "here", "passing").json["meta"]["count"] == 1
        ask("DELETE", "/logstores/passing")
    assert _post(ask, "here", "passing").code == "LogStoreNotExist"


@pytest.mark.parametrize(
    ("query", "more", "code"),
    [
        ("a and", {}, "ParameterInvalid"),
        ("* | select foo(1)", {}, "ParameterInvalid"),
        ("*", {"from": 5, "to": 5}, "ParameterInvalid"),
        ("*", {"from": "x"}, "ParameterInvalid"),
        ("*", {"line": "x"}, "ParameterInvalid"),
        ("*", {"topic": {"a": 1}}, "ParameterInvalid"),
    ],
)
def test_what_cannot_be_searched_is_told(ask: Client, query: str, more: dict[str, object], code: str) -> None:
    answer = _post(ask, query, **more)

    assert (answer.status, answer.code) == (400, code)


def _process(server: Server, kind: str = "searcher") -> psutil.Process:
    children = psutil.Process(server.process.pid).children()
    return next(each for each in children if f"pyfc.cloud.sls.{kind}" in each.cmdline())


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _kill(process: psutil.Process) -> None:
    process.kill()
    wait_until(lambda: _is_gone(process), "its end")


@pytest.mark.parametrize("kind", ["searcher", "indexer"])
def test_a_process_that_dies_is_replaced(server: Server, ask: Client, kind: str) -> None:
    _post(ask, "*")
    died = wait_until(lambda: _process_or_none(server, kind), "the process")
    _kill(died)
    wait_until(lambda: _post(ask, "status:500").status == 200, "a search after the death")

    assert _post(ask, "status:500").json["meta"]["count"] == 5
    wait_until(lambda: _post(ask, "*") and _process_or_none(server, kind) not in (None, died), "another process")


def test_what_indexes_has_the_lowest_priority(server: Server, ask: Client) -> None:
    _post(ask, "*")
    process = wait_until(lambda: _process_or_none(server, "indexer"), "the process")

    wait_until(lambda: process.nice() == 19, "its priority")
    wait_until(lambda: os.sched_getscheduler(process.pid) == os.SCHED_IDLE, "its policy")


def test_an_index_that_is_damaged_inside_is_made_again(server: Server, ask: Client) -> None:
    assert _post(ask, "status:500").json["meta"]["count"] == 5
    path = server.data_dir / "sls-index.sqlite"
    wait_until(lambda: _has_all(path), "the index")
    for kind in ("searcher", "indexer"):
        _kill(_process(server, kind))
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[:4096] + b"nonsense" * 8192)
    answer = wait_until(lambda: (found := _post(ask, "status:500")).status == 200 and found, "a search")

    assert answer.json["meta"]["count"] == 5
    wait_until(lambda: _post(ask, "*") and _has_all(path), "an index")
    assert _post(ask, "status:500").json["meta"]["count"] == 5


def _process_or_none(server: Server, kind: str) -> psutil.Process | None:
    try:
        return _process(server, kind)
    except (StopIteration, psutil.Error):
        return None


def _has_all(path: Path) -> bool:
    """Whether an index has logs."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM lines").fetchone()[0]) >= len(LOGS)
    except sqlite3.Error:
        return False


def test_no_process_is_left_behind(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Server(tmp_path, tmp_path_factory.mktemp("data") / "data")
    ask = Client(server)
    ask("POST", "/", body={"projectName": ask.project})
    ask("POST", "/logstores", body={"logstoreName": LOGSTORE})
    _post(ask, "*")
    found = [_process(server), wait_until(lambda: _process_or_none(server, "indexer"), "the process")]
    server.stop(signal.SIGKILL)
    for each in found:
        wait_until(lambda: _is_gone(each), "its end")  # noqa: B023


def test_a_long_search_keeps_no_other_logstore_waiting() -> None:
    async def ask_all() -> tuple[list[str], int]:
        searcher = Searcher(Path("none"), Path("none"))
        free, ended = asyncio.Event(), list[str]()

        async def search(name: str, logstore: int, event: asyncio.Event) -> None:
            async with searcher._one_for(logstore):
                await event.wait()
                ended.append(name)

        at_once = asyncio.Event()
        at_once.set()
        long = [asyncio.create_task(search("long", 1, free)) for _ in range(10)]
        await asyncio.sleep(0)
        short = asyncio.create_task(search("short", 2, at_once))
        await short
        long[-1].cancel()  # one that waits
        long[0].cancel()  # one that runs
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(*long, return_exceptions=True)
        return ended, len(searcher._idle)

    ended, idle = asyncio.run(ask_all())

    assert ended == ["short"] + ["long"] * 8
    assert idle == 3


def test_too_many_searches_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfc.cloud.sls.searchers._MOST_WAITING", 1)
    monkeypatch.setattr("pyfc.cloud.sls.searchers._LONGEST", 0.05)

    async def search(searcher: Searcher) -> None:
        async with searcher._one_for(1):
            await asyncio.Event().wait()

    async def ask_all() -> list[asyncio.Task[None]]:
        searcher = Searcher(Path("none"), Path("none"))
        tasks = [asyncio.create_task(search(searcher)) for _ in range(4)]
        await asyncio.wait(tasks[2:])  # one that waits for too long, one that may not even wait
        for task in tasks[:2]:
            task.cancel()
        await asyncio.wait(tasks)
        return tasks

    for task in asyncio.run(ask_all())[2:]:
        error = task.exception()
        assert isinstance(error, Fault)
        assert (error.code, error.status) == ("ReadQuotaExceed", 403)


def test_an_answer_that_is_too_large_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfc.cloud.sls.searchers._LARGEST", 1024 * 1024)
    program = "import sys; sys.stdin.readline(); print('1' * 8 * 1024 * 1024, flush=True); sys.stdin.readline()"

    async def ask_one() -> None:
        await _Process((sys.executable, "-c", program)).ask({})

    with pytest.raises(Fault, match="more than 1 MB: ask for fewer lines") as caught:
        asyncio.run(ask_one())
    assert caught.value.status == 400


def test_a_search_compares_its_time_with_the_same_time_of_the_day_before(ask: Client) -> None:
    assert ask("POST", "/logstores", body={"logstoreName": "daily"}).status == 200
    rows = [(NOW - 10, "good"), (NOW - 5, "good"), (NOW - 86405, "good"), (NOW - 86404, "bad"), (NOW - 90000, "good")]
    assert ask.put(*(Log(at, 0, [("message", text)]) for at, text in rows), logstore="daily").status == 200
    query = "good | select diff[1] as now, diff[2] as before from (select compare(count(1), 86400) as diff)"

    found = _post(ask, query, "daily").json["data"]

    assert found == [{"now": "2.0", "before": "1.0"}]


def test_the_log_tells_once_of_a_logstore_without_an_index(tmp_path: Path) -> None:
    (tmp_path / "index.py").write_text("def handler(event, context): ...")
    server = Server(tmp_path, tmp_path / "data")
    ask = Client(server)
    ask("POST", "/", body={"projectName": ask.project})
    for name in ("bare", "indexed"):
        assert ask("POST", "/logstores", body={"logstoreName": name}).status == 200
    index = {"line": {"token": [" "], "caseSensitive": False}, "keys": {}}
    assert ask("POST", "/logstores/indexed/index", body=index).status == 200
    for name in ("bare", "bare", "indexed"):
        assert ask("GET", f"/logstores/{name}", {"type": "log", "from": "0", "to": "9"}).status == 200

    _, errors = server.stop()

    (line,) = [each for each in errors.splitlines() if "no index" in each]
    assert f"logstore bare of project {ask.project} has no index: all of it is searched here" in line
