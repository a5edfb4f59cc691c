"""`pyfc tune`: a function with several memory sizes, in instances that are nobody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from support import DEADLINE, Server, pyfc, template, wait_until

CODE = """
import os
import time

def initializer(context):
    time.sleep(0.05)

def handler(event, context):
    word = event.decode()
    if word == "memory":
        raise ValueError(f"{context.function.memory} {os.environ['FC_FUNCTION_MEMORY_SIZE']}")
    if word.isdigit():
        data = bytearray(int(word) * 1024 * 1024)
        data[::4096] = b"x" * len(data[::4096])
    time.sleep(60 if word == "long" else 0.01)

def web(environ, start_response):
    if environ["REQUEST_METHOD"] != "POST" or environ["wsgi.input"].read() != b"body":
        raise ValueError("another request")
    start_response("200 OK", [])
    return [b"hi"]
"""
QUIET = {"PYFC_SPARE_WORKERS": "0", "PYFC_TEMPLATES": "off"}


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., Server]) -> Server:
    functions = {
        "work": {"Timeout": 100, "MemorySize": 256, "Initializer": "index.initializer"},
        "web": {"Handler": "index.web", "http": ["GET", "POST"]},
    }
    return serve_all({"index.py": CODE, "template.yml": template(functions)}, **QUIET)


def tune(server: Server, *words: str) -> tuple[int, str, str]:
    return pyfc("tune", *words, "--endpoint", server.endpoint)


def test_sizes_stand_side_by_side_and_one_that_is_too_small_says_so(server: Server) -> None:
    status, shown, errors = tune(server, "demo/work", "-e", "200", "--memory", "128,512", "--warm", "3")

    assert (status, errors) == (0, "")
    head, small, large, *notes = shown.splitlines()
    assert head.split() == ["MEMORY", "COLD", "START", "P50", "P90", "USED", "CU/MILLION", "CNY/MILLION"]
    assert small.split()[:2] == ["128", "MB"]
    assert "out of memory: " in small
    assert large.split()[:2] == ["512", "MB"]
    assert large.count(" ms") == 3
    assert any("p50 and p90 of 3 warm calls" in note for note in notes)
    assert max(map(len, (head, large))) <= 80


def test_a_comparison_as_json_has_the_numbers_and_their_prices(server: Server) -> None:
    status, shown, _ = tune(server, "demo/work", "-e", "1", "--memory", "128,1024", "--warm", "4", "--json")

    found = json.loads(shown)
    small, large = found["sizes"]
    assert status == 0
    assert (small["memory"], large["memory"], small["vcpu"], large["vcpu"]) == (128, 1024, 0.05, 0.5)
    for row in (small, large):
        milliseconds = row["p50Ms"]
        assert 10 <= milliseconds <= row["p90Ms"] < 5000
        assert row["coldStartMs"] >= 50
        assert row["warmCalls"] == 4
        at_least = 7500 + 10_000 * (row["vcpu"] + row["memory"] / 1024 * 0.15)
        assert at_least <= row["cuPerMillion"]
        assert row["pricePerMillion"] == pytest.approx(row["cuPerMillion"] * 0.00011)
    assert found["prices"]["currency"] == "CNY"
    assert found["prices"]["source"]


def test_the_function_has_the_size_that_is_tried_and_its_failure_is_a_row(server: Server) -> None:
    status, shown, _ = tune(server, "demo/work", "-e", "memory", "--memory", "320", "--json")

    [row] = json.loads(shown)["sizes"]
    assert status == 0
    assert (row["failed"], row["message"]) == ("fails", "320 320")


def test_a_function_with_an_http_trigger_is_sent_a_request(server: Server) -> None:
    _, shown, _ = tune(server, "demo/web", "-e", "body", "--memory", "128", "--warm", "1", "--json")

    [row] = json.loads(shown)["sizes"]
    assert (row["failed"], row["message"], row["warmCalls"]) == ("", "", 1)


def test_nothing_that_is_served_changes_and_nothing_is_left(server: Server) -> None:
    def served() -> list[dict[str, Any]]:
        """Whether what is idle has been frozen meanwhile is not meant."""
        return [{**each, "instances": sum(each["instances"].values())} for each in server.functions()]

    server.invoke("demo/work", b"1")
    before, workers = served(), {each.pid for each in server.workers()}

    tune(server, "demo/work", "-e", "1", "--memory", "128,256", "--warm", "1")

    wait_until(lambda: {each.pid for each in server.workers()} == workers, "the reaping of the trials' instances")
    assert served() == before


def test_nothing_is_left_when_who_waits_gives_up(server: Server) -> None:
    workers = {each.pid for each in server.workers()}
    words = ["tune", "demo/work", "-e", "long", "--memory", "128,256", "--endpoint", server.endpoint]
    command = subprocess.Popen(
        [sys.executable, "-m", "pyfc", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    )
    wait_until(lambda: {each.pid for each in server.workers()} - workers, "an instance of the trial")

    command.send_signal(signal.SIGINT)

    _, errors = command.communicate(timeout=DEADLINE)
    assert command.returncode == 130
    assert b"Traceback" not in errors
    wait_until(lambda: {each.pid for each in server.workers()} == workers, "the end of the trial's instance")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["demo/nothing"], "'nothing' does not exist"),
        (["demo/work.7"], "version '7' of service 'demo' does not exist"),
        (["demo/work", "--memory", "100"], "memory must be 128 to 32768"),
        (["demo/work", "--memory", "130"], "in steps of 64"),
        (["demo/work", "--memory", "much"], "'much' must be like 128,256,512"),
        (["demo/work", "--warm", "0"], "warm must be 1 to 1000"),
        (["demo/work", "--market", "mars"], "no prices of 'mars'"),
        (["demo/work", "--prices", "no.toml"], "no.toml: the price table cannot be read"),
    ],
)
def test_what_cannot_be_tried_is_told(server: Server, words: list[str], told: str) -> None:
    status, _, errors = tune(server, *words)

    assert status == 2
    assert told in errors


def test_a_server_that_ends_ends_its_trials(serve: Callable[..., Server]) -> None:
    files = {"index.py": CODE, "template.yml": template({"work": {"Timeout": 100}})}
    server = serve(files, **QUIET)
    words = ["tune", "demo/work", "-e", "long", "--memory", "128", "--endpoint", server.endpoint]
    command = subprocess.Popen([sys.executable, "-m", "pyfc", *words], stderr=subprocess.PIPE, env=dict(os.environ))
    wait_until(server.workers, "an instance of the trial")

    began = time.monotonic()
    status, errors = server.stop()

    assert (status, errors) == (0, "")
    assert time.monotonic() - began < 5, "its end does not wait for them"
    assert command.communicate(timeout=DEADLINE)[1] == b"pyfc: the server is stopping\n"
    assert command.returncode == 3
