"""Profiles of slow calls, in a real server."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyfc.workers.profiling import SOCKET, py_spy
from support import Server, impossible, pyfc, server_in_mode, wait_until

pytestmark = pytest.mark.skipif(bool(impossible("user")), reason="nobody can look into instances here")
KNOWN = 110
"""Calls after which a function's slow ones are profiled, and some more."""
PYTHON = """
import os, signal, time

def slow_part(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))

def handler(event, context):
    word, _, seconds = event.decode().rpartition(" ")
    slow_part(float(seconds))
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return event
"""
NODEJS = """
function slow_part(seconds) {
  const end = Date.now() + 1000 * seconds;
  let sum = 0;
  while (Date.now() < end) for (let i = 0; i < 1000; i++) sum += Math.sqrt(i);
  return sum;
}
const hostile = { '<script>alert(1)</script>': (seconds) => { slow_part(seconds); return 1; } };
exports.handler = async (event) => {
  hostile['<script>alert(1)</script>'](Number(event));
  return event;
};
"""
TEMPLATE = """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    pay:
      Type: 'Aliyun::Serverless::Function'
      Properties:
        Handler: index.handler
        Runtime: {runtime}
        CodeUri: ./
        MemorySize: 256
        Timeout: {timeout}
        InstanceConcurrency: {concurrency}
"""
LANGUAGES = {"python": ("index.py", PYTHON, "python3"), "nodejs": ("index.js", NODEJS, "nodejs18")}
Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def begin(language: str, mode: str = "user", *options: str, timeout: int = 10, concurrency: int = 1) -> Server:
        if reason := impossible(mode) or ("" if language != "python" or py_spy() else "needs py-spy"):
            pytest.skip(reason)
        name, source, runtime = LANGUAGES[language]
        files = {
            name: source,
            "template.yml": TEMPLATE.format(runtime=runtime, timeout=timeout, concurrency=concurrency),
            "pyfc.yml": "services: {shop: {pay: {profile: slow}}}\n",
        }
        servers.append(server_in_mode(mode, tmp_path, files, *options))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()


def call(server: Server, seconds: float) -> str:
    answer = server.invoke("shop/pay", str(seconds).encode())
    assert answer.status == 200, answer.body
    request_id: str = answer.headers["x-fc-request-id"]
    return request_id


def warm(server: Server, count: int = KNOWN) -> None:
    for _ in range(count):
        call(server, 0.001)


def profile_of(server: Server, request_id: str) -> Any:
    """What is kept of a call, when it is kept."""
    path = f"/pyfc/calls/{request_id}/profile"

    def told() -> Any:
        found = server.manage("GET", path)
        return found.json if found.status == 200 else None

    return wait_until(told, f"the profile of {request_id}")


def seen(document: dict[str, Any]) -> dict[str, float]:
    """For how many seconds each function was on a stack."""
    names = [frame["name"] for frame in document["shared"]["frames"]]
    found: dict[str, float] = {}
    for thread in document["profiles"]:
        for stack, weight in zip(thread["samples"], thread["weights"], strict=True):
            for name in {names[number] for number in stack}:
                found[name] = found.get(name, 0.0) + weight
    return found


@pytest.mark.parametrize("mode", ["root", "user"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_slow_call_was_busy_with_is_kept_and_shown(
    start: Start, language: str, mode: str, tmp_path: Path
) -> None:
    server = start(language, mode)
    warm(server)

    slow = call(server, 1.5)

    document = profile_of(server, slow)
    assert document["$schema"].startswith("https://www.speedscope.app/")
    assert f"shop/pay {slow}: from " in document["name"]
    assert 0.3 < seen(document)["slow_part"] < 1.6
    home = str(server.data_dir.parent)
    assert f"pyfc profile {slow}" in pyfc("why", slow, "--endpoint", server.endpoint, HOME=home)[1]
    assert "slow profile" in pyfc("requests", "shop/pay", "--slow", "--endpoint", server.endpoint, HOME=home)[1]
    assert "slow_part" in pyfc("profile", slow, "--endpoint", server.endpoint, HOME=home)[1]
    picture, file = tmp_path / "flames.svg", tmp_path / "slow.json"
    words = ("profile", slow, "--svg", str(picture), "--speedscope", str(file), "--endpoint", server.endpoint)
    assert pyfc(*words, HOME=home)[0] == 0
    assert json.loads(file.read_text()) == document
    assert "slow_part" in picture.read_text()
    assert "<script" not in picture.read_text()
    assert language == "python" or "&lt;script&gt;" in picture.read_text()


def test_two_slow_calls_at_once_are_looked_at_and_not_a_third(start: Start) -> None:
    server = start("python")
    warm(server)

    with ThreadPoolExecutor(3) as callers:
        slow = list(callers.map(lambda _: call(server, 2.0), range(3)))

    found = requests_with_profile(server, 2)
    assert len(found) == 2
    assert found < set(slow)


def looks(process: psutil.Process) -> bool:
    """Whether it is a profiler."""
    with contextlib.suppress(psutil.Error):
        return "profiler.py" in str(process.cmdline()) or process.name() == "py-spy"
    return False


def requests_with_profile(server: Server, least: int) -> set[str]:
    """The request ids of calls that have a profile, when there are so many."""

    def told() -> set[str]:
        calls = server.manage("GET", "/pyfc/calls").json["calls"]
        return {each["requestId"] for each in calls if each.get("profile")}

    return wait_until(lambda: found if len(found := told()) >= least else None, f"{least} profiles")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_slow_call_among_the_first_hundred_is_not_looked_at(start: Start, language: str) -> None:
    server = start(language)
    warm(server, 90)

    first = call(server, 0.6)
    warm(server, 20)

    slow = call(server, 0.8)
    profile_of(server, slow)
    assert requests_with_profile(server, 1) == {slow}
    assert "profile" not in server.manage("GET", f"/pyfc/calls/{first}").json


def test_a_worker_that_is_killed_while_it_is_looked_at_delays_nobody_and_leaves_nothing(start: Start) -> None:
    server = start("python")
    warm(server)

    assert server.invoke("shop/pay", b"die 0.8").status == 200
    answered = call(server, 0.001)

    wait_until(lambda: not any(map(looks, server.processes())), "that nothing looks any more", 5)
    assert list(server.data_dir.glob("profiles/*.part")) == []
    assert server.manage("GET", f"/pyfc/calls/{answered}").status == 200
    warm(server)
    profile_of(server, call(server, 1.2))


@pytest.mark.parametrize("mode", ["root", "user"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_who_looks_has_the_instances_user_and_processes_and_no_right_of_its_own(
    start: Start, language: str, mode: str
) -> None:
    server = start(language, mode)
    warm(server)

    with ThreadPoolExecutor(1) as callers:
        slow = callers.submit(call, server, 2.0)
        looking = wait_until(lambda: locked_in(server), "that a call is looked at")
        spaces = {space(each.pid, "pid") for each in server.workers()}
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{looking}/status").read_text().splitlines())
        assert space(looking, "pid") in spaces
        assert {status[name] for name in ("CapPrm", "CapEff", "CapAmb", "CapInh")} == {"0" * 16}
        assert status["Uid"].split()[0] in {str(each.uids().real) for each in server.workers()} - {"0"}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        slow.result()


def locked_in(server: Server) -> int:
    """The number of what looks into an instance and has given up its rights; 0 if there is none."""
    for process in server.processes():
        with contextlib.suppress(psutil.Error, OSError):
            is_filtered = "Seccomp:\t2" in Path(f"/proc/{process.pid}/status").read_text()
            if looks(process) and is_filtered:
                return process.pid
    return 0


def space(pid: int, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_call_that_times_out_has_a_profile_of_what_it_was_busy_with_before(start: Start, language: str) -> None:
    server = start(language, timeout=2)
    warm(server)

    late = server.invoke("shop/pay", b"30").headers["x-fc-request-id"]

    document = profile_of(server, late)
    assert 0.2 < seen(document)["slow_part"] < 1.6
    assert server.manage("GET", f"/pyfc/calls/{late}").json["errorType"] == "FunctionTimeoutError"


def test_calls_that_share_an_instance_share_the_profile(start: Start) -> None:
    server = start("python", concurrency=4)
    warm(server)

    with ThreadPoolExecutor(2) as callers:
        slow = list(callers.map(lambda _: call(server, 1.5), range(2)))

    (looked_at,) = requests_with_profile(server, 1)
    document = profile_of(server, looked_at)
    assert looked_at in slow
    assert document["name"].endswith(", all calls of its instance")
    busy = [each for each in document["profiles"] if "slow_part" in seen({**document, "profiles": [each]})]
    assert len(busy) == 2


def test_a_server_without_namespaces_says_once_that_nothing_can_be_looked_at(start: Start) -> None:
    server = start("nodejs", "plain")
    warm(server)
    slow = call(server, 0.6)

    assert server.manage("GET", f"/pyfc/calls/{slow}/profile").status == 404
    assert server.stop()[1].count("shop/pay asks for profiles and gets none: instances have no namespaces") == 1


def test_no_other_name_leads_to_a_profile(start: Start) -> None:
    server = start("python")

    for name in ("nope", "..%2F..%2Fkeys", "0" * 36):
        assert server.manage("GET", f"/pyfc/calls/{name}/profile").status in {400, 404}
    status, _, errors = pyfc("profile", "nope", "--endpoint", server.endpoint, HOME=str(server.data_dir.parent))
    assert status != 0
    assert "there is no profile of a call nope" in errors


def test_a_server_that_keeps_no_records_looks_at_nothing(start: Start) -> None:
    server = start("nodejs", "root", "--observe", "off")
    warm(server)
    slow = call(server, 0.6)

    assert not any(has_profiler(each.pid) for each in server.workers())
    assert server.manage("GET", f"/pyfc/calls/{slow}/profile").status == 404


def test_a_node_worker_has_a_profiler_only_when_its_function_asks_for_it(start: Start) -> None:
    server = start("nodejs", "root")
    warm(server, 1)
    wait_until(lambda: any(has_profiler(each.pid) for each in server.workers()), "that it offers its profiler")
    assert not all(has_profiler(each.pid) for each in server.workers())  # a spare is nobody's


def has_profiler(pid: int) -> bool:
    return SOCKET in Path(f"/proc/{pid}/net/unix").read_text() and os.path.lexists(f"/proc/{pid}/root{SOCKET}")
