"""Asynchronous calls: a 202 is a promise."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyfc.auth.keys import Keys
from support import SHARES_FILES, Server, pyfc, template, wait_until

FAST = {"PYFC_ASYNC_RETRY_DELAY": "0.02"}
API = "/2016-08-15/services/demo/functions"
CODE = """
import json, os, time

def ok(event, context):
    print("ran", context.retry_count)
    return b"done " + event

def fails(event, context):
    print("try", context.retry_count)
    raise ValueError("wanted")

def second(event, context):
    if context.retry_count == 0:
        raise ValueError("once")
    return "at last"

def crashes(event, context):
    os._exit(1)

def slow(event, context):
    time.sleep(float(event or 30))
    return "slept"

def receives(event, context):
    print("GOT " + event.decode())

def web(environ, start_response):
    print("WEB", environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["wsgi.input"].read().decode())
    start_response("200 OK", [])
    return [b"web"]
"""
FUNCTIONS: dict[str, dict[str, Any]] = {
    name: {"Handler": f"index.{name}", "Timeout": 60}
    for name in ("ok", "fails", "second", "crashes", "slow", "receives")
} | {"web": {"Handler": "index.web", "http": ["GET", "POST"]}}


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve({"index.py": CODE, "template.yml": template(FUNCTIONS)}, **FAST)


def later(server: Server, function: str, event: bytes = b"", **headers: str) -> str:
    """Promise a call; its request id."""
    answer = server.invoke(f"demo/{function}", event, X_Fc_Invocation_Type="Async", **headers)
    assert (answer.status, answer.body, answer.headers.get("Content-Type")) == (202, b"", None)
    return str(answer.headers["X-Fc-Request-Id"])


def configure(server: Server, function: str, **document: Any) -> None:
    assert server.manage("PUT", f"{API}/{function}/async-invoke-config", document).status == 200


def arn(function: str) -> dict[str, str]:
    return {"destination": f"acs:fc:::services/demo/functions/{function}"}


def runs(server: Server, request_id: str) -> list[dict[str, Any]]:
    return [each for each in server.records if each.get("requestId") == request_id]


def record(server: Server, function: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.manage("GET", f"{API}/{function}/stateful-async-invocations/{name}").json
    return found


def ended(server: Server, function: str, name: str) -> dict[str, Any]:
    """The record of a call that has ended."""

    def look() -> dict[str, Any] | None:
        found = record(server, function, name)
        return found if found.get("endTime") else None

    found: dict[str, Any] = wait_until(look, f"the end of {name}")
    return found


def message(server: Server) -> dict[str, Any]:
    """What the destination was told."""
    text = wait_until(
        lambda: next((each["log"] for each in server.records if "GOT " in each.get("log", "")), None), "a message"
    )
    found: dict[str, Any] = json.loads(text.partition("GOT ")[2])
    return found


def test_a_call_runs_after_it_was_promised_and_its_destination_is_told(server: Server) -> None:
    configure(server, "ok", destinationConfig={"onSuccess": arn("receives")})
    number = later(server, "ok", b"x")

    told = message(server)
    assert told["requestContext"]["requestId"] == number
    assert told["requestContext"]["functionArn"].endswith(":services/demo/functions/ok")
    assert (told["requestContext"]["condition"], told["requestContext"]["approximateInvokeCount"]) == ("", 1)
    assert (told["requestPayload"], told["responsePayload"]) == ("x", "done x")
    assert told["responseContext"] == {"statusCode": 200, "functionError": ""}
    assert [each["status"] for each in runs(server, number)] == [202]


def test_a_failing_function_is_called_four_times_with_the_same_id_and_then_given_up(server: Server) -> None:
    configure(server, "fails", destinationConfig={"onFailure": arn("receives")})
    number = later(server, "fails", b"poison")

    told = message(server)
    assert told["requestContext"]["condition"] == "UnhandledInvocationError"
    assert told["requestContext"]["approximateInvokeCount"] == 4
    assert json.loads(told["responsePayload"])["errorMessage"] == "wanted"
    printed = "".join(each["log"] for each in runs(server, number))
    assert [line for line in printed.splitlines() if line.startswith("try")] == ["try 0", "try 1", "try 2", "try 3"]
    events = server.manage("GET", "/pyfc/events").json
    assert server.manage("GET", f"/pyfc/calls/{number}").json["attempt"] == 3
    assert [each["requestId"] for each in events["events"]] == [number]
    assert events["depth"]["given_up"] == 1


def test_a_changed_configuration_counts_from_the_next_call_on(server: Server) -> None:
    for number, retries in enumerate((0, 1, 0)):
        configure(server, "fails", maxAsyncRetryAttempts=retries, statefulInvocation=True)
        later(server, "fails", X_Fc_Stateful_Async_Invocation_Id=f"mine-{number}")
        assert ended(server, "fails", f"mine-{number}")["alreadyRetriedTimes"] == retries


@pytest.mark.parametrize(("attempts", "expected"), [(0, 1), (1, 2)])
def test_the_number_of_retries_is_configured(server: Server, attempts: int, expected: int) -> None:
    configure(server, "fails", maxAsyncRetryAttempts=attempts, statefulInvocation=True)
    later(server, "fails", X_Fc_Stateful_Async_Invocation_Id="mine")

    found = ended(server, "fails", "mine")
    assert (found["status"], found["alreadyRetriedTimes"]) == ("Failed", expected - 1)
    assert [each["status"] for each in found["events"]].count("Running") == expected


def test_a_worker_that_is_killed_or_a_function_that_fails_once_is_tried_again(server: Server) -> None:
    number = later(server, "second")
    wait_until(lambda: len(runs(server, number)) == 2, "two runs")
    assert "fault" not in runs(server, number)[1]
    crashed = later(server, "crashes")
    wait_until(lambda: len(runs(server, crashed)) == 4, "four runs")


def test_a_call_may_have_an_id_of_its_callers_which_is_used_once(server: Server) -> None:
    later(server, "ok", b"x", X_Fc_Stateful_Async_Invocation_Id="order-1")
    again = server.invoke("demo/ok", b"x", X_Fc_Invocation_Type="Async", X_Fc_Stateful_Async_Invocation_Id="order-1")
    assert (again.status, again.json["ErrorCode"]) == (409, "StatefulAsyncInvocationAlreadyExists")

    found = ended(server, "ok", "order-1")
    assert (found["status"], found["invocationPayload"], found["returnPayload"]) == ("Succeeded", "x", "done x")
    assert [each["status"] for each in found["events"]] == ["Enqueued", "Running", "Succeeded"]
    for number in range(3):
        later(server, "ok", X_Fc_Stateful_Async_Invocation_Id=f"more-{number}")
        ended(server, "ok", f"more-{number}")
    base = f"{API}/ok/stateful-async-invocations"
    first = server.manage("GET", f"{base}?limit=2&invocationIdPrefix=more").json
    rest = server.manage("GET", f"{base}?limit=2&invocationIdPrefix=more&nextToken={first['nextToken']}").json
    assert [each["invocationId"] for each in [*first["invocations"], *rest["invocations"]]] == [
        "more-2", "more-1", "more-0",
    ]  # fmt: skip
    assert len(server.manage("GET", f"{base}?status=Succeeded").json["invocations"]) == 4
    assert server.manage("GET", f"{base}?status=Failed").json["invocations"] == []
    missing = server.manage("GET", f"{base}/nope")
    assert (missing.status, missing.json["ErrorCode"]) == (404, "StatefulAsyncInvocationNotFound")


def test_a_task_has_an_id_that_its_caller_is_told_though_he_has_not_chosen_it(server: Server) -> None:
    names = ("X-Fc-Stateful-Async-Invocation-Id", "X-Fc-Async-Task-Id")
    plain = server.invoke("demo/ok", b"x", X_Fc_Invocation_Type="Async")
    assert not {*names} & {*plain.headers}

    configure(server, "ok", statefulInvocation=True)
    task = server.invoke("demo/ok", b"x", X_Fc_Invocation_Type="Async")
    assert [task.headers[name] for name in names] == [task.headers["X-Fc-Request-Id"]] * 2
    chosen = server.invoke("demo/ok", b"x", X_Fc_Invocation_Type="Async", X_Fc_Async_Task_Id="mine")
    assert [chosen.headers[name] for name in names] == ["mine"] * 2
    assert ended(server, "ok", task.headers[names[1]])["status"] == ended(server, "ok", "mine")["status"] == "Succeeded"


def test_a_running_call_can_be_stopped_and_so_can_one_that_waits(server: Server) -> None:
    later(server, "slow", b"60", X_Fc_Stateful_Async_Invocation_Id="runs")
    later(server, "ok", b"x", X_Fc_Stateful_Async_Invocation_Id="waits", X_Fc_Async_Delay="60")
    wait_until(lambda: record(server, "slow", "runs")["status"] == "Running", "its start")

    for function, name in (("slow", "runs"), ("ok", "waits")):
        assert server.manage("PUT", f"{API}/{function}/stateful-async-invocations/{name}").status == 204
        assert ended(server, function, name)["status"] == "Stopped"
    assert server.invoke("demo/slow", b"0.01").body == b"slept"


def test_a_delayed_call_waits_for_its_time(server: Server) -> None:
    began = time.monotonic()
    number = later(server, "ok", X_Fc_Async_Delay="0.5")
    wait_until(lambda: runs(server, number), "its run")
    assert time.monotonic() - began >= 0.5
    wrong = server.invoke("demo/ok", X_Fc_Invocation_Type="Async", X_Fc_Async_Delay="soon")
    assert (wrong.status, wrong.json["ErrorCode"]) == (400, "InvalidArgument")


def test_an_http_function_is_called_later_with_its_request(server: Server) -> None:
    headers = {"X-Fc-Invocation-Type": "Async"}
    answer = server.request("POST", "/2016-08-15/proxy/demo/web/a/b?c=1", b"body", headers)
    assert answer.status == 202
    number = answer.headers["X-Fc-Request-Id"]
    wait_until(lambda: runs(server, number), "its run")
    assert runs(server, number)[0]["log"] == "WEB POST /a/b body\n"


def test_what_is_too_large_or_too_old_or_has_no_function_any_more_is_told(server: Server) -> None:
    large = server.invoke("demo/ok", b"x" * 131_073, X_Fc_Invocation_Type="Async")
    assert (large.status, large.json["ErrorCode"]) == (400, "EntityTooLarge")
    configure(server, "ok", maxAsyncEventAgeInSeconds=1, destinationConfig={"onFailure": arn("receives")})
    later(server, "ok", b"old", X_Fc_Async_Delay="1.2", X_Fc_Stateful_Async_Invocation_Id="old")
    assert ended(server, "ok", "old")["status"] == "Expired"
    assert message(server)["requestContext"]["condition"] == "EventAgeExceeded"
    gone = later(server, "second", X_Fc_Async_Delay="0.5")
    server.manage("DELETE", f"{API}/second")
    wait_until(lambda: server.manage("GET", f"/pyfc/events/{gone}").json["status"] == "Invalid", "its end")
    assert server.manage("GET", f"/pyfc/events/{gone}").json["condition"] == "FunctionDeleted"


def test_a_function_s_queue_has_a_bound_and_a_live_call_is_left_alone(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"index.py": CODE, "template.yml": template(FUNCTIONS)}
    server = serve(files, PYFC_ASYNC_QUEUE_EVENTS="2", **FAST)
    monkeypatch.setenv("PYFC_ENDPOINT", server.endpoint)
    monkeypatch.setenv("PYFC_ACCESS_KEY_ID", Keys(server.data_dir).first()[0].id)
    monkeypatch.setenv("PYFC_ACCESS_KEY_SECRET", Keys(server.data_dir).first()[0].secret)
    running = later(server, "slow", b"30")
    wait_until(lambda: record(server, "slow", running).get("status") == "Running", "its run")
    delayed = later(server, "slow", b"0", X_Fc_Async_Delay="600", X_Fc_Stateful_Async_Invocation_Id="mine")

    refused = server.invoke("demo/slow", b"0", X_Fc_Invocation_Type="Async")

    assert (refused.status, refused.json["ErrorCode"]) == (429, "ResourceExhausted")
    assert refused.headers["Retry-After"] == "1"
    assert "2 calls of it wait already" in refused.json["ErrorMessage"]
    later(server, "ok")
    for number in (running, delayed):
        for action in ("retry", "drop"):
            status, _, errors = pyfc("events", action, number)
            assert (status, "has not ended" in errors) == (2, True)
    status, out, errors = pyfc("events", "--all", "retry", "all")
    assert (status, running in errors, delayed in errors, out.count("called again")) == (0, True, True, 0)
    stop = f"{API}/slow/stateful-async-invocations"
    assert server.manage("PUT", f"{stop}/mine").status < 300
    again = server.manage("PUT", f"{stop}/mine")
    assert (again.status, again.json["ErrorCode"]) == (400, "InvalidArgument")
    assert record(server, "slow", "mine")["status"] == "Stopped"
    later(server, "slow", X_Fc_Async_Delay="600")
    server.manage("PUT", f"{stop}/{running}")
    assert ended(server, "slow", running)["status"] == "Stopped"


def test_calls_of_a_disabled_function_wait_and_new_ones_are_refused(serve: Callable[..., Server]) -> None:
    server = serve({"ok.py": "def handler(event, context):\n    return event\n"}, **FAST)
    path = "/2023-03-30/functions/ok/invoke"
    number = str(
        server.invoke("default/ok", X_Fc_Invocation_Type="Async", X_Fc_Async_Delay="0.5").headers["X-Fc-Request-Id"]
    )
    assert server.manage("PUT", f"{path}/disable", {}).status < 300

    def is_held() -> bool:
        found = server.manage("GET", f"/pyfc/events/{number}").json
        return any("FunctionDisabled" in each["eventDetail"] for each in found["events"])

    wait_until(is_held, "a refusal")
    assert server.invoke("default/ok", X_Fc_Invocation_Type="Async").json["ErrorCode"] == "FunctionDisabled"
    assert not runs(server, number)
    assert server.manage("PUT", f"{path}/enable", {}).status < 300
    wait_until(lambda: runs(server, number), "its run")


def test_destinations_that_lead_back_end_at_last(server: Server) -> None:
    configure(server, "ok", destinationConfig={"onSuccess": arn("ok")})
    later(server, "ok", b"x")
    count = wait_until(lambda: len([each for each in server.records if each["function"] == "ok"]) >= 17, "the chain")
    assert count
    wait_until(lambda: server.manage("GET", "/pyfc/events?all=true").json["depth"]["waiting"] == 0, "an empty queue")
    assert len([each for each in server.records if each["function"] == "ok"]) == 17


class _Hook(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, str, bytes]] = []  # noqa: RUF012  shared on purpose

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["X-Fc-Destination"], body))
        self.send_response(503 if len(self.seen) < 3 else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def hook() -> Iterator[str]:
    _Hook.seen = []
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{receiver.server_address[1]}"
    receiver.shutdown()
    receiver.server_close()
    thread.join()


def test_a_message_for_a_queue_is_posted_until_it_is_taken(serve: Callable[..., Server], hook: str) -> None:
    files = {"index.py": CODE, "template.yml": template(FUNCTIONS)}
    server = serve(files, PYFC_DESTINATION_ENDPOINT=hook, **FAST)
    address = "acs:mns:cn-hangzhou:1:/queues/results/messages"
    configure(server, "ok", destinationConfig={"onSuccess": {"destination": address}})

    number = later(server, "ok", b"x")

    wait_until(lambda: len(_Hook.seen) == 3, "three posts")
    path, told, body = _Hook.seen[-1]
    assert (path, told) == ("/queues/results/messages", address)
    assert json.loads(body)["requestContext"]["requestId"] == number


def test_a_full_function_is_back_pressure_and_uses_up_no_attempt(serve: Callable[..., Server]) -> None:
    functions = {"slow": {"Handler": "index.slow", "Timeout": 60}}
    overrides = "services: {demo: {slow: {maximumInstanceCount: 1}}}"
    files = {"index.py": CODE, "template.yml": template(functions), "pyfc.yml": overrides}
    server = serve(files, PYFC_MAXIMUM_WAIT="0.05", **FAST)
    configure(server, "slow", maxAsyncRetryAttempts=0, statefulInvocation=True)

    for number in range(5):
        later(server, "slow", b"0.2", X_Fc_Stateful_Async_Invocation_Id=f"n{number}")

    for number in range(5):
        assert ended(server, "slow", f"n{number}")["status"] == "Succeeded"


def test_a_graceful_stop_and_a_kill_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    out = tmp_path / "out"
    out.write_text("")
    text = f"def handler(event, context):\n    with open({str(out)!r}, 'ab') as f:\n        f.write(event + b'\\n')\n"
    (folder / "writes.py").write_text(text)

    def accept(server: Server, numbers: range) -> None:
        for number in numbers:
            answer = server.invoke("default/writes", b"%d" % number, X_Fc_Invocation_Type="Async")
            assert answer.status == 202

    first = Server(folder, tmp_path / "data", *SHARES_FILES)
    accept(first, range(100))
    assert first.stop(signal.SIGTERM)[0] == 0
    second = Server(folder, tmp_path / "data", *SHARES_FILES)
    accept(second, range(100, 200))
    second.stop(signal.SIGKILL)
    third = Server(folder, tmp_path / "data", *SHARES_FILES)
    wanted = {str(number) for number in range(200)}
    wait_until(lambda: set(out.read_text().split()) == wanted, "every call")
    assert third.stop()[0] == 0
    assert max(Counter(out.read_text().split()).values()) <= 2


def test_what_was_given_up_is_shown_replayed_retried_and_dropped(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    files = {"index.py": CODE, "template.yml": template(FUNCTIONS)}
    server = serve(files, HOME=str(tmp_path), **FAST)
    configure(server, "fails", maxAsyncRetryAttempts=0)
    number = later(server, "fails", b"poison")
    wait_until(lambda: server.manage("GET", "/pyfc/events").json["depth"]["given_up"], "the dead letter")

    def pyfc(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYFC_ENDPOINT": server.endpoint}
        command = [sys.executable, "-m", "pyfc", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    assert number in pyfc("events").stdout
    shown = json.loads(pyfc("events", "show", number).stdout)
    assert (shown["invocationPayload"], shown["condition"]) == ("poison", "UnhandledInvocationError")
    assert "try 0" in shown["log"]
    fixed = CODE.replace('raise ValueError("wanted")', 'return "mended"')
    replayed = pyfc("replay", number)
    assert (replayed.returncode, "wanted" in replayed.stdout, "try 0" in replayed.stderr) == (1, True, True)
    (server.folder / "index.py").write_text(fixed)
    assert "1 events in" in pyfc("events", "export", "-o", str(tmp_path / "letters")).stdout
    assert json.loads((tmp_path / "letters").read_text())["requestId"] == number
    assert pyfc("events", "retry", number).returncode == 0
    wait_until(lambda: len(runs(server, number)) == 2, "the second run")
    wait_until(lambda: server.manage("GET", "/pyfc/events").json["depth"]["given_up"], "the dead letter")
    assert "dropped" in pyfc("events", "drop", "all").stdout
    assert server.manage("GET", "/pyfc/events").json["events"] == []
    waited = pyfc("invoke", "demo/ok", "-e", "x", "--async", "--wait")
    assert (waited.returncode, waited.stdout) == (0, "done x\n")
    failed = pyfc("invoke", "demo/fails", "--async", "--wait", "-e", "x")
    assert (failed.returncode, "wanted" in failed.stdout) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="mounts a small disk")
def test_a_full_disk_refuses_new_calls_and_nothing_else_and_recovers(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "project"
    data.mkdir()
    folder.mkdir()
    (folder / "ok.py").write_text("def handler(event, context):\n    return 'ok'\n")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(data)], check=True)
    try:
        server = Server(folder, data / "pyfc", "--quiet")
        filler = data / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65536)
                file.flush()
        refused = wait_until(
            lambda: next(
                (
                    answer
                    for _ in range(20)
                    if (answer := server.invoke("default/ok", b"x" * 100_000, X_Fc_Invocation_Type="Async")).status
                    != 202
                ),
                None,
            ),
            "a refusal",
        )
        assert (refused.status, refused.json["ErrorCode"]) == (503, "ResourceThrottled")
        assert "can not be written" in refused.json["ErrorMessage"]
        assert server.invoke("default/ok").body == b"ok"
        filler.unlink()
        wait_until(lambda: server.invoke("default/ok", b"", X_Fc_Invocation_Type="Async").status == 202, "room again")
        wait_until(lambda: server.manage("GET", "/pyfc/events").json["depth"]["waiting"] == 0, "an empty queue")
        assert server.stop()[0] == 0
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


TORTURE = ("good", "flaky", "poison", "bad")
TORTURED = """
import os

def note(event, context):
    with open(OUT + "/" + context.function.name, "ab") as file:
        file.write(event + b"\\n")

def good(event, context):
    note(event, context)

def flaky(event, context):
    note(event, context)
    if context.retry_count == 0:
        raise ValueError("once")

def poison(event, context):
    note(event, context)
    os._exit(1)

def bad(event, context):
    note(event, context)
    raise ValueError("always")
"""


class Torture:
    """A server under attack, and what it has promised."""

    def __init__(self, place: Path) -> None:
        self.out, self.folder, self.data = place / "out", place / "project", place / "data"
        self.out.mkdir()
        self.folder.mkdir()
        (self.folder / "index.py").write_text(f"OUT = {str(self.out)!r}\n{TORTURED}")
        properties = {name: {"Handler": f"index.{name}", "Timeout": 10} for name in TORTURE}
        (self.folder / "template.yml").write_text(template(properties))
        self.promised: dict[str, list[str]] = {name: [] for name in TORTURE}
        self.kills = 0
        self.server = self.start()
        for name in TORTURE:
            configure(self.server, name, statefulInvocation=True, maxAsyncRetryAttempts=1)

    def start(self) -> Server:
        return Server(self.folder, self.data, *SHARES_FILES, "--quiet", **FAST)

    def promise(self, number: int) -> None:
        name = TORTURE[number % 4]
        try:
            headers = {"X_Fc_Stateful_Async_Invocation_Id": f"e{number}"}
            answer = self.server.invoke(f"demo/{name}", b"e%d" % number, X_Fc_Invocation_Type="Async", **headers)
        except OSError:
            return  # it has just been killed
        if answer.status == 202:
            self.promised[name].append(f"e{number}")

    def kill(self) -> None:
        """The server, or one of what it has started."""
        self.kills += 1
        others = [each.pid for each in self.server.processes()]
        if self.kills % 2 or not others:
            self.server.stop(signal.SIGKILL)
            self.server = self.start()
        elif psutil.pid_exists(victim := others[self.kills % len(others)]):
            os.kill(victim, signal.SIGKILL)

    def is_settled(self) -> bool:
        depth = self.server.manage("GET", "/pyfc/events").json["depth"]
        return bool(depth["waiting"] == depth["delayed"] == 0)

    def check(self, name: str) -> None:
        """Nothing that was promised to this function is missing, and nothing ran too often."""
        statuses = {number: ended(self.server, name, number)["status"] for number in self.promised[name]}
        executed = Counter((self.out / name).read_text().split())
        for number in self.promised[name]:
            assert 1 <= executed[number] <= 2 + self.kills, (name, number, executed[number])
        if name in {"poison", "bad"}:
            assert set(statuses.values()) == {"Failed"}
        else:  # a kill of its worker is a failure of the function, as often as it was hit
            assert set(statuses.values()) <= {"Succeeded", "Failed"}
            assert list(statuses.values()).count("Failed") <= self.kills * 64


@pytest.mark.long
def test_nothing_is_lost_while_everything_is_killed_at_random(tmp_path: Path, *, is_torture: bool) -> None:
    """With a kill for each four hundred calls, six at least."""
    count = 20_000 if is_torture else 400
    torture = Torture(tmp_path)
    chunk = count // max(6, count // 400)
    for base in range(0, count, chunk):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(torture.promise, range(base, min(base + chunk, count))))
        torture.kill()
    assert sum(map(len, torture.promised.values())) > count // 2
    wait_until(torture.is_settled, "an empty queue", 60 + count / 20)
    for name in TORTURE:
        torture.check(name)
    torture.server.stop()
