"""What a server tells of the calls that it has had, beside the client's own record of them."""

from __future__ import annotations

import json
import math
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pyfc.client import Client
from shop import made_in
from support import Server, pyfc, wait_until

WEB_TEMPLATE = """\
    web:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.web, Runtime: python3, CodeUri: ./}
      Events:
        http: {Type: HTTP, Properties: {AuthType: ANONYMOUS, Methods: [GET]}}
"""
WEB = """
def web(environ, start_response):
    start_response(environ["PATH_INFO"].strip("/") + " Said", [])
    return [b""]
"""


class Call(NamedTuple):
    """What the client knows of a call."""

    is_failed: bool
    milliseconds: float
    """Its duration, as the end of its log tells it."""
    billed: int


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made_in(tmp_path, WEB, WEB_TEMPLATE)


@pytest.fixture
def server(project: Path, tmp_path: Path) -> Iterator[Server]:
    server = Server(project, tmp_path / "data")
    yield server
    server.stop()


def called(client: Client, count: int, chance: random.Random, threads: int) -> list[Call]:
    """Call shop/pay so often; some calls fail, some take time."""
    events = [f"{chance.choice(['fail', 'work', 'work'])} {chance.choice([0, 0, 0.002, 0.02])}" for _ in range(count)]

    def call(event: str) -> Call:
        answer = client.invoke("shop", "pay", event.encode(), tail=True)
        found = re.search(r"Duration: ([0-9.]+) ms, Billed Duration: ([0-9]+) ms", answer.log)
        assert found, answer
        assert bool(answer.error_type) == event.startswith("fail")
        return Call(bool(answer.error_type), float(found[1]), int(found[2]))

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, events))


def stats(server: Server, *words: str) -> dict[str, Any]:
    status, output, errors = pyfc("stats", *words, "--json", "--endpoint", server.endpoint)
    assert status == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


def check(told: dict[str, Any], calls: list[Call]) -> None:
    """Counts are exact, percentiles within 5 per cent."""
    durations = sorted(call.milliseconds for call in calls)
    assert told["FunctionTotalInvocations"] == told["FunctionHTTPStatus2xx"] == len(calls)
    assert told["FunctionFunctionErrors"] == sum(call.is_failed for call in calls)
    for name in ("ClientErrors", "ServerErrors", "Throttles", "ResourceThrottles", "HTTPStatus4xx", "HTTPStatus5xx"):
        assert told[f"Function{name}"] == 0
    for name, share in (("P90", 0.9), ("P99", 0.99)):
        truth = durations[math.ceil(share * len(durations)) - 1]
        assert told[f"Function{name}Duration"] == pytest.approx(truth, rel=0.05), name
    assert told["FunctionAvgDuration"] == pytest.approx(sum(durations) / len(durations), abs=0.006)
    assert told["FunctionMaxDuration"] == pytest.approx(durations[-1], abs=0.006)
    assert told["FunctionMemoryLimitMB"] == 256


def billed(data: Path) -> Counter[str]:
    """What the file says of all calls by each step, in ms."""
    from pyfc.observe.metrics.point import Point

    sums: Counter[str] = Counter()
    with closing(sqlite3.connect(data / "metrics.sqlite")) as connection:
        for step, point in connection.execute("SELECT step, point FROM points"):
            sums[f"{step}"] += Point.unpack(point)["billed_ms"]
    return sums


def test_what_is_told_equals_what_the_client_has_seen_over_a_restart_too(project: Path, tmp_path: Path) -> None:
    chance, calls = random.Random(7), []
    for _ in range(2):
        server = Server(project, tmp_path / "data")
        calls += called(Client(server.endpoint), 300, chance, 4)
        check(stats(server, "shop/pay"), calls)
        assert server.stop()[0] == 0

    whole = sum(call.billed for call in calls)
    assert billed(tmp_path / "data") == {"10": whole, "60": whole, "3600": whole}


@pytest.mark.long
def test_of_100_000_calls_what_is_told_equals_what_the_client_has_seen(project: Path, tmp_path: Path) -> None:
    server = Server(project, tmp_path / "data", "--quiet")
    calls = called(Client(server.endpoint), 100_000, random.Random(8), 8)

    check(stats(server, "shop/pay"), calls)
    assert server.stop()[0] == 0
    whole = sum(call.billed for call in calls)
    assert billed(tmp_path / "data") == {"10": whole, "60": whole, "3600": whole}


def test_after_a_kill_what_was_written_is_there_once_and_no_more_than_10_s_are_missing(
    project: Path, tmp_path: Path
) -> None:
    server = Server(project, tmp_path / "data")
    client = Client(server.endpoint)
    before = called(client, 20, random.Random(9), 2)
    assert stats(server, "shop/pay")["FunctionTotalInvocations"] == 20  # which writes them
    ended = threading.Event()

    def calls_on() -> list[Call]:
        found = []
        while not ended.is_set():
            found += called(client, 1, random.Random(9), 1)
        return found

    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(calls_on)
        wait_until(lambda: stats(server, "shop/pay")["FunctionTotalInvocations"] >= 40, "calls that are written")
        ended.set()
        all_calls = before + later.result()
    server.process.send_signal(signal.SIGKILL)
    server.stop()

    again = Server(project, tmp_path / "data")
    found = stats(again, "shop/pay")["FunctionTotalInvocations"]
    assert 40 <= found <= len(all_calls)
    sums = billed(tmp_path / "data")
    assert sums["10"] == sums["60"] == sums["3600"] <= sum(call.billed for call in all_calls)
    again.stop()


def test_statuses_refusals_and_several_functions_are_told_apart(server: Server) -> None:
    for status in (200, 204, 302, 404, 500):
        assert server.request("GET", f"/2016-08-15/proxy/shop/web/{status}").status == status
    assert server.invoke("shop/pay", b"fail").status == 200
    assert server.invoke("shop.LATEST/pay", b"").status == 200

    told = stats(server)

    web, pay = told["functions"]["shop/web"], told["functions"]["shop/pay"]
    assert [web[f"FunctionHTTPStatus{each}xx"] for each in (2, 3, 4, 5)] == [2, 1, 1, 1]
    assert (web["FunctionTotalInvocations"], web["FunctionFunctionErrors"], pay["FunctionFunctionErrors"]) == (5, 0, 1)
    assert (told["RegionTotalInvocations"], told["RegionFunctionErrors"]) == (7, 1)
    assert stats(server, "shop/pay", "--qualifier", "1")["FunctionTotalInvocations"] == 0


def test_asynchronous_calls_and_what_instances_use_are_told_by_fcs_names(server: Server) -> None:
    client = Client(server.endpoint)
    for _ in range(3):
        client.invoke_later("shop", "pay", b"work")
    wait_until(lambda: stats(server, "shop/pay").get("FunctionDequeueCount") == 3, "the ends of the calls")

    told = stats(server, "shop/pay")

    assert told["FunctionEnqueueCount"] == told["FunctionTotalInvocations"] == 3
    assert 0 <= told["FunctionAsyncMessageLatencyAvg"] <= told["FunctionAsyncMessageLatencyMax"] < 60_000
    assert 0 < told["FunctionAvgMemoryUsageMB"] <= told["FunctionMaxMemoryUsageMB"] < 256
    assert told["FunctionMaxMemoryUtilization"] == pytest.approx(told["FunctionMaxMemoryUsageMB"] / 2.56, abs=0.01)
    assert told["FunctionvCPUQuotaCores"] > 0
    assert "FunctionProvisionInvocations" not in told
    scraped = server.request("GET", "/metrics").body.decode()
    assert 'pyfc_async_ended_total{service="shop",function="pay",qualifier="LATEST"} 3\n' in scraped


def test_people_are_shown_a_table_with_lines_of_how_calls_were_spread(server: Server) -> None:
    for _ in range(3):
        server.invoke("shop/pay", b"work")

    status, output, _ = pyfc("stats", "--endpoint", server.endpoint)

    headings, line = output.splitlines()
    assert status == 0
    assert headings.split()[:4] == ["FUNCTION", "CALLS", "FAILED", "COLD"]
    assert line.split()[:4] == ["shop/pay", "3", "0", "1"]
    assert line.endswith("█")
    assert "/256 MB" in line


def test_who_watches_is_shown_the_calls_that_come_meanwhile(server: Server) -> None:
    server.invoke("shop/pay", b"work")
    command = [sys.executable, "-m", "pyfc", "stats", "--watch", "--endpoint", server.endpoint]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        shown = (line.split()[1] for line in watching.stdout if line.startswith("shop/pay"))
        first = next(shown)
        server.invoke("shop/pay", b"work")
        second = next(shown)
        watching.kill()

    assert (first, second) == ("1", "2")


def test_a_function_that_nobody_has_called_has_counts_and_nothing_that_was_not_measured(server: Server) -> None:
    told = stats(server, "shop/pay")

    assert told["FunctionTotalInvocations"] == 0
    assert not [name for name in told if "Duration" in name or "Latency" in name or "Memory" in name]


def test_what_is_no_function_and_no_time_is_refused_with_what_it_is(server: Server) -> None:
    assert "function 'none' does not exist" in pyfc("stats", "shop/none", "--endpoint", server.endpoint)[2]
    assert "like 1h" in pyfc("stats", "--since", "soon", "--endpoint", server.endpoint)[2]
    for seconds in ("0", "nan", "1e99", "x"):
        assert server.manage("GET", f"/pyfc/metrics?seconds={seconds}").status == 400
    assert server.request("GET", "/pyfc/metrics").status == 400  # without a signature


def test_nothing_is_kept_where_it_is_not_wanted(project: Path, tmp_path: Path) -> None:
    server = Server(project, tmp_path / "data", "--observe", "off")
    server.invoke("shop/pay", b"work")

    status, _, errors = pyfc("stats", "--endpoint", server.endpoint)

    assert status != 0
    assert "`observe` off" in errors
    assert server.stop()[0] == 0
    assert not (tmp_path / "data" / "metrics.sqlite").exists()


def test_watching_goes_on_when_the_server_is_back(server: Server) -> None:
    words = [sys.executable, "-m", "pyfc", "stats", "--watch", "--json", "--endpoint", server.endpoint]
    watching = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    again = None
    try:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert json.loads(watching.stdout.readline())["functions"] == {}
        server.stop()
        assert "trying again" in watching.stderr.readline()
        again = Server(server.folder, server.data_dir, "--port", str(server.port))
        Client(again.endpoint).invoke("shop", "pay", b"work")
        while not json.loads(watching.stdout.readline())["functions"]:
            pass
    finally:
        watching.kill()
        watching.communicate()
        if again is not None:
            again.stop()
