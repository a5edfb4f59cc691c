"""What a person asks about a call or a cold start, and the small commands of the dev loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyfc.dev.explanation import advice
from pyfc.dev.samples import SAMPLES
from support import Server, pyfc, template, wait_until

SLOW = "import time\ntime.sleep(0.12)\n"
CODE = """
import json
import slow_module

def initializer(context):
    pass

def handler(event, context):
    import time
    time.sleep(0.3)
    return "done"

def quick(event, context):
    return event

def fails(event, context):
    raise ValueError("on purpose")
"""


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    functions = {
        "slow": {"Initializer": "index.initializer", "Timeout": 20},
        "quick": {"Handler": "index.quick", "Timeout": 20},
        "fails": {"Handler": "index.fails", "Timeout": 20},
    }
    files = {"index.py": CODE, "slow_module.py": SLOW, "template.yml": template(functions)}
    yml = "services: {demo: {slow: {maximumInstanceCount: 1}}}\n"
    return serve({**files, "pyfc.yml": yml}, PYFC_MAXIMUM_WAIT="0.1")


def test_explain_shows_the_phases_each_import_and_what_to_do(server: Server) -> None:
    status, shown, _ = pyfc("explain", "demo/slow", "--endpoint", server.endpoint)

    assert status == 0
    lines = shown.splitlines()
    assert lines[0].startswith("demo/slow ")
    for phase in ("PrepareCode", "RuntimeInitialize", "Initializer"):
        assert any(phase in line for line in lines)
    module = next(line for line in lines if "import slow_module" in line)
    assert float(module.split()[-2]) >= 120
    assert any("Import where it is needed" in line and "slow_module" in line for line in lines)
    assert any("provisionConfig" in line for line in lines)


def test_explain_of_a_function_that_does_not_start_says_so(serve: Callable[..., Server]) -> None:
    server = serve({"index.py": "import nothing_like_it\ndef handler(event, context):\n    pass\n"})

    _, shown, _ = pyfc("explain", "default/index", "--endpoint", server.endpoint)

    assert "It fails: Unable to import module 'index'" in shown


def test_why_tells_cold_warm_waiting_failing_and_refused_calls_apart(server: Server) -> None:
    def why(request_id: str) -> str:
        wait_until(lambda: any(each.get("requestId") == request_id for each in server.records), "the record")
        return pyfc("why", request_id, "--endpoint", server.endpoint)[1]

    cold, warm = (server.invoke("demo/quick").headers["X-Fc-Request-Id"] for _ in range(2))
    failed = server.invoke("demo/fails").headers["X-Fc-Request-Id"]
    server.invoke("demo/slow")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: server.invoke("demo/slow"), range(2)))
    refused = next(each for each in answers if each.status == 429)

    assert "since there was no instance" in why(cold)
    assert "PrepareCode" in why(cold)
    assert "RuntimeInitialize" in why(cold)
    assert "It began at once: an instance was free." in why(warm)
    assert "It failed: on purpose" in why(failed)
    assert "pyfc refused the call with 429 ResourceExhausted" in why(refused.headers["X-Fc-Request-Id"])
    status, _, errors = pyfc("why", "no-such-call", "--endpoint", server.endpoint)
    assert (status, "there is no record of a call no-such-call" in errors) == (2, True)


def test_a_cold_calls_record_has_its_phases(server: Server) -> None:
    answer = server.invoke("demo/slow")

    record = server.record(answer.headers["X-Fc-Request-Id"])

    assert record["why"] == "there was no instance"
    assert set(record["phasesMs"]) == {"prepareCode", "runtimeInitialize", "initializer"}
    assert record["phasesMs"]["runtimeInitialize"] >= 120
    assert record["waitedMs"] >= sum(record["phasesMs"].values()) * 0.9


def test_advice_names_what_is_worth_doing_and_nothing_else() -> None:
    base = {
        "phases": {"PrepareCode": 0.001, "RuntimeInitialize": 0.002, "Initializer": 0.0},
        "imports": [], "template": "ready", "reserved": 0, "codeSize": 100, "peakMemoryMb": 10.0, "memorySize": 128,
    }  # fmt: skip
    heavy = {
        **base,
        "phases": {"PrepareCode": 0.001, "RuntimeInitialize": 0.9, "Initializer": 0.2},
        "imports": [["index", 0.8, [["pandas", 0.79, [["numpy", 0.2, []]]]]]],
        "template": "its import leaves a socket open",
        "codeSize": 200 << 20,
        "peakMemoryMb": 120.0,
    }

    assert len(advice(base)) == 1
    text = "\n".join(advice(heavy))
    for part in (
        "a socket open",
        "pandas (790 ms)",
        "snapshot: initialized",
        "provisionConfig",
        "200 MB",
        "memorySize",
    ):
        assert part in text


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_event_is_printed_as_json(name: str) -> None:
    status, shown, _ = pyfc("event", name)

    assert status == 0
    assert json.loads(shown) == SAMPLES[name]
