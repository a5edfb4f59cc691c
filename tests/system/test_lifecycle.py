"""The life of an instance between its calls: hooks, freezing, reserved instances, the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from support import Server, template, time_passed, wait_until

CODE = """
import os, threading, time
CALLS = []

def spin():
    while True:
        pass

def handler(event, context):
    CALLS.append(event)
    if event == b"spin":
        threading.Thread(target=spin, daemon=True).start()
    if event == b"child":
        import subprocess
        subprocess.Popen(["sh", "-c", "while :; do :; done"])
    if event == b"slow":
        time.sleep(0.5)
    return len(CALLS)

def pre_freeze(context):
    print("freezing", context.function.name)

def pre_stop(context):
    print("stopping after", len(CALLS), "calls")

def failing(context):
    raise ValueError("the hook is broken")

def hanging(context):
    time.sleep(60)

def broken(context):
    raise RuntimeError("no database")
"""


def served(
    serve: Callable[..., Server], functions: dict[str, dict[str, Any]], pyfc_yml: str = "", **more: str
) -> Server:
    files = {"index.py": CODE, "template.yml": template(functions), **({"pyfc.yml": pyfc_yml} if pyfc_yml else {})}
    return serve(files, PYFC_TEMPLATES="off", **more)


def described(server: Server, name: str = "f") -> dict[str, Any]:
    return next(each for each in server.functions() if each["function"] == name)


def states(server: Server, name: str = "f") -> dict[str, int]:
    found: dict[str, int] = described(server, name)["instances"]
    return found


def hooks(**handlers: str) -> dict[str, Any]:
    names = {"pre_freeze": "PreFreeze", "pre_stop": "PreStop"}
    return {names[name]: {"Handler": f"index.{handler}", "Timeout": 1} for name, handler in handlers.items()}


def processor_time(processes: list[psutil.Process]) -> float:
    return sum(each.cpu_times().user + each.cpu_times().system for each in processes)


@pytest.mark.parametrize("event", [b"spin", b"child"])
def test_an_idle_instance_is_frozen_with_all_its_processes_and_a_call_thaws_it(
    serve: Callable[..., Server], event: bytes
) -> None:
    server = served(serve, {"f": {"Timeout": 10}}, PYFC_FREEZE_AFTER="0.1", PYFC_SPARE_WORKERS="0")

    server.invoke("demo/f", event)
    wait_until(lambda: states(server) == {"frozen": 1}, "the instance to be frozen")
    processes = [each for worker in server.workers() for each in [worker, *worker.children(recursive=True)]]
    before = processor_time(processes)
    time_passed(0.3)

    assert processor_time(processes) == before
    assert server.invoke("demo/f").body == b"2"
    wait_until(lambda: states(server) == {"frozen": 1}, "the instance to be frozen again")
    assert server.invoke("demo/f").body == b"3"


def test_an_instance_that_is_called_all_the_time_is_not_frozen(serve: Callable[..., Server]) -> None:
    server = served(serve, {"f": {}}, PYFC_FREEZE_AFTER="0.3")
    end = time.monotonic() + 1

    while time.monotonic() < end:
        server.invoke("demo/f")
        assert states(server) == {"ready": 1}


def test_pre_freeze_runs_before_and_is_in_the_log_with_its_markers(serve: Callable[..., Server]) -> None:
    server = served(serve, {"f": {"InstanceLifecycleConfig": hooks(pre_freeze="pre_freeze")}}, PYFC_FREEZE_AFTER="0.1")

    server.invoke("demo/f")
    wait_until(lambda: states(server) == {"frozen": 1}, "the instance to be frozen")

    log = wait_until(lambda: "PreFreeze End" in server.logged("") and server.logged(""), "the log").splitlines()
    start, line, end = log[0], log[1], log[2]
    assert start.startswith("FC PreFreeze Start RequestId: ")
    assert line == "freezing f"
    assert end == start.replace("Start", "End")


def test_a_pre_freeze_that_fails_is_told_and_the_instance_is_frozen_all_the_same(serve: Callable[..., Server]) -> None:
    server = served(serve, {"f": {"InstanceLifecycleConfig": hooks(pre_freeze="failing")}}, PYFC_FREEZE_AFTER="0.1")

    server.invoke("demo/f")
    wait_until(lambda: states(server) == {"frozen": 1}, "the instance to be frozen")

    wait_until(lambda: ", Error: Unhandled function error" in server.logged(""), "the failure in the log")
    assert server.invoke("demo/f").body == b"2"


def test_a_pre_freeze_that_is_late_ends_the_instance_and_calls_meanwhile_are_served(
    serve: Callable[..., Server],
) -> None:
    server = served(serve, {"f": {"InstanceLifecycleConfig": hooks(pre_freeze="hanging")}}, PYFC_FREEZE_AFTER="0.1")

    server.invoke("demo/f")
    wait_until(lambda: states(server) == {"freezing": 1}, "the hook to run")
    began = time.monotonic()

    assert server.invoke("demo/f").body == b"1", "another instance"
    assert time.monotonic() - began < 1
    wait_until(lambda: not states(server), "the end of both instances")


@pytest.mark.parametrize("way", ["released", "server"])
def test_pre_stop_runs_before_an_instance_ends(serve: Callable[..., Server], way: str) -> None:
    idle = {"PYFC_IDLE_TIMEOUT": "0.3", "PYFC_FREEZE_AFTER": "0.1"} if way == "released" else {}
    server = served(serve, {"f": {"InstanceLifecycleConfig": hooks(pre_stop="pre_stop")}}, **idle)

    for _ in range(3):
        server.invoke("demo/f")
    if way == "released":
        wait_until(lambda: not states(server), "the release")
    else:
        server.stop()

    wait_until(lambda: "stopping after 3 calls" in server.log("demo", "f"), "the hook's output")


def test_a_pre_stop_that_is_late_is_killed(serve: Callable[..., Server]) -> None:
    server = served(serve, {"f": {"InstanceLifecycleConfig": hooks(pre_stop="hanging")}}, PYFC_IDLE_TIMEOUT="0.1")

    server.invoke("demo/f")

    wait_until(lambda: states(server) == {"stopping": 1}, "the hook to run")
    wait_until(lambda: not states(server), "the end", 5)


def provision(**values: Any) -> str:
    return json.dumps({"services": {"demo": {"f": {"provisionConfig": values}}}})


def test_reserved_instances_are_started_kept_and_replaced(serve: Callable[..., Server]) -> None:
    server = served(serve, {"f": {}}, provision(target=2), PYFC_IDLE_TIMEOUT="0.2", PYFC_FREEZE_AFTER="0.1")

    wait_until(lambda: states(server) == {"frozen": 2}, "two reserved instances")
    assert described(server)["provision"] == {"target": 2, "current": 2, "currentError": ""}
    answer = server.invoke("demo/f")
    assert server.record(answer.headers["X-Fc-Request-Id"])["cold"] is False
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: server.invoke("demo/f", b"slow"), range(4)))
    wait_until(lambda: states(server) == {"frozen": 2}, "the release of what is above the reserve")
    for worker in server.workers():
        worker.kill()
    wait_until(lambda: described(server)["deaths"].get("exited", 0) >= 2, "the deaths")
    wait_until(lambda: states(server) == {"frozen": 2}, "their replacement")


def test_a_reserved_instance_that_can_not_start_is_tried_more_and_more_seldom_and_its_error_is_shown(
    serve: Callable[..., Server],
) -> None:
    server = served(serve, {"f": {"Initializer": "index.broken"}}, provision(target=1))

    wait_until(lambda: described(server)["provision"]["currentError"] == "no database", "the error")
    time_passed(1.5)

    attempts = server.logged("").count("FC Initialize Start")
    assert 1 <= attempts <= 3
    assert described(server)["provision"]["current"] == 0


def test_a_schedule_and_the_load_change_the_reserve(serve: Callable[..., Server]) -> None:
    policy = {"name": "load", "metricTarget": 0.5, "minCapacity": 1, "maxCapacity": 3}
    server = served(serve, {"f": {"Timeout": 10}}, provision(targetTrackingPolicies=[policy]))

    wait_until(lambda: described(server)["provision"]["target"] == 1, "the least")
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(server.invoke, "demo/f", b"slow") for _ in range(4 * 5)]
        wait_until(lambda: described(server)["provision"]["target"] == 3, "the most")
        assert {call.result().status for call in calls} == {200}
    wait_until(lambda: described(server)["provision"]["target"] == 1, "the least again")


def test_functions_go_first_when_the_machine_has_no_memory_left(serve: Callable[..., Server]) -> None:
    server = served(serve, {"f": {}})
    server.invoke("demo/f")

    scores = [int(Path(f"/proc/{each.pid}/oom_score_adj").read_text()) for each in server.processes()]

    own = int(Path(f"/proc/{server.process.pid}/oom_score_adj").read_text())
    assert all(score > own for score in scores)
