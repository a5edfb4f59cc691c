"""Records of requests, through the server, over a kill of it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyfc.auth.keys import Keys
from pyfc.client import Client
from shop import made_in
from support import Server, pyfc, wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(made_in(tmp_path), tmp_path / "data")
    yield server
    server.stop()


def client_of(server: Server) -> Client:
    return Client(server.endpoint, key=Keys(server.data_dir).all()[0])


def requests(server: Server, *words: str) -> list[dict[str, Any]]:
    status, output, errors = pyfc("requests", *words, "--json", "--endpoint", server.endpoint)
    assert status == 0, errors
    calls: list[dict[str, Any]] = json.loads(output)["calls"]
    return calls


def test_requests_are_searched_and_why_joins_what_is_known_of_one(server: Server) -> None:
    client = client_of(server)
    cold = client.invoke("shop", "pay", b"work").request_id
    slow = client.invoke("shop", "pay", b"work 0.3").request_id
    failed = client.invoke("shop", "pay", b"fail").request_id

    assert [each["requestId"] for each in requests(server)] == [failed, slow, cold]
    assert [each["requestId"] for each in requests(server, "shop/pay", "--failed")] == [failed]
    took = [each["durationMs"] + each.get("waitedMs", 0) for each in requests(server, "--slow")]
    assert took == sorted(took, reverse=True)
    table = pyfc("requests", "--endpoint", server.endpoint)[1]
    assert failed in table
    assert "FunctionUnhandledError" in table

    told = pyfc("why", cold, "--endpoint", server.endpoint)[1]
    assert "PrepareCode" in told
    assert "of 256 MB; version LATEST" in told
    assert "It failed: no money" in pyfc("why", failed, "--endpoint", server.endpoint)[1]
    log = client.call(failed)["log"]
    lines = Path(log["file"]).read_bytes()[log["offset"] :].splitlines()
    assert failed in str(lines[0])


def test_a_function_that_does_not_exist_is_told_instead_of_no_requests(server: Server) -> None:
    status, _, told = pyfc("requests", "shop/nope", "--endpoint", server.endpoint)
    assert (status, told) == (2, "pyfc: function 'nope' does not exist in service 'shop'\n")


def test_the_runs_of_an_asynchronous_call_are_told_together(server: Server) -> None:
    client = client_of(server)
    config = "/2016-08-15/services/shop/functions/pay/async-invoke-config"
    assert server.manage("PUT", config, {"maxAsyncRetryAttempts": 1}).status == 200
    number = client.invoke_later("shop", "pay", b"fail", name="mine")

    wait_until(lambda: client.event(number)["endTime"], "that it is given up", 30)
    call = client.call(number)

    assert call["event"] == "mine"
    assert call["queuedMs"] >= 0
    assert len(call["runs"]) == call["attempt"] + 1 == 2
    assert {run["errorType"] for run in call["runs"]} == {"FunctionUnhandledError"}
    assert (
        f"It ran {len(call['runs'])} times: FunctionUnhandledError"
        in pyfc("why", number, "--endpoint", server.endpoint)[1]
    )


def test_a_kill_of_the_server_loses_at_most_the_last_second(server: Server, tmp_path: Path) -> None:
    client = client_of(server)
    early = [client.invoke("shop", "pay", b"fail").request_id for _ in range(20)]
    began = time.monotonic()
    late: list[str] = []
    while time.monotonic() < began + 1.1:
        late.append(client.invoke("shop", "pay", b"fail").request_id)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()

    again = Server(tmp_path / "project", tmp_path / "data")
    try:
        kept = {each["requestId"] for each in requests(again, "-n", "1000")}
    finally:
        again.stop()

    assert kept >= set(early)
    assert kept <= {*early, *late}


def test_invoke_with_its_log_tells_what_the_call_waited_for(server: Server) -> None:
    _, output, errors = pyfc("invoke", "shop/pay", "-e", "work", "--log", "--endpoint", server.endpoint)

    assert output.rstrip() == "work"
    assert "FC Invoke End" in errors
    assert "pyfc: cold start: PrepareCode" in errors


def test_without_metrics_there_are_no_records(tmp_path: Path) -> None:
    server = Server(made_in(tmp_path), tmp_path / "data", "--observe", "off")
    try:
        number = client_of(server).invoke("shop", "pay", b"fail").request_id
        status, _, errors = pyfc("requests", "--endpoint", server.endpoint)
        assert status == 2
        assert "observe" in errors
        assert client_of(server).call(number)["status"] == 200
        assert "It failed: no money" in pyfc("why", number, "--endpoint", server.endpoint)[1]
    finally:
        server.stop()
    assert not (tmp_path / "data" / "requests.sqlite").exists()
