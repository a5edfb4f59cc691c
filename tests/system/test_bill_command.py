"""The bill of a server, beside what its calls say of themselves."""

from __future__ import annotations

import json
import math
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyfc.client import Client
from shop import SOURCE
from support import Server, pyfc, template, wait_until

CODE = (
    SOURCE
    + """
def initializer(context):
    time.sleep(0.3)
"""
)
FUNCTIONS = {
    "half": {"MemorySize": 512, "Timeout": 20},
    "begun": {"MemorySize": 1024, "Timeout": 20, "Initializer": "index.initializer", "InitializationTimeout": 20},
    "failing": {"MemorySize": 128},
}
PRICES = """
market = "mine"
from = 2020-01-01
source = "our contract of 2020"
currency = "EUR"
[factors]
invocations = 10000
active_vcpu = 0
memory = 0
[[tiers]]
list = 2
"""
BILLED = re.compile(r"Billed Duration: ([0-9]+) ms")


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve({"index.py": CODE, "template.yml": template(FUNCTIONS)})


@pytest.fixture(scope="module")
def shared(serve_all: Callable[..., Server]) -> Server:
    """For what does not depend on the calls that there were."""
    return serve_all({"index.py": CODE, "template.yml": template(FUNCTIONS)})


def bill(server: Server, *words: str) -> dict[str, Any]:
    status, shown, errors = pyfc("bill", "--json", *words, "--endpoint", server.endpoint)
    assert (status, errors) == (0, "")
    found: dict[str, Any] = json.loads(shown)
    return found


def billed(client: Client, function: str, *seconds: float) -> list[int]:
    """The milliseconds that the logs of calls say are billed."""
    answers = [client.invoke("demo", function, f"x {each}".encode(), tail=True) for each in seconds]
    return [int(BILLED.findall(answer.log)[-1]) for answer in answers]


def hour() -> int:
    return int(time.time()) // 3600


def test_the_bill_is_what_the_calls_durations_come_to_by_hand(server: Server) -> None:
    began = hour()
    milliseconds = billed(Client(server.endpoint), "half", 0.3, 0.001, 0.05, 0.002, 0.4)

    found = bill(server)

    line = found["functions"]["demo/half"]
    calls, seconds = 5 * 75 / 10_000, sum(milliseconds) / 1000
    assert line["invocations"] == 5
    assert line["parts"]["invocations"] == pytest.approx(calls)
    assert line["parts"]["vcpu"] == pytest.approx(seconds * 0.25)  # 512 MB of 2 GB
    assert line["parts"]["memory"] == pytest.approx(seconds * 0.5 * 0.15)
    assert line["parts"]["disk"] == 0
    whole = math.ceil(calls + seconds * (0.25 + 0.075))
    assert whole <= line["cu"] <= whole + hour() - began
    assert line["price"] == pytest.approx(line["cu"] * 0.00011)
    assert found["prices"]["source"].startswith("https://")
    assert any("`cpu`" in each for each in found["assumptions"])


def test_the_initializer_of_a_cold_start_counts_too(server: Server) -> None:
    [milliseconds] = billed(Client(server.endpoint), "begun", 0.1)

    usage = bill(server)["functions"]["demo/begun"]["usage"]

    assert milliseconds / 1000 + 0.3 <= usage["seconds"] < milliseconds / 1000 + 5
    assert usage["GBSeconds"] == pytest.approx(usage["seconds"])
    assert usage["vCPUSeconds"] == pytest.approx(usage["seconds"] / 2)


def test_calls_that_fail_cost_something_and_calls_that_are_refused_nothing(server: Server) -> None:
    assert server.invoke("demo/failing", b"fail").headers["X-Fc-Error-Type"]
    assert server.invoke("demo/nothing").status == 404

    assert {name: line["invocations"] for name, line in bill(server)["functions"].items()} == {"demo/failing": 1}


def test_a_what_if_scales_the_memory_and_tells_what_it_assumes(server: Server) -> None:
    billed(Client(server.endpoint), "half", 0.2)
    before = bill(server)

    after = bill(server, "--what-if", "memory=2048")

    one, other = before["functions"]["demo/half"]["parts"], after["functions"]["demo/half"]["parts"]
    assert other["memory"] == pytest.approx(4 * one["memory"], abs=1e-6)
    assert (other["vcpu"], other["invocations"]) == (one["vcpu"], one["invocations"])
    assert any("duration assumed equal" in each for each in after["assumptions"])
    assert after["asItWas"] == before["total"]
    _, shown, _ = pyfc("bill", "--what-if", "memory=2048,concurrency=10", "--endpoint", server.endpoint)
    assert "What if memory=2048, concurrency=10: as it was, " in shown
    assert "duration assumed equal" in shown


def test_prices_of_a_file_count_and_a_broken_one_is_told_with_its_field(server: Server, tmp_path: Path) -> None:
    billed(Client(server.endpoint), "half", 0.0)
    file = tmp_path / "mine.toml"
    file.write_text(PRICES)

    found = bill(server, "--prices", str(file))

    assert (found["functions"]["demo/half"]["cu"], found["functions"]["demo/half"]["price"]) == (1, 2)
    assert (found["prices"]["currency"], found["prices"]["source"]) == ("EUR", "our contract of 2020")
    file.write_text(PRICES.replace("list = 2", 'list = "free"'))
    status, _, errors = pyfc("bill", "--prices", str(file), "--endpoint", server.endpoint)
    assert (status, errors) == (2, f"pyfc: {file}: tiers[0].list: Invalid decimal string\n")


def test_a_table_fits_a_terminal_of_80_columns(shared: Server) -> None:
    billed(Client(shared.endpoint), "half", 0.0)

    def shown(columns: int) -> list[str]:
        return pyfc("bill", "--endpoint", shared.endpoint, COLUMNS=str(columns))[1].splitlines()

    wide, narrow = shown(120), shown(79)

    assert re.split(" {2,}", wide[0]) == [
        "FUNCTION", "INVOCATIONS", "CU: CALLS", "VCPU", "MEMORY", "ROUNDING", "= CU", "CNY", "FORECAST",
    ]  # fmt: skip
    assert [line.split()[0] for line in wide[1:3]] == ["demo/half", "total"]
    assert re.split(" {2,}", narrow[0]) == [
        "FUNCTION", "INVOCATIONS", "CU: VCPU", "MEMORY", "OTHER", "= CU", "CNY", "FORECAST",
    ]  # fmt: skip
    assert max(len(line) for line in wide) <= 120
    assert max(len(line) for line in narrow if "https://" not in line) <= 79


def test_a_month_without_calls_says_so_and_mistakes_are_told(shared: Server) -> None:
    status, shown, _ = pyfc("bill", "--month", "2026-01", "--endpoint", shared.endpoint)

    assert (status, shown.splitlines()[0]) == (0, "Nothing was used in 2026-01.")
    for words in (["--month", "01-2026"], ["--what-if", "memory=1"], ["--market", "mars"]):
        status, _, errors = pyfc("bill", *words, "--endpoint", shared.endpoint)
        assert (status, errors[:6]) == (2, "pyfc: ")


def test_after_a_kill_the_bill_is_the_same_and_goes_on(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name, text in {"index.py": CODE, "template.yml": template(FUNCTIONS)}.items():
        (project / name).write_text(text)
    server = Server(project, tmp_path / "data")
    client = Client(server.endpoint)
    billed(client, "half", 0.05, 0.05)
    before = bill(server)["functions"]["demo/half"]

    server.process.send_signal(signal.SIGKILL)
    server.stop()
    again = Server(server.folder, server.data_dir)

    after = bill(again)["functions"]["demo/half"]
    assert (after["invocations"], after["parts"]["vcpu"]) == (2, before["parts"]["vcpu"])
    more = billed(Client(again.endpoint), "half", 0.05)
    last = bill(again)["functions"]["demo/half"]
    assert last["invocations"] == 3
    assert last["usage"]["seconds"] == pytest.approx(before["usage"]["seconds"] + sum(more) / 1000)
    assert again.stop()[0] == 0


def test_reserved_instances_cost_from_their_start_and_calls_on_them_vcpu_alone(serve: Callable[..., Server]) -> None:
    yml = "services: {demo: {half: {provisionConfig: {target: 2}}}}\n"
    server = serve({"index.py": CODE, "template.yml": template(FUNCTIONS), "pyfc.yml": yml})
    began = time.monotonic()

    def reserved() -> dict[str, Any]:
        line = bill(server)["functions"].get("demo/half")
        return line if line is not None and line["usage"]["reservedSeconds"] > 3 else {}

    before = wait_until(reserved, "two instances that are reserved for more than a second")
    [milliseconds] = billed(Client(server.endpoint), "half", 0.5)
    line = bill(server)["functions"]["demo/half"]

    seconds = line["usage"]["reservedSeconds"]
    assert before["parts"]["vcpu"] == 0
    assert before["usage"]["GBSeconds"] == pytest.approx(before["usage"]["reservedSeconds"] / 2)
    assert seconds <= 2 * (time.monotonic() - began + 10)
    assert line["usage"]["seconds"] == 0
    assert line["parts"]["vcpu"] == pytest.approx(milliseconds / 1000 * 0.25)
    assert line["parts"]["memory"] == pytest.approx(seconds / 2 * 0.15)


def test_who_counts_nothing_has_no_bill(serve: Callable[..., Server]) -> None:
    server = serve({"index.py": CODE, "template.yml": template(FUNCTIONS)}, PYFC_OBSERVE="off")

    status, _, errors = pyfc("bill", "--endpoint", server.endpoint)

    assert status == 2
    assert "no metrics are kept" in errors


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[]", "must be a JSON object"),
        (b"{", "no JSON"),
        (b"{}", "prices: market: it is missing"),
        (b'{"market": 1}', "prices: market: Expected `str`"),
        (b" " * (1024 * 1024 + 1), "exceeds maximum"),
    ],
)
def test_prices_that_strangers_send_are_read_as_files_are(shared: Server, body: bytes, told: str) -> None:
    answer = shared.request("POST", "/pyfc/bill", body, shared.signed_headers("POST", "/pyfc/bill", {}))

    assert answer.status == 400
    assert told in answer.json["ErrorMessage"]
