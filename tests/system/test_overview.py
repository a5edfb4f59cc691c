"""What a server tells of all its functions at a moment, as `pyfc top` asks for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyfc.client import Client
from pyfc.client.client import ApiError
from shop import made_in
from support import Server, wait_until

IDLE = """\
    idle:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: python3, CodeUri: ./}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made_in(tmp_path, template=IDLE)


@pytest.fixture
def server(project: Path, tmp_path: Path) -> Iterator[Server]:
    server = Server(project, tmp_path / "data", "--observe", "on")
    yield server
    server.stop()


def test_an_overview_tells_what_functions_have_done_and_what_they_do(server: Server) -> None:
    client = Client(server.endpoint)
    for event in (b"work 0.02", b"work 0.02", b"fail 0.02"):
        client.invoke("shop", "pay", event)
    found = client.overview()
    pay, idle = found["functions"]["shop/pay"], found["functions"]["shop/idle"]
    assert (pay["calls"], pay["failed"], pay["throttled"], pay["backlog"]) == (3, 1, 0, 0)
    assert 20 <= pay["p50Ms"] <= pay["p99Ms"]
    [instance] = pay["instances"]
    assert instance["state"] == "ready"
    assert instance["memoryMb"] > 1
    assert instance["cpuSeconds"] >= 0
    assert 0 <= found["time"] - instance["created"] < 60
    assert abs(found["time"] - time.time()) < 5
    assert 60 <= found["seconds"] < 71
    assert (pay["memorySize"], idle["memorySize"]) == (256, 128)
    assert (idle["calls"], idle["instances"], idle["p50Ms"]) == (0, [], None)


def test_an_overview_tells_of_calls_that_run_and_of_asynchronous_ones_that_have_not_ended(server: Server) -> None:
    client = Client(server.endpoint)
    client.invoke_later("shop", "idle", b"work", delay=600)

    def pay() -> dict[str, Any]:
        found: dict[str, Any] = client.overview()["functions"]["shop/pay"]
        return found

    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(client.invoke, "shop", "pay", b"work 1.5")
        wait_until(lambda: [each["requests"] for each in pay()["instances"]] == [1], "a call that runs")
        assert calling.result().body == b"work 1.5"
    found = client.overview()["functions"]
    assert (found["shop/pay"]["backlog"], found["shop/idle"]["backlog"]) == (0, 1)


def test_without_metrics_an_overview_says_that_nothing_is_counted(project: Path, tmp_path: Path) -> None:
    server = Server(project, tmp_path / "other", "--observe", "off")
    try:
        client = Client(server.endpoint)
        client.invoke("shop", "pay", b"work")
        found = client.overview()
        assert not found["isCounted"]
        assert len(found["functions"]["shop/pay"]["instances"]) == 1
        with pytest.raises(ApiError, match="must be a number above 0"):
            client.overview(seconds=0)
    finally:
        server.stop()
