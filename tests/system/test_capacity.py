"""How many instances, who waits, who is refused, who is released."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from support import SHARES_FILES, Server, template, wait_until

SLEEPY = (
    "import os, time\n"
    "def handler(event, context):\n"
    "    open(event.decode() + context.request_id, 'w').close()\n"
    "    while not os.path.exists(event.decode() + 'go'): time.sleep(0.01)\n"
    "    return str(time.monotonic())\n"
)


class Calls:
    """Calls that run until they are let go."""

    def __init__(self, server: Server, folder: Path, function: str = "demo/sleepy") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.server = server
        self.function = function
        self.pool = ThreadPoolExecutor(32)
        self.futures: list[object] = []

    def start(self, count: int) -> None:
        self.futures += [
            self.pool.submit(self.server.invoke, self.function, f"{self.folder}/".encode()) for _ in range(count)
        ]

    def running(self) -> int:
        return len([path for path in self.folder.iterdir() if path.name != "go"])

    def finish(self) -> list[object]:
        (self.folder / "go").touch()
        answers = [future.result(30) for future in self.futures]  # type: ignore[attr-defined]
        self.pool.shutdown()
        return answers


def sleepy(**properties: object) -> dict[str, str]:
    return {"template.yml": template({"sleepy": {"Timeout": 30, **properties}}), "index.py": SLEEPY}


def test_a_call_that_finds_every_instance_busy_gets_one_of_its_own(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(sleepy(), *SHARES_FILES)
    calls = Calls(server, tmp_path / "flags")

    calls.start(5)

    wait_until(lambda: calls.running() == 5, "five calls at once")
    assert len({answer.headers["X-Fc-Instance-Id"] for answer in calls.finish()}) == 5  # type: ignore[attr-defined]


def test_calls_wait_in_order_of_arrival_when_the_limit_is_reached(serve: Callable[..., Server], tmp_path: Path) -> None:
    files = sleepy() | {"pyfc.yml": "services: {demo: {sleepy: {maximumInstanceCount: 1}}}"}
    server = serve(files, *SHARES_FILES)
    calls = Calls(server, tmp_path / "flags")
    calls.start(1)
    wait_until(lambda: calls.running() == 1, "the first call")
    for _ in range(4):
        accepted = len(connections(server))
        calls.start(1)
        wait_until(lambda seen=accepted: len(connections(server)) > seen, "the next call to arrive")

    answers = calls.finish()

    moments = [float(answer.body) for answer in answers]  # type: ignore[attr-defined]
    assert moments == sorted(moments)
    assert len({answer.headers["X-Fc-Instance-Id"] for answer in answers}) == 1  # type: ignore[attr-defined]


def connections(server: Server) -> list[object]:
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return [each for each in found if each.status == psutil.CONN_ESTABLISHED]


def test_a_call_that_waits_too_long_is_refused_with_429(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(sleepy(), *SHARES_FILES, PYFC_MAXIMUM_INSTANCE_COUNT="1", PYFC_MAXIMUM_WAIT="0.3")
    calls = Calls(server, tmp_path / "flags")
    calls.start(1)
    wait_until(lambda: calls.running() == 1, "the first call")

    began = time.monotonic()
    refused = server.invoke("demo/sleepy", b"")

    assert (refused.status, refused.json["ErrorCode"]) == (429, "ResourceExhausted")
    assert refused.headers["Retry-After"] == "1"
    assert 0.3 <= time.monotonic() - began < 5
    assert server.record(refused.headers["X-Fc-Request-Id"])["status"] == 429
    assert calls.finish()[0].status == 200  # type: ignore[attr-defined]


def test_a_call_is_refused_at_once_when_too_many_wait_already(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(sleepy(), *SHARES_FILES, PYFC_MAXIMUM_INSTANCE_COUNT="1", PYFC_MAXIMUM_WAITING_CALLS="2")
    calls = Calls(server, tmp_path / "flags")
    calls.start(1)
    wait_until(lambda: calls.running() == 1, "the first call")
    calls.start(2)

    def refused() -> object:
        answer = server.invoke("demo/sleepy", f"{calls.folder}/".encode())
        return answer if answer.status == 429 else None

    answer = wait_until(refused, "a refusal") if wait_for_waiting(server) else None
    assert answer is not None
    assert "calls wait already" in answer.json["ErrorMessage"]
    assert [each.status for each in calls.finish()] == [200, 200, 200]  # type: ignore[attr-defined]


def wait_for_waiting(server: Server) -> bool:
    return bool(wait_until(lambda: len(connections(server)) >= 3, "three calls to arrive"))


def test_the_server_limit_takes_the_longest_idle_instance_of_another_function(serve: Callable[..., Server]) -> None:
    echo = "def handler(event, context):\n    return event\n"
    server = serve(
        {f"f{number}.py": echo for number in range(3)},
        PYFC_MAXIMUM_SERVER_INSTANCES="2",
        PYFC_SPARE_WORKERS="0",
        PYFC_TEMPLATES="off",
    )

    first = server.invoke("default/f0").headers["X-Fc-Instance-Id"]
    second = server.invoke("default/f1").headers["X-Fc-Instance-Id"]
    server.invoke("default/f2")

    assert server.invoke("default/f1").headers["X-Fc-Instance-Id"] == second
    assert server.invoke("default/f0").headers["X-Fc-Instance-Id"] != first
    wait_until(lambda: len(server.workers()) == 2, "two workers")


def test_an_idle_instance_is_released_and_may_clean_up(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(
        {
            "tidy.py": "import atexit, ctypes, threading\n"
            "def thread():\n"
            "    threading.main_thread().join()\n"
            "    print('a thread may end')\n"
            "def handler(event, context):\n"
            "    threading.Thread(target=thread).start()\n"
            "    atexit.register(lambda: open(event.decode(), 'w').close())\n"
            "    atexit.register(print, 'a handler of Python is called')\n"
            "    ctypes.CDLL(None).printf(b'what C has buffered is written\\n')\n"
        },
        *SHARES_FILES,
        PYFC_IDLE_TIMEOUT="0.3",
        PYFC_SPARE_WORKERS="0",
    )
    first = server.invoke("default/tidy", str(tmp_path / "tidied").encode()).headers["X-Fc-Instance-Id"]

    wait_until(lambda: not server.workers(), "the end of the idle worker")

    assert (tmp_path / "tidied").exists()
    told = ("a thread may end", "a handler of Python is called", "what C has buffered is written")
    wait_until(lambda: all(text in server.log("default", "tidy") for text in told), "what it wrote at its end")
    assert server.invoke("default/tidy", b"/dev/null").headers["X-Fc-Instance-Id"] != first


def test_a_call_that_leaves_while_it_waits_is_never_begun(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(sleepy(), *SHARES_FILES, PYFC_MAXIMUM_INSTANCE_COUNT="1")
    calls = Calls(server, tmp_path / "flags")
    calls.start(1)
    wait_until(lambda: calls.running() == 1, "the first call")
    with server.connect() as connection:
        body = f"{calls.folder}/".encode()
        connection.sendall(
            b"POST /2016-08-15/services/demo/functions/sleepy/invocations HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        wait_until(lambda: len(connections(server)) == 2, "the second call")
        assert server.request("GET", "/healthz").status == 200

    wait_until(lambda: [each for each in server.records if each.get("status") == 499], "a record with 499")
    calls.finish()
    server.invoke("demo/sleepy", f"{calls.folder}/".encode())
    assert calls.running() == 2  # the first and the one just made


def test_a_zygote_that_is_killed_is_started_again(serve: Callable[..., Server]) -> None:
    server = serve({"echo.py": "def handler(event, context):\n    return event\n"})
    server.invoke("default/echo", b"x")
    [zygote] = psutil.Process(server.process.pid).children()
    workers = server.workers()
    zygote.kill()

    psutil.wait_procs(workers, timeout=10)
    answer = wait_until(lambda: (found := server.invoke("default/echo", b"y")).body == b"y" and found, "an answer")
    assert answer.status == 200
    assert psutil.Process(server.process.pid).children() != [zygote]


def test_a_new_instance_takes_the_spare_worker_and_another_spare_is_made(serve: Callable[..., Server]) -> None:
    server = serve({"tells.py": "import os\ndef handler(event, context):\n    return os.getpid()\n"}, *SHARES_FILES)
    [spare] = wait_until(server.workers, "the first spare")

    taken = server.invoke("default/tells").json

    assert taken == spare.pid
    wait_until(lambda: len(server.workers()) == 2, "the next spare")


def test_a_spare_that_has_died_is_not_used(serve: Callable[..., Server]) -> None:
    server = serve({"tells.py": "import os\ndef handler(event, context):\n    return os.getpid()\n"}, *SHARES_FILES)
    [spare] = wait_until(server.workers, "the first spare")
    spare.kill()
    psutil.wait_procs([spare], timeout=10)

    answer = server.invoke("default/tells")

    assert answer.headers["X-Fc-Error-Type"] is None
    assert answer.json != spare.pid
